"""Frames survive any cutting of the stream, and requests and results survive frames."""

from hypothesis import given
from hypothesis import strategies as st

from device_agent.frames import (
    Frame,
    FrameDecoder,
    decode_request,
    decode_result,
    encode_frame,
    request_header,
    result_header,
)
from device_agent.scorer import ScoringRequest, ScoringResult

_FRAMES = st.lists(
    st.tuples(
        st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=3), st.binary(max_size=50)
    ),
    max_size=6,
)


@given(_FRAMES, st.lists(st.integers(1, 40), min_size=1))
def test_frames_arrive_whole_and_in_order_however_the_stream_is_cut(frames: list[Frame], cuts: list[int]) -> None:
    stream = b"".join(encode_frame(header, body) for header, body in frames)
    decoder = FrameDecoder()
    received: list[Frame] = []
    position = turn = 0
    while position < len(stream):
        end = position + cuts[turn % len(cuts)]
        received += decoder.feed(stream[position:end])
        position, turn = end, turn + 1
    assert received == frames


_TEXT = st.text(max_size=10)
_REQUESTS = st.builds(
    ScoringRequest,
    st.binary(),
    st.sampled_from(["GET", "POST"]),
    _TEXT,
    _TEXT,
    st.lists(st.tuples(_TEXT, _TEXT)).map(tuple),
)


@given(_REQUESTS)
def test_a_request_comes_out_as_it_went_in(request: ScoringRequest) -> None:
    ((header, body),) = FrameDecoder().feed(encode_frame(request_header(7, request), request.body))
    assert header["id"] == 7
    assert decode_request(header, body) == request


@given(
    st.builds(ScoringResult, st.binary(), st.integers(200, 599), _TEXT, st.booleans(), st.none() | st.floats(0, 1e6))
)
def test_a_result_comes_out_as_it_went_in(result: ScoringResult) -> None:
    ((header, body),) = FrameDecoder().feed(encode_frame(result_header(8, result), result.body))
    assert header["id"] == 8
    assert decode_result(header, body) == result
