"""Takes its time, by name; each init() leaves a mark in the file `inits`."""

import pathlib


def init():
    with pathlib.Path("inits").open("a") as marks:
        marks.write("x")


def hang():
    while True:
        pass


def run(data):
    if data == "hang":
        hang()
    if data == "swallow":
        try:
            hang()
        except Exception:  # noqa: BLE001 - what careless scripts do
            return "swallowed"
    if data == "wait":
        pathlib.Path("waiting").write_text("")
        return pathlib.Path("gate").read_text()
    if data == "inits":
        return len(pathlib.Path("inits").read_text())
    return data
