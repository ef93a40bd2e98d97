"""Loading and calling entry scripts in this process: forms of run(), faults at start, faults while scoring."""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from device_agent import entry_script
from device_agent.errors import ScriptStartError
from device_agent.scorer import INTERNAL_ERROR_TEXT, SCRIPT_ERROR_TEXT, ScoringRequest, ScoringResult, ScriptSource

POST = ScoringRequest(b'{"data": [1, 2]}', content_type="application/json")


@pytest.fixture(autouse=True)
def _unchanged_interpreter() -> Iterator[None]:
    """Scripts change the import path and the module table; undo it."""
    path, modules = list(sys.path), set(sys.modules)
    yield
    entry_script.close_loop()
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        del sys.modules[name]


def _load(folder: Path, source: str, **given: Any) -> entry_script.EntryScript:
    (folder / "score.py").write_text(source)
    return entry_script.load_script(ScriptSource(str(folder), "score.py", **given))


def _score(folder: Path, source: str, request: ScoringRequest = POST) -> ScoringResult:
    script = _load(folder, "def init(): pass\n" + source)
    entry_script.call_init(script)
    return entry_script.score(script, request)


def test_run_gets_the_body_as_text(tmp_path: Path) -> None:
    result = _score(tmp_path, "def run(data): return [type(data).__name__, data]")
    assert json.loads(result.body) == ["str", '{"data": [1, 2]}']
    assert (result.status, result.script_failed) == (200, False)
    assert result.exec_ms is not None
    assert result.exec_ms >= 0


def test_async_functions_are_awaited_on_one_loop(tmp_path: Path) -> None:
    source = (
        "import asyncio\n"
        "async def init():\n    global loop\n    loop = asyncio.get_running_loop()\n"
        "async def run(data):\n    await asyncio.sleep(0)\n    return loop is asyncio.get_running_loop()\n"
    )
    script = _load(tmp_path, source)
    entry_script.call_init(script)
    assert entry_script.score(script, POST).body == b"true"


def test_bad_input_is_the_callers_fault(tmp_path: Path) -> None:
    source = "from device_agent import BadInput\ndef run(data): raise BadInput('no such station')"
    result = _score(tmp_path, source)
    assert (result.status, result.script_failed, result.exec_ms) == (400, False, None)
    assert json.loads(result.body) == {"message": "no such station"}


@pytest.mark.parametrize(
    "body",
    [
        "raise ValueError('x')",
        "raise SystemExit(0)",
        "raise TimeoutError",
        "raise KeyboardInterrupt",
        "import sys; sys.exit()",
    ],
)
def test_whatever_run_raises_is_a_script_error(tmp_path: Path, body: str, caplog: pytest.LogCaptureFixture) -> None:
    result = _score(tmp_path, f"def run(data): {body}")
    assert (result.status, result.script_failed) == (500, True)
    assert json.loads(result.body) == {"message": SCRIPT_ERROR_TEXT}
    (message,) = caplog.messages
    assert "score.py" in message
    assert "entry_script.py" not in message  # the traceback begins in the script


def test_two_required_parameters_fail_at_every_call(tmp_path: Path) -> None:
    assert _score(tmp_path, "def run(a, b): return 1").status == 500


@pytest.mark.parametrize("value", ["{1}", "b'x'", "(n for n in [])", "Odd()"])
def test_a_result_without_json_form_is_an_internal_error(
    tmp_path: Path, value: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = f"class Odd(list):\n    def __iter__(self): raise ValueError('mine')\ndef run(data): return {value}"
    result = _score(tmp_path, source)
    if value == "Odd()":
        assert result.status in (200, 500)
        return
    assert (result.status, result.script_failed) == (500, False)
    assert json.loads(result.body) == {"message": INTERNAL_ERROR_TEXT}
    assert "is of type" in caplog.text


def test_request_headers_are_passed_when_wanted(tmp_path: Path) -> None:
    request = ScoringRequest(b"x", headers=(("x-foo", "1"),))
    result = _score(tmp_path, "def run(data, request_headers): return request_headers", request)
    assert json.loads(result.body) == {"X-Foo": "1"}


def test_the_module_is_registered_and_its_folders_are_importable(tmp_path: Path) -> None:
    (tmp_path / "src" / "deep").mkdir(parents=True)
    (tmp_path / "at_root.py").write_text("")
    (tmp_path / "src" / "in_source.py").write_text("")
    (tmp_path / "src" / "deep" / "beside.py").write_text("")
    (tmp_path / "src" / "deep" / "score.py").write_text(
        "from __future__ import annotations\nimport at_root, in_source, beside\n"
        "from dataclasses import dataclass\n@dataclass\nclass Row:\n    value: int\n"
        "def init(): pass\ndef run(data): return [__name__, Row(3).value]\n"
    )
    script = entry_script.load_script(ScriptSource(str(tmp_path), "src/deep/score.py", "src"))
    assert json.loads(entry_script.score(script, POST).body) == ["entry_module", 3]
    assert sys.modules["entry_module"].__file__ == str(tmp_path / "src" / "deep" / "score.py")


def test_a_module_can_be_served_instead_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "served.py").write_text("def init(): pass\ndef run(data): return __name__\n")
    script = entry_script.load_script(ScriptSource(str(tmp_path), entry_module="served"))
    assert entry_script.score(script, POST).body == b'"served"'


def test_without_a_script_main_is_served(tmp_path: Path) -> None:
    with pytest.raises(ScriptStartError, match=r"no main\.py in"):
        entry_script.load_script(ScriptSource(str(tmp_path)))
    (tmp_path / "main.py").write_text("def init(): pass\ndef run(data): return 1\n")
    assert entry_script.score(entry_script.load_script(ScriptSource(str(tmp_path))), POST).body == b"1"


def test_the_run_of_a_driver_module_is_served_with_the_outer_init(tmp_path: Path) -> None:
    (tmp_path / "authors.py").write_text("STATE = []\ndef run(data): return STATE\n")
    source = (
        "import authors as driver_module\ndef init(): driver_module.STATE.append(1)\ndef run(data): return 'outer'\n"
    )
    script = _load(tmp_path, source)
    entry_script.call_init(script)
    assert entry_script.score(script, POST).body == b"[1]"


@pytest.mark.parametrize(
    ("source", "stage", "text"),
    [
        ("def run(data): pass", "signature", r"score\.py has no init\(\)$"),
        ("x = 1", "signature", r"has no init\(\) and no run\(\)"),
        ("def init(: pass", "import", "SyntaxError"),
        ("import nothing_of_the_kind", "import", "No module named 'nothing_of_the_kind'"),
        ("import sys; sys.exit(0)", "import", "SystemExit: 0"),
        ("init = run = 5", "signature", "run is a int, not a function"),
        ("def init(): pass\ndef run(): pass", "signature", "needs a parameter for the request's data$"),
        ("def init(): pass\ndef run(request_headers): pass", "signature", "besides request_headers"),
        ("def init(): pass\ndef run(*a): pass", "signature", "cannot have positional-only"),
        ("def init(): pass\ndef run(a, /): pass", "signature", "cannot have positional-only"),
        ("def init(): pass\ndef run(**a): pass", "signature", "cannot have positional-only"),
    ],
)
def test_scripts_that_cannot_be_served(tmp_path: Path, source: str, stage: str, text: str) -> None:
    with pytest.raises(ScriptStartError, match=text) as caught:
        _load(tmp_path, source)
    assert caught.value.stage == stage
    assert caught.value.exit_code == 3
    assert "entry_module" not in sys.modules or stage == "signature"


def test_a_missing_script_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScriptStartError, match=r"nowhere\.py does not exist"):
        entry_script.load_script(ScriptSource(str(tmp_path), "nowhere.py"))


def test_nan_is_null_or_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): return [float('nan')]\n")
    source = ScriptSource(str(tmp_path), "score.py")
    assert entry_script.score(entry_script.load_script(source), POST).body == b"[null]"
    assert entry_script.score(entry_script.load_script(source, json_nan="literal"), POST).body == b"[NaN]"


def test_awaitables_that_are_no_coroutines_are_awaited(tmp_path: Path) -> None:
    source = "class Later:\n    def __await__(self):\n        yield\n        return 5\ndef run(data): return Later()\n"
    assert _score(tmp_path, source).body == b"5"


@pytest.mark.parametrize("body", ["raise RuntimeError('no model')", "import sys; sys.exit(0)", "open('/nowhere')"])
def test_a_failed_init_keeps_its_cause(tmp_path: Path, body: str, caplog: pytest.LogCaptureFixture) -> None:
    script = _load(tmp_path, f"def init(): {body}\ndef run(data): pass")
    with pytest.raises(ScriptStartError, match=r"init\(\) failed") as caught:
        entry_script.call_init(script)
    assert caught.value.stage == "init"
    with caplog.at_level(logging.ERROR):
        entry_script.log_start_failure(caught.value)
    assert "User's init function failed" in caplog.text
    assert "in init" in caplog.text
