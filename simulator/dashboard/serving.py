"""The server of the page: NiceGUI in uvicorn behind the guard, and the feed; ends with the feed or on a signal."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from nicegui import ui

from simulator.control_client import ControlClient
from simulator.dashboard.access import Listening
from simulator.dashboard.feed import Feed
from simulator.dashboard.guard import Guard
from simulator.dashboard.page import show_page

_DRAIN_S = 2


class _Server(uvicorn.Server):
    """Leaves the signals to `serve`, so that a signal ends the process with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


async def serve(
    listener: socket.socket, listening: Listening, control: Path, patience_s: float, announce: Callable[[str], None]
) -> None:
    """Serve the page on `listener`; `announce` is called with its address once it can be opened."""
    app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    async with ControlClient(control) as client:
        feed = Feed(client, patience_s)

        @ui.page("/")
        def root() -> None:
            show_page(feed, control)

        ui.run_with(
            app,
            title="edgepack simulator",
            favicon=_FAVICON,
            dark=None,
            language="en-US",
            tailwind=False,
            reconnect_timeout=20,
            binding_refresh_interval=None,
            show_welcome_message=False,
        )
        config = uvicorn.Config(
            Guard(app, listening),
            ws="websockets-sansio",
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_DRAIN_S,
        )
        server = _Server(config)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, setattr, server, "should_exit", True)
        asking = asyncio.create_task(feed.run())
        asking.add_done_callback(lambda _: setattr(server, "should_exit", True))
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        if not serving.done():
            announce(listening.url)
        await serving
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking


_FAVICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="7" fill="#1d4ed8"/>'
    '<path d="M7 21l6-10 5 8 3-5 4 7" fill="none" stroke="#fff" stroke-width="2.5" stroke-linejoin="round" '
    'stroke-linecap="round"/></svg>'
)
