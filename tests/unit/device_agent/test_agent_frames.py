"""Frames survive any cutting of the stream, and requests and results survive frames."""

from hypothesis import given
from hypothesis import strategies as st

from device_agent.frames import (
    EVENT,
    REQUEST,
    RESULT,
    Frame,
    FrameDecoder,
    decode_event,
    decode_request,
    decode_result,
    encode_event,
    encode_request,
    encode_result,
)
from device_agent.scorer import ScoringRequest, ScoringResult

_TEXT = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=10)
_HEADERS = st.lists(st.tuples(_TEXT, _TEXT), max_size=3).map(tuple)
_REQUESTS = st.builds(
    ScoringRequest, st.binary(), st.sampled_from(["GET", "POST"]), _TEXT, _TEXT, _TEXT, _TEXT, _HEADERS, _TEXT
)
_RESULTS = st.builds(
    ScoringResult,
    st.binary(),
    st.integers(200, 599),
    _TEXT,
    st.none() | st.booleans(),
    st.none() | st.floats(0, 1e6),
    _HEADERS,
)
_EVENTS = st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3)


@given(st.lists(_EVENTS | _REQUESTS | _RESULTS, max_size=6), st.lists(st.integers(1, 60), min_size=1))
def test_frames_arrive_whole_and_in_order_however_the_stream_is_cut(
    parts: list[dict[str, object] | ScoringRequest | ScoringResult], cuts: list[int]
) -> None:
    stream = b"".join(_encode(number, part) for number, part in enumerate(parts))
    decoder = FrameDecoder()
    received: list[Frame] = []
    position = turn = 0
    while position < len(stream):
        end = position + cuts[turn % len(cuts)]
        received += decoder.feed(stream[position:end])
        position, turn = end, turn + 1
    assert [_decode(frame) for frame in received] == parts
    assert [frame.number for frame in received] == [0 if isinstance(p, dict) else n for n, p in enumerate(parts)]


def _encode(number: int, part: dict[str, object] | ScoringRequest | ScoringResult) -> bytes:
    match part:
        case ScoringRequest():
            return encode_request(number, part) + part.body
        case ScoringResult():
            return encode_result(number, part) + part.body
        case _:
            return encode_event(part)


def _decode(frame: Frame) -> object:
    return {EVENT: decode_event, REQUEST: decode_request, RESULT: decode_result}[frame.kind](frame)


def test_a_large_body_comes_out_whole() -> None:
    body = bytes(range(256)) * 20_000
    stream = encode_request(5, ScoringRequest(body)) + body + encode_event({"event": "x"})
    decoder = FrameDecoder()
    frames = [frame for at in range(0, len(stream), 65_536) for frame in decoder.feed(stream[at : at + 65_536])]
    assert decode_request(frames[0]).body == body
    assert decode_event(frames[1]) == {"event": "x"}


def test_a_nul_in_a_text_shifts_nothing() -> None:
    request = ScoringRequest(b"", path="/a\0b", headers=(("x-\0", "\0\0"),), request_id="i\0d")
    (frame,) = FrameDecoder().feed(encode_request(1, request))
    assert decode_request(frame) == ScoringRequest(b"", path="/a?b", headers=(("x-?", "??"),), request_id="i?d")
    (frame,) = FrameDecoder().feed(encode_result(1, ScoringResult(b"", content_type="a\0b")))
    assert decode_result(frame).content_type == "a?b"
