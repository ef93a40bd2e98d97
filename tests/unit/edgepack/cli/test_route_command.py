"""`edgepack route`: output, exit codes, problems under a caret."""

import io
import json
from pathlib import Path

import pytest

from tests.fakes.command_line import Run, command_line

ROUTE = "FROM /messages/* WHERE as_number(temperature) > 30 AND $body.machine.pressure < 5 INTO $upstream"


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return command_line(capsys)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "message.json"
    path.write_text(json.dumps({"body": {"machine": {"pressure": 3.2}}, "properties": {"temperature": "31.5"}}))
    return path


def test_check_prints_the_parts(run: Run) -> None:
    outcome = run("route", "check", ROUTE, 'FROM /* INTO BrokeredEndpoint("/modules/m/inputs/i")')
    assert outcome.code == 0
    lines = [line.strip() for line in outcome.out.splitlines()]
    assert f"right: {ROUTE}" in lines
    assert "from   /messages/*" in lines
    assert "where  as_number(temperature) > 30 AND $body.machine.pressure < 5" in lines
    assert "into   $upstream" in lines
    assert "all messages" in lines


def test_check_points_at_every_problem(run: Run) -> None:
    outcome = run("route", "check", "FROM /*\nWHERE a > 3 INTO $dlq")
    assert outcome.code == 2
    lines = outcome.out.splitlines()
    assert lines[:4] == [
        "wrong: 2 problems",
        "  WHERE a > 3 INTO $dlq",
        "          ^",
        "  column 17: > cannot compare a string with a number: use as_number(...)",
    ]
    assert lines[5].index("^") == lines[4].index("$dlq")


def test_a_long_line_is_cut_around_the_column(run: Run) -> None:
    condition = " OR ".join(["label = 'a'"] * 30)
    outcome = run("route", "check", f"FROM /* WHERE {condition} OR label = 3 OR {condition} INTO $upstream")
    shown, caret = outcome.out.splitlines()[1:3]
    assert len(shown) < 110
    assert shown[caret.index("^") :].startswith("= 3 OR")


def test_check_warns_of_traps(run: Run) -> None:
    outcome = run("route", "check", "FROM /* WHERE a!='x' INTO $upstream")
    assert outcome.code == 0
    assert "warning: column 15: a! is the name of one property" in outcome.out


def test_check_as_json(run: Run) -> None:
    outcome = run("route", "check", "FROM /* WHERE $body.t > 3 INTO $upstream", "FROM / INTO $upstream", "--json")
    assert outcome.code == 2
    right, wrong = outcome.document["routes"]
    assert outcome.document["ok"] is False
    assert (right["ok"], right["source"], right["condition"]) == (True, "/*", "$body.t > 3")
    assert (right["sink"], right["printed"]) == ("$upstream", "FROM /* WHERE $body.t > 3 INTO $upstream")
    assert [each["column"] for each in right["warnings"]] == [23]
    assert [(each["column"], each["stage"]) for each in wrong["problems"]] == [(8, "syntax")]


def test_eval_says_whether_and_why(run: Run, file: Path) -> None:
    outcome = run("route", "eval", ROUTE, "--message", str(file))
    assert outcome.code == 0
    assert outcome.out.splitlines()[:2] == ["takes the message", "/messages fits /messages/*"]
    assert "    as_number(temperature)  is 31.5" in outcome.out.splitlines()
    outcome = run("route", "eval", "FROM /* WHERE as_number(temp) > 30 INTO $upstream", "--message", str(file))
    assert outcome.code == 0
    assert outcome.out.splitlines()[0] == "does not take the message"
    assert "temp  is undefined: the message has no property temp" in outcome.out


def test_eval_as_json(run: Run, file: Path) -> None:
    route = "FROM /messages/modules/m WHERE $body.x > 1 / 0 INTO $upstream"
    outcome = run("--json", "route", "eval", route, "--message", str(file))
    assert outcome.code == 0
    assert outcome.document["takes"] is False
    assert outcome.document["source"] == {"message": "/messages", "route": "/messages/modules/m", "fits": False}
    condition = outcome.document["condition"]
    assert (condition["value"], condition["undefined"]) == (True, False)
    assert [(part["text"], part["value"]) for part in condition["parts"]] == [("$body.x", None), ("1 / 0", "inf")]
    assert run("--json", "route", "eval", "FROM /* INTO $upstream", "--message", str(file)).document["takes"] is True


def test_eval_warns_of_traps(run: Run, file: Path) -> None:
    outcome = run("route", "eval", "FROM /* WHERE $body.x > 1 INTO $upstream", "--message", str(file))
    assert "warning: column 23: > is true when $body.x is missing" in outcome.err


def test_eval_reads_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for content, code in ((b"{}", 0), (b"[]", 2)):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
        outcome = run("route", "eval", "FROM /* INTO $upstream", "--message", "-")
        assert outcome.code == code
    assert "standard input: must be an object" in outcome.err


def test_bad_input_is_an_error(run: Run, tmp_path: Path, file: Path) -> None:
    route = "FROM /* INTO $upstream"
    (tmp_path / "latin").write_bytes(b'{"body": "\xe9"}')
    for path, message in (
        (tmp_path / "none", "No such file"),
        (tmp_path, "Is a directory"),
        (tmp_path / "latin", "not UTF-8"),
    ):
        outcome = run("route", "eval", route, "--message", str(path))
        assert (outcome.code, outcome.out) == (2, "")
        assert message in outcome.err
    outcome = run("route", "eval", "FROM /* WHERE a = 3 AND b = 4 INTO $upstream", "--message", str(file))
    assert outcome.code == 2
    assert "2 problems" in outcome.err
    assert "the route, column 17: = cannot compare" in outcome.err
    assert run("route", "check").code == 2
