"""An asynchronous run()."""

import asyncio


def init():
    pass


async def run(data):
    await asyncio.sleep(0)
    if data == "fail":
        raise ValueError("mine")
    return ["awaited", data]
