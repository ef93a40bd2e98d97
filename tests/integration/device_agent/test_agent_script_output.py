"""What a script's process writes: its records, its own logging.json, request ids. The agent's part is a file here."""

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest

from device_agent.child_process import ChildScorer
from device_agent.errors import ScriptStartError
from device_agent.scorer import ScoringRequest, ScoringResult, ScriptSource, score

SCRIPT = """
import logging, sys
LOG = logging.getLogger("app.part")
def init():
    print("printed")
    logging.info("root info")
    LOG.info("app info")
    logging.getLogger("other").info("other info")
    logging.getLogger("azmlinfsrv").info("server info")
    sys.stdout.write("written\\n")
def run(data):
    LOG.warning("scoring %s", data)
    if data == "raise":
        raise ValueError("mine")
    return data
"""
HANDLERS: dict[str, Any] = {
    "version": 1,
    "formatters": {"own": {"format": "OWN %(levelname)s %(name)s %(message)s"}},
    "handlers": {"own": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "own"}},
}


def _lines(
    folder: Path, *requests: ScoringRequest, script: str = SCRIPT, place: str = "score.py", **given: Any
) -> tuple[list[str], list[ScoringResult]]:
    """The log of a script that was started, scored `requests` and was stopped."""
    (folder / place).write_text(script)
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path(__file__).parents[3]), "TZ": "Asia/Tokyo"}

    async def run(log_descriptor: int) -> list[ScoringResult]:
        source = ScriptSource(str(folder), place)
        scorer = ChildScorer(source, environment=environment, log_descriptor=log_descriptor, **given)
        async with asyncio.timeout(30):
            try:
                await scorer.start()
                return [await score(scorer, request) for request in requests]
            finally:
                await scorer.close(5.0)

    with (folder / "log").open("wb") as log:
        results = asyncio.run(run(log.fileno()))
    return (folder / "log").read_text().splitlines(), results


def _configure(folder: Path, configuration: object) -> None:
    (folder / "logging.json").write_text(json.dumps(configuration))


def _messages(lines: list[str]) -> list[str]:
    """Lines of the agent's format without time and process id; others as they are."""
    return [line.partition("] ")[2] or line for line in lines]


def test_without_a_file_every_record_is_a_line(tmp_path: Path) -> None:
    lines, _ = _lines(tmp_path, ScoringRequest(b"x"))
    messages = _messages(lines)
    for text in (
        "azmlinfsrv.print - printed",
        "root - root info",
        "app.part - app info",
        "other - other info",
        "azmlinfsrv - server info",
        "app.part - scoring x",
    ):
        assert messages.count(text) == 1, lines


def test_records_of_a_run_carry_the_request_id_in_json(tmp_path: Path) -> None:
    first, second = ScoringRequest(b"1", request_id="id-1"), ScoringRequest(b"raise", request_id="id-2")
    lines, _ = _lines(tmp_path, first, second, log_format="json")
    entries = [json.loads(line) for line in lines]
    ids = {entry["message"].partition("\n")[0]: entry.get("request_id") for entry in entries}
    assert ids["scoring 1"] == "id-1"
    assert ids["scoring raise"] == ids["Encountered Exception: Traceback (most recent call last):"] == "id-2"
    assert ids["printed"] is None


def test_a_root_configuration_replaces_every_line(tmp_path: Path) -> None:
    _configure(tmp_path, {**HANDLERS, "root": {"level": "INFO", "handlers": ["own"]}})
    lines, results = _lines(tmp_path, ScoringRequest(b"raise"))
    assert results[0].status == 500
    for text in (
        f"OWN INFO azmlinfsrv Loaded logging config from {tmp_path}/logging.json",
        "OWN INFO azmlinfsrv.print printed",
        "OWN INFO root root info",
        "OWN INFO app.part app info",
        "OWN INFO azmlinfsrv server info",
        "OWN WARNING app.part scoring raise",
        "OWN ERROR azmlinfsrv Encountered Exception: Traceback (most recent call last):",
        "ValueError: mine",
    ):
        assert lines.count(text) == 1, (text, lines)


def test_what_the_file_leaves_out_comes_out_as_before_and_nothing_twice(tmp_path: Path) -> None:
    _configure(tmp_path, {**HANDLERS, "loggers": {"app": {"level": "WARNING", "handlers": ["own"]}}})
    messages = _messages(_lines(tmp_path, ScoringRequest(b"x"))[0])
    assert messages.count("OWN WARNING app.part scoring x") == 1
    assert "app info" not in " ".join(messages)
    for text in ("azmlinfsrv.print - printed", "root - root info", "azmlinfsrv - server info"):
        assert messages.count(text) == 1, messages
    assert not [message for message in messages if "scoring x" in message and not message.startswith("OWN")]


def test_the_server_package_s_own_configuration_works(tmp_path: Path) -> None:
    configuration = {
        "version": 1,
        "handlers": {
            "azmlinfsrv": {
                "class": "logging.StreamHandler",
                "level": "INFO",
                "stream": "ext://sys.stderr",
                "formatter": "azmlinfsrv",
            }
        },
        "formatters": {
            "azmlinfsrv": {
                "class": "azureml_inference_server_http.log_config.AMLLogFormatter",
                "format": "%(asctime)s %(levelname).1s %(name)s = %(message)s",
                "style": "%",
            }
        },
        "filters": {"RootAccessFilter": {"()": "azureml_inference_server_http.log_config.RootAccessFilter"}},
        "loggers": {
            "azmlinfsrv": {"level": "INFO", "handlers": ["azmlinfsrv"], "propagate": False},
            "gunicorn.access": {"level": "INFO", "handlers": ["azmlinfsrv"], "filters": ["RootAccessFilter"]},
        },
    }
    _configure(tmp_path, configuration)
    (line,) = [line for line in _lines(tmp_path)[0] if line.endswith("printed")]
    moment, _, rest = line.partition(" I ")
    assert rest == "azmlinfsrv.print = printed"
    start_line = next(line for line in _lines(tmp_path)[0] if line.endswith("root info"))
    assert moment[:13] == start_line[:13]  # UTC, as the agent's own lines, whatever the time zone


def test_the_app_root_wins_over_the_scripts_folder_whose_classes_may_be_named(tmp_path: Path) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "shouting.py").write_text(
        "import logging\nclass Shouting(logging.Formatter):\n"
        "    def format(self, record): return super().format(record).upper()\n"
    )
    own = {"class": "shouting.Shouting", "format": "%(message)s"}
    _configure(tmp_path / "code", {**HANDLERS, "formatters": {"own": own}, "root": {"handlers": ["own"]}})
    assert "APP INFO" in _lines(tmp_path, place="code/score.py")[0]
    _configure(tmp_path, {**HANDLERS, "root": {"handlers": ["own"]}})
    lines, _ = _lines(tmp_path, place="code/score.py")
    assert "OWN INFO app.part app info" in lines
    assert "APP INFO" not in lines


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"version": 1,\n  oops}', "logging.json, line 2, column 3: not JSON"),
        ("[1]", "logging.json, line 1, column 1: not a JSON object"),
        ("{}", "logging.json cannot be applied: dictionary doesn't specify a version"),
        (
            '{"version": 1, "handlers": {"h": {"class": "no.such.Handler"}}, "root": {"handlers": ["h"]}}',
            "logging.json cannot be applied: Unable to configure handler 'h': Cannot resolve 'no.such.Handler'",
        ),
        (
            '{"version": 1, "loggers": {"azmlinfsrv": {"propagate": false}}, "root": {"handlers": ["missing"]}}',
            "logging.json cannot be applied: Unable to configure root logger",
        ),
    ],
)
def test_a_broken_file_stops_the_start_and_says_where(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "logging.json").write_text(text)
    with pytest.raises(ScriptStartError) as caught:
        _lines(tmp_path)
    assert caught.value.stage == "import"
    assert reason in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert reason in (tmp_path / "log").read_text()


def test_a_file_that_is_not_text_stops_the_start(tmp_path: Path) -> None:
    (tmp_path / "logging.json").write_bytes(b'"\xff"')
    with pytest.raises(ScriptStartError, match=r"logging\.json cannot be read: 'utf-8' codec"):
        _lines(tmp_path)


@pytest.mark.parametrize(("form", "body"), [("null", b"[null]"), ("literal", b"[NaN]")])
def test_nan_follows_the_environment(tmp_path: Path, form: str, body: bytes) -> None:
    (tmp_path / "score.py").write_text("def init(): pass\ndef run(data): return [float(data)]\n")
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[3]),
        "EDGEPACK_JSON_NAN": form,
    }

    async def run() -> ScoringResult:
        async with asyncio.timeout(30):
            scorer = ChildScorer(
                ScriptSource(str(tmp_path), "score.py"), environment=environment, log_descriptor=os.dup(2)
            )
            await scorer.start()
            try:
                return await score(scorer, ScoringRequest(b"nan"))
            finally:
                await scorer.close(5.0)

    assert asyncio.run(run()).body == body
