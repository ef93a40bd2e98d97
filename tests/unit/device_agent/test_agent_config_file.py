"""Settings from a file: where it is looked for, what wins, and what is wrong with it."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.command_line import main, read_environment
from device_agent.config_file import config_file_places, merge_config
from device_agent.errors import SettingsError
from device_agent.settings import CommandLine, parse_settings


def test_where_it_is_looked_for() -> None:
    assert config_file_places({}, CommandLine()) == ("/var/azureml-app/config.json",)
    given_script = {"AML_APP_ROOT": "/app", "AZUREML_ENTRY_SCRIPT": "src/score.py"}
    assert config_file_places(given_script, CommandLine()) == ("/app/config.json", "/app/src/config.json")
    line = CommandLine(entry_script="a/score.py", current_directory="/here")
    assert config_file_places({}, line) == ("/here/config.json", "/here/a/config.json")
    assert config_file_places({"AZUREML_CONFIG_FILE": "c.json"}, line) == ("/here/c.json",)
    assert config_file_places({}, CommandLine(config_file="/c", current_directory="/here")) == ("/c",)


def test_the_environment_wins_and_unknown_keys_are_named() -> None:
    text = json.dumps({"SCORING_TIMEOUT_MS": 5, "SERVICE_NAME": "file", "workspace": "w", "AML_CORS_ORIGINS": None})
    merged, unknown = merge_config({"SERVICE_NAME": "environment", "HOSTNAME": ""}, text, "c.json")
    assert unknown == ("workspace",)
    settings = parse_settings(merged)
    assert (settings.scoring_timeout_ms, settings.service_name, settings.cors_origins) == (5, "environment", None)


def test_true_and_false_are_texts_of_variables() -> None:
    merged, _ = merge_config({}, '{"SEPERATE_HEALTH_ENDPOINT": true, "AML_MODEL_DC_STORAGE_ENABLED": false}', "c")
    assert merged == {"SEPERATE_HEALTH_ENDPOINT": "true", "AML_MODEL_DC_STORAGE_ENABLED": "false"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "c.json, line 1, column 2: no JSON"),
        ("[]", "c.json: expected a JSON object of settings, found list"),
        ('{"SERVICE_NAME": []}', "c.json: SERVICE_NAME is list"),
        ("[" * 100_000, "c.json: nested too deeply"),
    ],
)
def test_files_that_are_no_settings(text: str, problem: str) -> None:
    with pytest.raises(SettingsError) as caught:
        merge_config({}, text, "c.json")
    assert problem in str(caught.value)


@given(st.text(max_size=60))
def test_any_text_is_settings_or_a_problem(text: str) -> None:
    with contextlib.suppress(SettingsError):
        merge_config({}, text, "c.json")


def test_a_file_beside_the_script_is_read_and_one_that_is_named_must_exist(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "config.json").write_text("")
    (tmp_path / "src" / "config.json").write_text('{"SERVICE_NAME": "pump", "odd": 1}')
    environment = {"AML_APP_ROOT": str(tmp_path), "AZUREML_ENTRY_SCRIPT": "src/score.py"}
    merged, notes = read_environment(environment, CommandLine())
    assert merged["SERVICE_NAME"] == "pump"
    assert "Found extra keys" in notes[1]
    assert "'odd'" in notes[1]
    with pytest.raises(SettingsError, match="does not exist"):
        read_environment(environment | {"AZUREML_CONFIG_FILE": "/missing.json"}, CommandLine())


def test_what_is_ignored_is_told() -> None:
    environment = {"AML_APP_INSIGHTS_ENABLED": "true", "AZUREML_DEBUG_PORT": "1", "AML_APP_ROOT": "/nowhere"}
    _, notes = read_environment(environment, CommandLine())
    assert [note.split()[0] for note in notes] == ["AML_APP_INSIGHTS_ENABLED", "AZUREML_DEBUG_PORT"]


def test_a_broken_file_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "c.json").write_text("{")
    assert main(["--entry-script", "score.py", "--config-file", str(tmp_path / "c.json")]) == 2
    assert "c.json, line 1" in capsys.readouterr().err


def test_both_spellings_of_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    for names in (["--entry_script", "s", "--worker_count", "0"], ["--entry-script", "s", "--worker-count", "0"]):
        assert main(names) == 2
        assert "EDGEPACK_WORKERS" in capsys.readouterr().err
