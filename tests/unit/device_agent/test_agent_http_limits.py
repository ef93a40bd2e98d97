"""What a client may send, how fast, and how much of it: beyond the limit there is an answer that says so."""

import pytest

from device_agent.scorer import ScriptDescription
from tests.unit.device_agent.http_world import (
    CHUNKED,
    OK,
    SMALL,
    RecordingScorer,
    World,
    echo_world,
    request,
    small_world,
)


@pytest.mark.parametrize(
    "head",
    [b"GET /" + b"a" * 2000, b"GET / HTTP/1.1\r\nx: " + b"a" * 2000, b"GET / HTTP/1.1\r\n" + b"x: y\r\n" * 500],
    ids=["target", "one header", "many headers"],
)
@pytest.mark.parametrize("piece", [50, 100_000])
def test_a_head_has_a_limit_wherever_it_is_long(head: bytes, piece: int) -> None:
    client = small_world().connect()
    stream = head + b" HTTP/1.1\r\n\r\n" if head.startswith(b"GET /a") else head + b"\r\n\r\n"
    for at in range(0, len(stream), piece):
        client.send(stream[at : at + piece])
    (answer,) = client.answers
    assert (answer.status, answer.message) == (431, "The header must not exceed 1024 bytes.")
    assert answer.headers["connection"] == "close"


def test_a_long_body_is_refused_before_it_comes_and_while_it_comes() -> None:
    world = small_world()
    announced = world.connect()
    announced.send(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999\r\n\r\n")
    streamed = world.connect()
    streamed.send(b"POST /score HTTP/1.1\r\nhost: h\r\ntransfer-encoding: chunked\r\n\r\n" + b"32\r\n" + b"x" * 50)
    streamed.send(b"\r\n33\r\n" + b"x" * 51 + b"\r\n0\r\n\r\n")
    for client in (announced, streamed):
        (answer,) = client.answers
        assert (answer.status, answer.message) == (413, "The request body must not exceed 100 bytes.")
    assert world.scorer.requests == []
    assert world.state.held_bytes == 0
    streamed.send(request("POST", "/score", b"x" * 100))
    assert streamed.answers[1].status == 200  # a small one too many is thrown away, and the connection lives on


def test_a_client_that_is_refused_while_it_sends_has_a_moment_to_see_why() -> None:
    client = small_world().connect()
    client.send(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999\r\n\r\n" + b"x" * 500)
    assert client.wire.has_ended
    client.send(b"x" * 500)
    assert not client.wire.is_closed
    client.pass_time(3.0)
    assert client.wire.is_closed


def test_all_bodies_together_have_a_limit() -> None:
    world = small_world(waits=True)
    first, second = world.connect(), world.connect()
    first.send(request("POST", "/score", b"x" * 100))
    second.send(request("POST", "/score", b"x" * 51))
    assert [answer.status for answer in second.answers] == [503]
    assert second.answers[0].headers["retry-after"] == "1"
    world.scorer.tickets[0].answer(OK)
    world.scorer.result = OK
    second.send(request("POST", "/score", b"x" * 51))
    assert [answer.status for answer in second.answers] == [503, 200]
    assert world.state.held_bytes == 0


def test_connections_have_a_limit() -> None:
    world = small_world()
    clients = [world.connect() for _ in range(3)]
    assert [answer.status for answer in clients[2].answers] == [503]
    clients[0].leave()
    clients[2].leave()
    fourth = world.connect()
    fourth.send(request("GET", "/livez"))
    assert fourth.answers[0].status == 200


def test_a_request_has_to_arrive_in_time() -> None:
    world = small_world()
    slow_head = world.connect()
    slow_head.send(b"GET / HT")
    slow_head.pass_time(9.0)
    slow_head.send(b"TP/1.1\r\n")
    assert not slow_head.answers
    slow_head.pass_time(2.0)
    assert [answer.status for answer in slow_head.answers] == [408]
    slow_body = world.connect()
    slow_body.send(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 50\r\n\r\nxx")
    slow_body.pass_time(11.0)
    assert [answer.status for answer in slow_body.answers] == [408]
    assert world.state.held_bytes == 0


def test_a_long_body_has_more_time() -> None:
    world = World(RecordingScorer(), SMALL._replace(body_bytes=10_000_000, held_bytes=10_000_000))
    client = world.connect()
    client.send(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 1000000\r\n\r\n" + b"x" * 500_000)
    client.pass_time(30.0)
    client.send(b"x" * 500_000)
    assert [answer.status for answer in client.answers] == [200]


def test_a_request_that_is_being_scored_has_all_the_time() -> None:
    world = small_world(waits=True)
    client = world.connect()
    client.send(request("POST", "/score", b"x"))
    client.pass_time(10_000.0)
    world.scorer.tickets[0].answer(OK)
    assert [answer.status for answer in client.answers] == [200]


def test_idle_connections_are_closed_sooner_before_their_first_request() -> None:
    world = small_world()
    silent, used = world.connect(), world.connect()
    used.send(request("GET", "/livez"))
    for client in (silent, used):
        client.pass_time(11.0)
    assert (silent.wire.is_closed, used.wire.is_closed) == (True, False)
    used.pass_time(61.0)
    assert used.wire.is_closed


def test_a_client_that_does_not_take_its_answers_gets_no_more_and_is_dropped() -> None:
    world = small_world()
    client = world.connect()
    client.connection.pause_writing()
    client.send(request("POST", "/score", b"1") + request("POST", "/score", b"2"))
    assert world.scorer.requests == []
    client.connection.resume_writing()
    world.clock.run()
    assert [answer.status for answer in client.answers] == [200, 200]
    client.connection.pause_writing()
    client.pass_time(11.0)
    assert client.wire.is_aborted


def test_a_long_body_before_a_cut_head_does_not_count_as_head() -> None:
    client = World(RecordingScorer(), SMALL._replace(body_bytes=10_000, held_bytes=10_000)).connect()
    client.send(request("POST", "/score", b"x" * 5000) + b"GET /livez HT")
    client.send(b"TP/1.1\r\nhost: h\r\n\r\n")
    assert [answer.status for answer in client.answers] == [200, 200]


@pytest.mark.parametrize("trailer", [b"a: b\r\n", b"x" * 6], ids=["many", "one without an end"])
def test_trailers_are_dropped_and_have_a_limit(trailer: bytes) -> None:
    world = World(RecordingScorer(), SMALL)
    world.scorer.description = ScriptDescription(wants_headers=True)
    client = world.connect()
    client.send(CHUNKED[: -len(b"\r\n")] + b"authorization: x\r\n\r\n")
    assert [name for name, _ in world.scorer.requests[0].headers] == ["host", "transfer-encoding"]
    client.send(CHUNKED[: -len(b"\r\n")])
    for _ in range(50):
        client.send(trailer * 10)
    assert [answer.status for answer in client.answers] == [200, 431]


def test_what_is_sent_ahead_is_limited_wherever_the_pieces_end() -> None:
    world = echo_world()
    client = world.connect()
    client.send(request("POST", "/score", b"1") * 3 + b"POST /sc")
    assert client.wire.is_paused
    flood = world.connect()
    flood.send(request("GET", "/score") * 5000)
    while world.scorer.tickets:
        world.scorer.tickets.pop(0).answer(OK)
        world.clock.run()
    assert flood.answers[-1].status == 503
    assert len(flood.answers) < 6000


def test_a_slow_but_steady_reader_gets_all_its_time() -> None:
    client = small_world().connect()
    client.wire.unsent_bytes = 10_000_000
    client.connection.pause_writing()
    client.wire.unsent_bytes = 5_000_000
    client.pass_time(100.0)
    assert not client.wire.is_aborted
    client.pass_time(300.0)
    assert client.wire.is_aborted


def test_a_connection_that_should_be_closed_is_dropped_in_the_end() -> None:
    client = small_world().connect()
    client.send(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 99999999\r\n\r\n")
    client.pass_time(3.0)
    assert (client.wire.is_closed, client.wire.is_aborted) == (True, False)
    client.pass_time(11.0)
    assert client.wire.is_aborted
