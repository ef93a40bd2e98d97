"""Two required parameters and no schema: no call can succeed."""


def init():
    pass


def run(data, limit):
    return [data, limit]
