"""A plain run() that returns a coroutine."""


def init():
    pass


async def later():
    return 1


def run(data):
    return later()
