"""Services as values: requests, changes, what is kept, what state it comes to, what a log tells."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgepack.errors import DamagedDataError, InputError
from edgepack.models.naming import ModelReference
from edgepack.services.access import key_lines, make_keys, read_key_file, renewed
from edgepack.services.changing import altered
from edgepack.services.health import Health
from edgepack.services.keeper import RotatingLog
from edgepack.services.log_text import failure_text, last_lines
from edgepack.services.observe import choose_state, describe
from edgepack.services.record import (
    DEPLOYING,
    FAILED,
    RUNNING,
    UNKNOWN,
    AccessKeys,
    ServiceChange,
    ServiceRequest,
    request_problems,
)
from edgepack.services.runner import Sight
from edgepack.services.stored import (
    AT_WORK,
    DEPLOYED,
    LEAVING,
    Instance,
    StoredService,
    encode_service,
    parse_service,
    without_keys,
)

REQUEST = ServiceRequest(
    "scorer",
    (ModelReference("tiny", 3),),
    Path("/project/ic.json"),
    Path("/project"),
    port=6789,
    needs_key=True,
    description="text",
    tags={"a": "1"},
    properties={"p": "2"},
    variables={"EDGEPACK_CAPTURE_PERCENT": "10"},
)
STORED = StoredService(
    REQUEST,
    "2026-01-01T00:00:00Z",
    "2026-01-02T00:00:00Z",
    DEPLOYED,
    Instance("life", "sha256:1", "sha256:2", built_variables={"A": "1"}, variables={"A": "2"}),
    6789,
    True,
    "",
    "digest",
)
KEYS = AccessKeys("primary-key", "secondary-key")


def test_variables_that_differ_from_the_images() -> None:
    built, now = {"SAME": "1", "OTHER": "1", "GONE": "1"}, {"SAME": "1", "OTHER": "2", "NEW": ""}
    assert Instance("life", built_variables=built, variables=now).other_variables == {
        "OTHER": "2",
        "GONE": None,
        "NEW": "",
    }
    assert Instance("life", built_variables=built, variables=built).other_variables == {}


@pytest.mark.parametrize("name", ["abc", "a-b", "a1234567890123456789012345678901"])
def test_names_of_v1(name: str) -> None:
    assert request_problems(ServiceRequest(name)) == ()


@pytest.mark.parametrize("name", ["", "ab", "Abc", "1ab", "abc-", "a_b", "../x", "a1234567890123456789012345678901x"])
def test_names_that_are_none(name: str) -> None:
    [problem] = request_problems(ServiceRequest(name))
    assert repr(name) in problem


def test_all_problems_of_a_request() -> None:
    found = request_problems(ServiceRequest("X", port=0, host="example", runner="pod", tags={"": "x"}))
    assert len(found) == 5


@pytest.mark.parametrize(
    ("host", "needs_key", "is_good"),
    [
        ("127.0.0.1", False, True),
        ("127.1.2.3", False, True),
        ("::1", False, True),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("192.0.2.1", False, False),
        ("0.0.0.0", True, True),
    ],
)
def test_beyond_loopback_only_with_a_key(host: str, needs_key: bool, is_good: bool) -> None:
    assert (request_problems(ServiceRequest("abc", host=host, needs_key=needs_key)) == ()) is is_good


@pytest.mark.parametrize(
    "stored",
    [
        STORED,
        replace(STORED, request=replace(REQUEST, inference_config={"entryScript": "score.py"}, port=None)),
        replace(STORED, instance=None, port=None, was_ready=False, failure="Traceback\n  é"),
    ],
)
def test_what_is_kept_comes_back(stored: StoredService) -> None:
    assert parse_service(encode_service(stored), "x") == stored


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"format": 2}', encode_service(STORED).replace(b'"host"', b'"x"')]
)
def test_a_damaged_record_says_what_to_do(content: bytes) -> None:
    with pytest.raises(DamagedDataError, match="edgepack service delete scorer"):
        parse_service(content, "services/scorer/service.json")


def test_keys_are_kept_apart() -> None:
    request = replace(REQUEST, keys=KEYS)
    assert "primary-key" not in repr(request)
    assert b"primary-key" not in encode_service(replace(STORED, request=without_keys(request)))
    assert b"primary-key" not in encode_service(replace(STORED, request=request))


NOT_READY = Health(DEPLOYING, "not ready: init")
GONE = Sight(False, end="its process was killed")
ALIVE = Sight(True, 6789, 5)
STATES = [
    (STORED, ALIVE, Health(RUNNING), False, RUNNING, ""),
    (STORED, ALIVE, Health(RUNNING), True, RUNNING, ""),
    (STORED, ALIVE, NOT_READY, False, DEPLOYING, "not ready: init"),
    (STORED, ALIVE, NOT_READY, True, DEPLOYING, "a command is at work on it"),
    (STORED, ALIVE, Health(UNKNOWN, "does not answer"), False, UNKNOWN, "does not answer"),
    (STORED, GONE, None, False, FAILED, "its process was killed; `edgepack service reload scorer`"),
    (STORED, GONE, None, True, DEPLOYING, "is being built and started"),
    (replace(STORED, failure="Traceback"), GONE, None, False, FAILED, "Traceback"),
    (replace(STORED, phase=AT_WORK, was_ready=False), GONE, None, False, FAILED, "deploy it again"),
    (replace(STORED, phase=AT_WORK, was_ready=False), GONE, None, True, DEPLOYING, "is being built"),
    (replace(STORED, phase=LEAVING), ALIVE, Health(RUNNING), True, UNKNOWN, "is being deleted"),
    (replace(STORED, phase=LEAVING), GONE, None, False, FAILED, "delete it again"),
]


@pytest.mark.parametrize(("stored", "sight", "health", "at_work", "state", "reason"), STATES)
def test_states(
    stored: StoredService, sight: Sight, health: Health | None, at_work: bool, state: str, reason: str
) -> None:
    chosen = choose_state(stored, sight, health, is_at_work=at_work)
    assert chosen.state == state
    assert reason in chosen.reason


def test_uris_are_v1s() -> None:
    found = describe(STORED, ALIVE, Health(RUNNING))
    assert found.scoring_uri == "http://localhost:6789/score"
    assert found.swagger_uri == "http://localhost:6789/swagger.json"
    far = replace(STORED, request=replace(REQUEST, host="192.0.2.1"))
    assert describe(far, ALIVE, Health(RUNNING)).scoring_uri == "http://192.0.2.1:6789/score"
    assert found.document()["models"] == ["tiny:3"]


def test_changes() -> None:
    change = ServiceChange(
        models=(), add_tags={"b": "2"}, remove_tags=("a",), properties={"q": "3"}, inference_config=Path("new.json")
    )
    new = altered(REQUEST, replace(change, folder=Path("/other")))
    assert (new.models, new.tags, new.properties) == ((), {"b": "2"}, {"p": "2", "q": "3"})
    assert new.inference_config == Path("/other/new.json")
    assert new.description == "text"
    with pytest.raises(InputError, match="immutable"):
        altered(REQUEST, ServiceChange(properties={"p": "2"}))
    with pytest.raises(InputError, match="add --key"):
        altered(replace(REQUEST, host="0.0.0.0"), ServiceChange(needs_key=False))


def test_key_files(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text("first-key\n\nsecond-key\n")
    assert read_key_file(path) == AccessKeys("first-key", "second-key")
    path.write_text("first-key")
    assert read_key_file(path).primary == "first-key"
    assert len(read_key_file(path).secondary) == 32
    for content in ("", "short", "first-key second", "first-key\nsecond-key\nthird-key", "first-kéy"):
        path.write_text(content)
        with pytest.raises(InputError) as caught:
            read_key_file(path)
        assert not content or content not in str(caught.value)
    with pytest.raises(InputError, match="No such file"):
        read_key_file(tmp_path / "none")


def test_keys_are_renewed_one_at_a_time() -> None:
    assert make_keys().primary != make_keys().primary
    new = renewed(KEYS, "primary")
    assert (new.secondary, new.primary != KEYS.primary) == (KEYS.secondary, True)
    assert renewed(KEYS, "secondary").primary == KEYS.primary
    assert key_lines(KEYS) == b"primary-key\nsecondary-key\n"
    with pytest.raises(InputError, match="third"):
        renewed(KEYS, "third")


TRACEBACK = 'Traceback (most recent call last):\n  File "score.py", line 3, in init\nValueError: no'
TEXT_LOG = f"""\
2026-11-26 02:52:45,087 I [1] azmlinfsrv.print - loading
2026-11-26 02:52:45,087 E [1] azmlinfsrv - User's init function failed
2026-11-26 02:52:45,087 E [1] azmlinfsrv - Encountered Exception: {TRACEBACK}
2026-11-26 02:52:45,087 I [1] azmlinfsrv - The model directory is
  of several lines
2026-11-26 02:52:45,102 E [2] edgepack.agent - Ending with exit code 3: init() failed: ValueError: no
"""
JSON_LOG = "\n".join(
    json.dumps({"time": "t", "level": level, "pid": 1, "logger": logger, "message": message})
    for level, logger, message in (
        ("INFO", "azmlinfsrv.print", "loading"),
        ("ERROR", "azmlinfsrv", f"Encountered Exception: {TRACEBACK}"),
        ("ERROR", "edgepack.agent", "Ending with exit code 3: init() failed: ValueError: no"),
    )
)


@pytest.mark.parametrize("log", [TEXT_LOG, JSON_LOG, "{no json\n" + TEXT_LOG])
def test_why_a_script_failed(log: str) -> None:
    assert failure_text(log) == f"init() failed: ValueError: no\n{TRACEBACK}"


def test_a_log_that_tells_nothing() -> None:
    assert failure_text("Segmentation fault\n") == ""


def test_a_log_without_ends_of_lines_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgepack.services.keeper.LOG_BYTES", 100)
    monkeypatch.setattr("edgepack.services.keeper._LONGEST_LINE_BYTES", 50)
    log = RotatingLog(str(tmp_path / "service.log"))
    for number in range(500):
        log.write(f"\r{number}%".encode())
    log.close()
    assert len(list(tmp_path.iterdir())) == 4
    assert all(path.stat().st_size <= 100 + 50 + 8 for path in tmp_path.iterdir())


def test_the_log_is_bounded_and_read_over_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgepack.services.keeper.LOG_BYTES", 100)
    log = RotatingLog(str(tmp_path / "service.log"))
    for number in range(60):
        log.write(f"line {number:02}\n".encode())
    log.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["service.log", "service.log.1", "service.log.2", "service.log.3"]
    assert all(path.stat().st_size <= 100 + 8 for path in tmp_path.iterdir())
    lines = [f"line {number:02}\n" for number in range(60)]
    assert last_lines(tmp_path, 30) == "".join(lines[-30:])
    assert last_lines(tmp_path, 0) == ""
    kept = last_lines(tmp_path, 1000)
    assert "".join(lines).endswith(kept)
    assert last_lines(tmp_path / "none", 5) == ""
