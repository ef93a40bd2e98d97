"""Fails, by name, in every way that Python offers."""

import sys

from flask import abort


class Own(BaseException):
    pass


def deep():
    return deep()


def init():
    pass


def run(data):
    if data == "ValueError":
        raise ValueError("mine")
    if data == "abort":
        abort(422)
    if data == "KeyError":
        return {}["missing"]
    if data == "StopIteration":
        raise StopIteration
    if data == "RecursionError":
        deep()
    if data == "MemoryError":
        raise MemoryError
    if data == "AssertionError":
        raise AssertionError
    if data == "TimeoutError":
        raise TimeoutError("mine")
    if data == "SystemExit":
        sys.exit(0)
    if data == "GeneratorExit":
        raise GeneratorExit
    if data == "unprintable":
        raise Unprintable
    return data


class Unprintable(Exception):
    def __str__(self):
        raise ValueError("no text")
