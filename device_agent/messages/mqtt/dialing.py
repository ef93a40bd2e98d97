"""From a host name to a connected socket, TLS included, on the event loop. Nothing here blocks it.

Names are resolved in threads of our own: those of the loop are joined when the process ends, and a resolver without a
server hangs for half a minute. Addresses are tried one after the other, each with its share of the time,
so that an IPv6 address that leads nowhere does not hide the IPv4 address behind it. TCP_NODELAY is on: with Nagle's
algorithm each small packet waits for the acknowledgement of the one before, which the peer delays by 40 ms.
"""

import asyncio
import contextlib
import os
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from device_agent.messages.transport import Loss


class DialFailure(Exception):
    """No connection: `loss` and one sentence."""

    def __init__(self, loss: Loss, reason: str) -> None:
        self.loss = loss
        super().__init__(reason)


class Destination(NamedTuple):
    """Where to. `tls` None for a plain connection; `server_name` is what the certificate must name."""

    host: str
    port: int
    tls: ssl.SSLContext | None
    server_name: str

    def __str__(self) -> str:
        return broker_url(self.host, self.port, uses_tls=self.tls is not None)


def broker_url(host: str, port: int, *, uses_tls: bool) -> str:
    """How a broker is called in the log."""
    return f"{'mqtts' if uses_tls else 'mqtt'}://{f'[{host}]' if ':' in host else host}:{port}"


async def dial(to: Destination, timeout_s: float, protocol: Callable[[], asyncio.Protocol]) -> None:
    """Connect, and give the connection to a protocol that `protocol` makes: its `connection_made` is called.

    Raises DialFailure, within `timeout_s` seconds.
    """
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    try:
        async with asyncio.timeout_at(deadline_s):
            addresses = await resolve(to.host, to.port)
    except TimeoutError:
        raise DialFailure(Loss.UNREACHABLE, f"The name {to.host} could not be resolved in {timeout_s:g} s") from None
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise DialFailure(Loss.UNREACHABLE, f"The name {to.host} cannot be resolved: {reason}") from error
    connection = await _connect_first(addresses, to, deadline_s)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        async with asyncio.timeout_at(deadline_s):
            await loop.create_connection(
                protocol, sock=connection, ssl=to.tls, server_hostname=to.server_name if to.tls else None
            )
    except TimeoutError:
        connection.close()
        raise DialFailure(Loss.SILENT, f"{to} did not finish the TLS handshake in {timeout_s:g} s") from None
    except OSError as error:
        connection.close()
        raise DialFailure(*tls_failure(to, error)) from error
    except BaseException:
        connection.close()
        raise


async def resolve(
    host: str, port: int, look_up: Callable[..., Sequence[tuple[Any, ...]]] = socket.getaddrinfo
) -> list[tuple[int, Any]]:
    """Family and address of each address of a host. Nothing waits for the thread; an answer after a cancel is ignored.

    Raises what `look_up` raises: OSError or UnicodeError.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[list[tuple[int, Any]]] = loop.create_future()

    def settle(found: list[tuple[int, Any]], error: Exception | None) -> None:
        if answer.done():
            return
        if error is None:
            answer.set_result(found)
        else:
            answer.set_exception(error)

    def ask() -> None:
        found: list[tuple[int, Any]] = []
        problem: Exception | None = None
        try:
            found = [(family, address) for family, *_, address in look_up(host, port, type=socket.SOCK_STREAM)]
        except (OSError, UnicodeError) as error:
            problem = error
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody wants to know any more
            loop.call_soon_threadsafe(settle, found, problem)

    threading.Thread(target=ask, name="resolve", daemon=True).start()
    return await answer


async def _connect_first(addresses: Sequence[tuple[int, Any]], to: Destination, deadline_s: float) -> socket.socket:
    """Connect a socket to the first of the addresses that answers."""
    loop = asyncio.get_running_loop()
    problems = []
    for number, (family, address) in enumerate(addresses):
        share_s = (deadline_s - loop.time()) / (len(addresses) - number)
        attempt = socket.socket(family, socket.SOCK_STREAM)
        attempt.setblocking(False)
        try:
            async with asyncio.timeout(share_s):
                await loop.sock_connect(attempt, address)
        except TimeoutError:
            problems.append("no answer")
        except OSError as error:
            problems.append(os.strerror(error.errno).lower() if error.errno else str(error))
        except BaseException:
            attempt.close()
            raise
        else:
            return attempt
        attempt.close()
    reasons = ", ".join(dict.fromkeys(problems))
    raise DialFailure(Loss.UNREACHABLE, f"Cannot connect to {to}: {reasons}")


def tls_failure(to: Destination, error: OSError) -> tuple[Loss, str]:
    """What a failure of TLS means: a certificate that was refused, by us or by them, or anything else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return (
            Loss.REFUSED,
            f"The certificate of {to} is not trusted: {error.verify_message}; check the CA file and the host name",
        )
    if isinstance(error, ssl.SSLError):
        name = (error.reason or str(error)).lower().replace("_", " ")
        if "alert" in name and any(word in name for word in ("certificate", "unknown ca", "access denied")):
            return Loss.REFUSED, f"{to} refused our client certificate: {name}"
        return Loss.UNREACHABLE, f"No TLS connection to {to}: {name}; check that this port speaks TLS"
    return Loss.UNREACHABLE, f"{to} closed the connection during the TLS handshake"
