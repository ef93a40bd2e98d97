"""One connection: whatever the pieces, the order and the manners of the client, each request gets its own answer."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.http_message import split_target
from device_agent.scorer import ScoringResult
from tests.unit.device_agent.http_world import (
    CHUNKED,
    OK,
    Client,
    RecordingScorer,
    World,
    answer_oldest,
    echo_world,
    parse_answers,
    request,
    small_world,
)


@given(st.lists(st.integers(1, 30), min_size=1))
def test_requests_arrive_whole_whatever_the_pieces(cuts: list[int]) -> None:
    world = World()
    client = world.connect()
    stream = (
        request("POST", "/score?a=1", b"12345") + CHUNKED + request("GET", "/livez") + request("POST", "/score", b"")
    )
    position = turn = 0
    while position < len(stream):
        end = position + cuts[turn % len(cuts)]
        client.send(stream[position:end])
        position, turn = end, turn + 1
    assert [scored.body for scored in world.scorer.requests] == [b"12345", b"abcde", b""]
    assert [answer.body for answer in client.answers] == [b"[1]", b"[1]", b'{"status": "live"}', b"[1]"]
    assert world.state.held_bytes == 0


PARTS = [b"GET ", b"/score", b" HTTP/1.1", b"\r\n", b"a: b", b"\0", b"upgrade: x", b"connection: upgrade"]


@given(st.binary(max_size=300) | st.lists(st.sampled_from(PARTS)).map(b"".join))
def test_whatever_comes_there_is_an_answer_or_a_close_and_nothing_is_held(data: bytes) -> None:
    world = small_world()
    client = world.connect()
    client.send(data)
    parse_answers(client.wire.sent)
    client.pass_time(1000.0)
    client.pass_time(1000.0)
    assert client.wire.is_closed
    client.leave()
    assert world.state.held_bytes == 0
    assert not world.state.connections


def test_pipelined_requests_are_answered_one_after_the_other() -> None:
    world = echo_world()
    client = world.connect()
    client.send(b"".join(request("POST", "/score", b"%d" % number) for number in range(5)))
    assert len(world.scorer.requests) == 1
    assert client.wire.is_paused
    for _ in range(5):
        answer_oldest(world)
    assert [answer.body for answer in client.answers] == [b"0", b"1", b"2", b"3", b"4"]
    assert not client.wire.is_paused
    assert world.state.held_bytes == 0


def test_a_client_that_leaves_withdraws_its_request_and_those_behind_it() -> None:
    world = echo_world()
    client = world.connect()
    client.send(request("POST", "/score", b"a") + request("POST", "/score", b"b"))
    assert world.application.requests_under_way == 1
    client.leave()
    (ticket,) = world.scorer.tickets
    assert ticket.is_withdrawn
    assert world.application.requests_under_way == 0
    assert world.state.held_bytes == 0
    ticket.answer(OK)
    assert client.wire.sent == b""


def test_a_client_that_closes_its_sending_side_gets_its_answer() -> None:
    world = echo_world()
    client = world.connect()
    client.send(request("POST", "/score", b"a"))
    assert client.connection.eof_received()
    answer_oldest(world)
    (answer,) = client.answers
    assert (answer.body, answer.headers["connection"]) == (b"a", "close")
    assert client.wire.is_closed


def test_whether_a_half_closed_client_is_still_there_is_asked_with_interim_answers() -> None:
    world = echo_world()
    client = world.connect()
    client.send(request("POST", "/score", b"a"))
    client.connection.eof_received()
    client.pass_time(1.0)
    assert client.wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    answer_oldest(world)
    assert client.answers[0].body == b"a"


def test_an_end_of_file_without_a_request_closes() -> None:
    assert not World().connect().connection.eof_received()


def test_a_client_that_waits_for_leave_to_send_gets_it_or_the_refusal() -> None:
    world = small_world()
    client = world.connect()
    head = b"POST /score HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: %d\r\n\r\n"
    client.send(head % 3)
    assert client.wire.sent == b"HTTP/1.1 100 Continue\r\n\r\n"
    client.send(b"abc")
    assert client.answers[0].status == 200
    refused = world.connect()
    refused.send(head % 101)
    assert [answer.status for answer in refused.answers] == [413]
    assert b"100 Continue" not in refused.wire.sent


@pytest.mark.parametrize(
    ("head", "keeps"),
    [
        (b"GET /livez HTTP/1.1\r\nhost: h\r\n\r\n", True),
        (b"GET /livez HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n", False),
        (b"GET /livez HTTP/1.0\r\n\r\n", False),
        (b"GET /livez HTTP/1.0\r\nconnection: keep-alive\r\n\r\n", True),
    ],
)
def test_who_keeps_the_connection(head: bytes, keeps: bool) -> None:
    client = World().connect()
    client.send(head)
    assert client.answers[0].status == 200
    assert client.wire.is_closed is not keeps
    assert (client.answers[0].headers.get("connection") == "keep-alive") is (keeps and b"1.0" in head)


def test_an_offer_to_upgrade_is_answered_in_http_1() -> None:
    world = World()
    client = world.connect()
    upgrade: dict[str, Any] = {
        "connection": "Upgrade, HTTP2-Settings",
        "upgrade": "h2c",
        "http2_settings": "AAMAAABkAAQAAP__",
    }
    client.send(request("POST", "/score", b"abc", **upgrade))
    client.send(request("GET", "/livez", **upgrade) + request("POST", "/score", b"d"))
    assert [answer.status for answer in client.answers] == [200, 200, 200]
    assert [scored.body for scored in world.scorer.requests] == [b"abc", b"d"]


def test_what_is_no_http_is_told_so_after_the_answers_before_it() -> None:
    world = echo_world()
    client = world.connect()
    client.send(request("POST", "/score", b"a"))
    client.send(b"\x16\x03\x01 no HTTP\r\n\r\n")
    answer_oldest(world)
    assert [answer.status for answer in client.answers] == [200, 400]
    assert json.loads(client.answers[1].body) == {"message": "The request is not valid HTTP/1.1."}


def test_two_lengths_are_refused() -> None:
    client = World().connect()
    client.send(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n")
    assert [answer.status for answer in client.answers] == [400]


def test_draining_closes_idle_clients_and_lets_the_others_finish() -> None:
    world = echo_world()
    idle, busy = world.connect(), world.connect()
    idle.send(request("GET", "/livez"))
    busy.send(request("POST", "/score", b"a"))
    world.state.is_draining = True
    for client in (idle, busy):
        client.connection.drain()
    assert (idle.wire.is_closed, busy.wire.is_closed) == (True, False)
    answer_oldest(world)
    assert busy.answers[0].headers["connection"] == "close"
    assert busy.wire.is_closed


def test_draining_between_two_pipelined_answers_answers_the_second() -> None:
    world = echo_world()
    client = world.connect()
    client.send(request("POST", "/score", b"a") + request("POST", "/score", b"b"))
    world.scorer.tickets.pop(0).answer(OK)  # the next is due, and not begun yet
    world.state.is_draining = True
    client.connection.drain()
    world.clock.run()
    world.scorer.tickets.pop(0).answer(OK)
    assert [answer.status for answer in client.answers] == [200, 200]
    assert client.wire.is_closed


@pytest.mark.parametrize(
    ("target", "split"),
    [
        (b"/a%20b?x=%20&y#z", ("/a b", b"x=%20&y")),
        (b"http://h:1/score?q", ("/score", b"q")),
        (b"http://h", ("/", b"")),
        (b"*", ("*", b"")),
        (b"/a%ff", ("/a\ufffd", b"")),
        (b"//score", ("//score", b"")),
    ],
)
def test_targets(target: bytes, split: tuple[str, bytes]) -> None:
    assert split_target(target) == split


@given(st.lists(st.sampled_from(["send", "part", "answer", "eof", "leave", "tick", "block", "free"]), max_size=40))
def test_nothing_is_stranded_by_any_order_of_events(steps: list[str]) -> None:
    world = echo_world()
    clients = [world.connect()]
    partial: set[Client] = set()
    for number, step in enumerate(steps):
        client = clients[-1]
        gone = client.wire.is_closed or client.wire.has_ended
        match step:
            case "send" if not gone and client not in partial:
                client.send(request("POST", "/score", b"%d" % number))
            case "part" if not gone and client not in partial:
                client.send(b"POST /score HTTP/1.1\r\nhost: h\r\ncontent-length: 9\r\n\r\nxx")
                partial.add(client)
            case "answer":
                world.scorer.tickets = [ticket for ticket in world.scorer.tickets if not ticket.is_withdrawn]
                if world.scorer.tickets:
                    world.scorer.tickets.pop(0).answer(OK)
                    world.clock.run()
            case "eof" if not gone:
                if not client.connection.eof_received():
                    client.leave()
                    clients.append(world.connect())
            case "leave":
                client.leave()
                clients.append(world.connect())
            case "tick":
                client.pass_time(1.0)
            case "block" if not gone:
                client.connection.pause_writing()
            case "free" if not gone:
                client.connection.resume_writing()
                world.clock.run()
    clients[-1].leave()
    assert world.state.held_bytes == 0
    assert world.application.requests_under_way == 0
    assert not world.state.connections


def test_thousands_of_offers_to_upgrade_are_just_requests() -> None:
    client = World().connect()
    client.send(request("GET", "/livez", connection="Upgrade", upgrade="h2c") * 200)
    assert [answer.status for answer in client.answers] == [200] * 200


def test_a_tunnel_is_refused_and_the_connection_closed() -> None:
    client = World().connect()
    client.send(b"CONNECT h:443 HTTP/1.1\r\nhost: h\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    assert [answer.status for answer in client.answers] == [404]
    assert client.wire.is_closed


def test_leave_to_send_is_given_when_the_answers_before_are_out() -> None:
    world = echo_world()
    client = world.connect()
    head = b"POST /score HTTP/1.1\r\nhost: h\r\nexpect: 100-continue\r\ncontent-length: 3\r\n\r\n"
    client.send(request("POST", "/score", b"a") + head)
    assert b"100 Continue" not in client.wire.sent
    answer_oldest(world)
    assert client.wire.sent.endswith(b"HTTP/1.1 100 Continue\r\n\r\n")


def test_no_content_has_no_length() -> None:
    world = World(RecordingScorer(ScoringResult(b"", 204, "")))
    client = world.connect()
    client.send(request("POST", "/score", b""))
    assert client.wire.sent.startswith(b"HTTP/1.1 204 No Content\r\n")
    assert b"content-length" not in client.wire.sent
