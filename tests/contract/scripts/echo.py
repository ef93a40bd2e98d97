"""Answers with what it gets."""


def init():
    pass


def run(data):
    return data
