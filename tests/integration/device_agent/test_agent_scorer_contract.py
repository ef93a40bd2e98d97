"""One body of tests for every Scorer: the script in a process of its own, and the script in this process."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from device_agent.child_process import ChildScorer
from device_agent.errors import ScriptStartError
from device_agent.in_process import InProcessScorer
from device_agent.scorer import Scorer, ScoringRequest, ScriptDescription, ScriptSource, score
from device_agent.shims import install_shims

SCRIPT = """
import time
from device_agent import BadInput
calls = []
def init():
    calls.append("init")
def run(data):
    calls.append(data)
    if data == "bad":
        raise BadInput("bad data")
    if data == "raise":
        raise ValueError("x")
    if data == "exit":
        raise SystemExit(7)
    if data == "set":
        return {1}
    if data == "calls":
        return calls
    return data
"""

Make = Callable[[Path], Scorer]


def _child(folder: Path) -> Scorer:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3])}
    return ChildScorer(ScriptSource(str(folder), "score.py"), environment=environment, log_descriptor=os.dup(2))


def _in_process(folder: Path) -> Scorer:
    return InProcessScorer(ScriptSource(str(folder), "score.py"))


@pytest.fixture(params=[_child, _in_process], ids=["child", "in-process"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    path, modules = list(sys.path), set(sys.modules)
    yield request.param
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def _with_scorer(scorer: Scorer, use: Callable[[Scorer], Awaitable[None]]) -> None:
    async def run() -> None:
        async with asyncio.timeout(30):
            await scorer.start()
            try:
                await use(scorer)
            finally:
                await scorer.close(1.0)
                await scorer.close()

    asyncio.run(run())


def _post(text: str) -> ScoringRequest:
    return ScoringRequest(text.encode())


def test_it_is_not_ready_before_and_ready_after_its_start(tmp_path: Path, make: Make) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)
    scorer = make(tmp_path)
    assert scorer.not_ready_reason
    assert not scorer.has_been_ready

    async def use(scorer: Scorer) -> None:
        assert scorer.not_ready_reason == ""
        assert scorer.has_been_ready
        assert not scorer.description.wants_headers

    _with_scorer(scorer, use)
    assert "stopping" in scorer.not_ready_reason


@pytest.mark.parametrize(
    ("text", "status", "failed"),
    [("x", 200, False), ("bad", 400, False), ("raise", 500, True), ("exit", 500, True), ("set", 500, False)],
)
def test_every_kind_of_answer(tmp_path: Path, make: Make, text: str, status: int, failed: bool) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)

    async def use(scorer: Scorer) -> None:
        result = await score(scorer, _post(text))
        assert (result.status, result.script_failed) == (status, failed)
        assert (result.exec_ms is not None) == (status == 200)
        after = await score(scorer, _post("after"))
        assert after.body == b'"after"'

    _with_scorer(make(tmp_path), use)


def test_init_runs_once_and_requests_in_order(tmp_path: Path, make: Make) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)
    texts = [f"request {number}" for number in range(100)]

    async def use(scorer: Scorer) -> None:
        results = await asyncio.gather(*(score(scorer, _post(text)) for text in texts))
        assert [json.loads(result.body) for result in results] == texts
        assert json.loads((await score(scorer, _post("calls"))).body) == ["init", *texts, "calls"]

    _with_scorer(make(tmp_path), use)


def test_large_bodies_pass_both_ways(tmp_path: Path, make: Make) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)
    text = "x" * 5_000_000

    async def use(scorer: Scorer) -> None:
        results = await asyncio.gather(*(score(scorer, _post(text)) for _ in range(3)))
        assert [len(result.body) for result in results] == [len(text) + 2] * 3

    _with_scorer(make(tmp_path), use)


def test_a_cancelled_request_leaves_the_others_alone(tmp_path: Path, make: Make) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)

    async def use(scorer: Scorer) -> None:
        tasks = [asyncio.ensure_future(score(scorer, _post(str(number)))) for number in range(60)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        answers = await asyncio.gather(*tasks, return_exceptions=True)
        for number, answer in enumerate(answers):
            if number % 2:
                assert not isinstance(answer, BaseException)
                assert json.loads(answer.body) == str(number)

    _with_scorer(make(tmp_path), use)


def test_headers_reach_a_script_that_wants_them(tmp_path: Path, make: Make) -> None:
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data, request_headers): return request_headers\n")

    async def use(scorer: Scorer) -> None:
        assert scorer.description.wants_headers
        result = await score(scorer, ScoringRequest(b"", "GET", headers=(("x-a", "é"),)))
        assert json.loads(result.body) == {"X-A": "é"}

    _with_scorer(make(tmp_path), use)


@pytest.mark.parametrize(
    ("source", "stage"),
    [("import", "import"), ("def init(): pass", "signature"), ("def init(): 1/0\ndef run(data): pass", "init")],
)
def test_a_script_that_does_not_start_raises_and_answers_503(
    tmp_path: Path, make: Make, source: str, stage: str
) -> None:
    (tmp_path / "score.py").write_text(source)

    async def run() -> None:
        scorer = make(tmp_path)
        with pytest.raises(ScriptStartError) as caught:
            await scorer.start()
        assert caught.value.stage == stage
        assert (await score(scorer, _post("x"))).status == 503
        await scorer.close()

    asyncio.run(run())


def test_after_close_requests_are_refused(tmp_path: Path, make: Make) -> None:
    (tmp_path / "score.py").write_text(SCRIPT)

    async def run() -> None:
        scorer = make(tmp_path)
        await scorer.start()
        await scorer.close(1.0)
        assert (await score(scorer, _post("x"))).status == 503

    asyncio.run(run())


RAW_SCRIPT = """
from azureml.contrib.services.aml_request import rawhttp
from azureml.contrib.services.aml_response import AMLResponse
def init(): pass
@rawhttp
def run(request):
    if request.method == "POST":
        files = request.files.getlist("file[]")
        return {"files": [[file.filename, len(file.read())] for file in files], "limit": request.form["limit"]}
    response = AMLResponse(bytes(range(256)), 203, {"Content-Type": "image/png", "X-Method": request.method})
    response.set_cookie("a", request.args["a"])
    response.set_cookie("b", request.headers["X-B"])
    return response
"""


def test_raw_http_there_and_back(tmp_path: Path, make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "score.py").write_text(RAW_SCRIPT)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    install_shims()
    parts = [
        b'name="file[]"; filename="a.bin"\r\n\r\n' + bytes(range(256)) * 5000,
        b'name="file[]"; filename="b"\r\n\r\n',
        b'name="limit"\r\n\r\n7',
    ]
    body = b"".join(b"--cut\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--cut--\r\n"
    kind = "multipart/form-data; boundary=cut"

    async def use(scorer: Scorer) -> None:
        assert scorer.description.raw_http
        assert scorer.description.wants_headers
        upload = await score(scorer, ScoringRequest(body, content_type=kind, headers=(("content-type", kind),)))
        assert json.loads(upload.body) == {"files": [["a.bin", 1_280_000], ["b", 0]], "limit": "7"}
        for method in ("GET", "OPTIONS", "HEAD"):
            request = ScoringRequest(b"", method, query="a=%C3%A9", headers=(("x-b", "2"),), request_id="id")
            answer = await score(scorer, request)
            assert (answer.status, answer.content_type, answer.script_failed) == (203, "image/png", False)
            assert answer.body == bytes(range(256))
            names = [name for name, _ in answer.headers]
            assert names == ["X-Method", "Set-Cookie", "Set-Cookie"]
            assert answer.headers[0] == ("X-Method", method)

    _with_scorer(make(tmp_path), use)


def test_both_scorers_describe_a_script_alike(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data, request_headers): return data\n")
    descriptions: list[ScriptDescription] = []

    async def use(scorer: Scorer) -> None:
        descriptions.append(scorer.description)

    for make in (_child, _in_process):
        _with_scorer(make(tmp_path), use)
    assert descriptions == [ScriptDescription(wants_headers=True)] * 2
