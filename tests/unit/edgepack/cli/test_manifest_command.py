"""`edgepack manifest`: output for people and programs, exit codes, files that cannot be read, the schema."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from edgepack.cli.manifest_output import checks_lines
from edgepack.deployment.manifest import ModuleSpec, deployment_manifest
from edgepack.deployment.manifest_check import check_text
from edgepack.deployment.sarif import sarif_text, uri_of
from tests.fakes.command_line import Run, command_line

GOOD = deployment_manifest([ModuleSpec("scorer", "registry.example/x", "sha256:" + "a" * 64, desired={"t": 1})])
EDITED = json.dumps(GOOD, indent=2).replace('"running"', '"on"', 1)
WARNED = json.dumps(GOOD, indent=2).replace('"status"', '"Status": 1, "status"', 1)


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    return command_line(capsys)


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "good.json").write_text(json.dumps(GOOD))
    (tmp_path / "bad.json").write_text(EDITED)
    (tmp_path / "warned.json").write_text(WARNED)
    return tmp_path


def test_a_good_manifest(run: Run, files: Path) -> None:
    outcome = run("manifest", "validate", "good.json")
    assert (outcome.code, outcome.out, outcome.err) == (0, "good.json: deployment manifest, no problems\n", "")


def test_several_files_and_all_their_problems(run: Run, files: Path) -> None:
    outcome = run("manifest", "validate", "good.json", "bad.json", "nofile.json", "warned.json")
    assert outcome.code == 2
    line = next(number for number, text in enumerate(EDITED.split("\n"), 1) if '"on"' in text)
    column = EDITED.split("\n")[line - 1].index('"on"') + 1
    pointer = "/modulesContent/$edgeAgent/properties.desired/systemModules/edgeHub/status"
    lines = outcome.out.splitlines()
    assert lines[0] == (
        f"bad.json:{line}:{column}: error module-value: must be one of running, stopped, not 'on' ({pointer})"
    )
    assert lines[1] == "nofile.json: error file: cannot be read: No such file or directory"
    assert "warning unknown-key" in lines[2]
    assert lines[3:] == [
        "good.json: deployment manifest, no problems",
        "bad.json: deployment manifest, 1 error",
        "nofile.json: not read",
        "warned.json: deployment manifest, 1 warning",
        "What each rule asks for: docs/manifest-rules.md",
    ]


@pytest.mark.parametrize(("arguments", "code"), [((), 0), (("--strict",), 2)])
def test_warnings_count_if_asked(run: Run, files: Path, arguments: tuple[str, ...], code: int) -> None:
    assert run("manifest", "validate", *arguments, "warned.json").code == code


def test_quiet_prints_problems_only(run: Run, files: Path) -> None:
    assert run("-q", "manifest", "validate", "good.json").out == ""
    assert len(run("-q", "manifest", "validate", "bad.json").out.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments", [("--json", "manifest", "validate"), ("manifest", "validate", "--format", "json")]
)
def test_one_json_document(run: Run, files: Path, arguments: tuple[str, ...]) -> None:
    outcome = run(*arguments, "bad.json", "good.json")
    assert outcome.code == 2
    document = outcome.document
    assert (document["ok"], document["errors"], document["warnings"]) == (False, 1, 0)
    bad, good = document["files"]
    assert good == {"file": "good.json", "kind": "deployment", "ok": True, "problems": []}
    problem = bad["problems"][0]
    assert problem["end_column"] - problem["column"] == len('"on"')
    assert {key: problem[key] for key in ("severity", "rule", "help")} == {
        "severity": "error",
        "rule": "module-value",
        "help": "docs/manifest-rules.md#module-value",
    }


def test_standard_input(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    class Stdin:
        buffer = io.BytesIO(b"\xef\xbb\xbf" + EDITED.encode())

    monkeypatch.setattr("sys.stdin", Stdin)
    outcome = run("manifest", "validate", "-")
    assert outcome.code == 2
    assert outcome.out.startswith("stdin:")


@pytest.mark.parametrize(
    ("content", "place"), [(b"\xff\xfe{}", ":1:1: "), (b'{\n "\xc3\xa9": "\xe9"}', ":2:8: "), (b"", ":1:1: ")]
)
def test_bytes_that_are_no_manifest(run: Run, files: Path, content: bytes, place: str) -> None:
    (files / "x.json").write_bytes(content)
    outcome = run("manifest", "validate", "x.json")
    assert outcome.code == 2
    assert outcome.out.startswith(f"x.json{place}error ")


def test_a_folder_and_odd_names(run: Run, files: Path) -> None:
    outcome = run("manifest", "validate", ".", "a\nb", "c\0d")
    assert outcome.code == 2
    assert "a\\nb: error file: cannot be read" in outcome.out
    assert "Is a directory" in outcome.out


def test_a_file_that_was_not_read_has_no_place(run: Run, files: Path) -> None:
    document = run("--json", "manifest", "validate", "nofile.json").document
    (problem,) = document["files"][0]["problems"]
    assert (document["files"][0]["kind"], document["errors"], "line" in problem) == ("unread", 1, False)
    (result,) = run("manifest", "validate", "nofile.json", "--format", "sarif").document["runs"][0]["results"]
    assert "region" not in result["locations"][0]["physicalLocation"]


def test_text_that_cannot_be_printed_is_escaped(run: Run, files: Path) -> None:
    (files / "x.json").write_text('{"modulesContent": {"$edgeAgent": 1, "$edgeHub": {"\\ud800\\u001b[31m": 1}}}')
    for arguments in ((), ("--format", "json"), ("--format", "sarif")):
        outcome = run("manifest", "validate", "x.json", *arguments)
        assert outcome.code == 2
        assert "\x1b" not in outcome.out


def test_excerpts_have_a_caret_below_the_place() -> None:
    text = json.dumps(GOOD).replace("FROM /messages/*", "FROM /messages/* WHERE a > 3", 1).replace("3 WHERE", "3 AND")
    lines = list(checks_lines([("x", check_text(text))], with_excerpts=True, quiet=True))
    assert len(lines[1]) <= 120
    assert lines[1][lines[2].index("^") :].startswith("> 3")
    short = list(checks_lines([("x", check_text(EDITED))], with_excerpts=True, quiet=True))
    assert short[1][short[2].index("^") :].startswith('"on"')
    assert short[2].strip() == "^~~~"


def test_sarif(run: Run, files: Path) -> None:
    outcome = run("manifest", "validate", "bad.json", "warned.json", "--sarif", "out.sarif")
    assert outcome.code == 2
    assert outcome.out.startswith("bad.json:")
    log = json.loads((files / "out.sarif").read_text())
    assert run("manifest", "validate", "bad.json", "warned.json", "--format", "sarif").document == log
    check_sarif(log)
    assert [(result["ruleId"], result["level"]) for result in log["runs"][0]["results"]] == [
        ("module-value", "error"),
        ("unknown-key", "warning"),
    ]


def test_sarif_that_cannot_be_written(run: Run, files: Path) -> None:
    outcome = run("manifest", "validate", "good.json", "--sarif", "good.json/out.sarif")
    assert outcome.code == 3
    assert "good.json/out.sarif" in outcome.err


def test_sarif_of_a_broken_file_is_a_log_too() -> None:
    check_sarif(json.loads(sarif_text([("a b.json", check_text("[1,]")), ("/x.json", check_text("{"))], "1")))
    assert [uri_of(name) for name in ("a b.json", "/x y.json", "é.json")] == [
        "a%20b.json",
        "file:///x%20y.json",
        "%C3%A9.json",
    ]


def check_sarif(log: Any) -> None:
    """What the published schema of SARIF 2.1.0 requires of the parts that are used."""
    assert log["version"] == "2.1.0"
    (only,) = log["runs"]
    assert only["columnKind"] in ("utf16CodeUnits", "unicodeCodePoints")
    driver = only["tool"]["driver"]
    assert driver["name"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert len(set(ids)) == len(ids)
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in ("none", "note", "warning", "error")
    for result in only["results"]:
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["message"]["text"]
        region = result["locations"][0]["physicalLocation"]["region"]
        assert all(isinstance(value, int) and value >= 1 for value in region.values())
        assert (region["startLine"], region["startColumn"]) <= (region["endLine"], region["endColumn"])


def test_the_schema(run: Run) -> None:
    schema = run("manifest", "schema").document
    import jsonschema  # takes seconds, see test_agent_swagger

    validator = jsonschema.Draft7Validator(schema)
    validator.check_schema(schema)
    template = json.loads(json.dumps(GOOD)) | {"$schema-template": "4.0.0"}
    desired = template["modulesContent"]["$edgeAgent"]["properties.desired"]
    desired["modules"]["scorer"]["settings"]["createOptions"] = {"HostConfig": {"Binds": ["a:/b"], "Memory": "$MEMORY"}}
    layer = {"modulesContent": {"$edgeAgent": {"properties.desired.modules.x": desired["modules"]["scorer"]}}}
    for document in (GOOD, {"content": GOOD}, template, layer):
        assert [error.message for error in validator.iter_errors(document)] == []
    desired["modules"]["scorer"]["settings"]["createOptions"] = {"HostConfig": {"Binds": "a:/b"}}
    for document in (json.loads(EDITED), json.loads(WARNED), template, layer, {}, []):
        assert not validator.is_valid(document)
