"""Parameters that are keyword-only, one with a default."""


def init():
    pass


def run(*, data, limit=5):
    return [data, limit]
