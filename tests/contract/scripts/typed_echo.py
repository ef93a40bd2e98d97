"""Answers with the type and the value of what it gets."""


def init():
    pass


def run(data):
    return [type(data).__name__, data]
