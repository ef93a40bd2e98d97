"""Settings: defaults, names, precedence, and all problems at once."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent.errors import SettingsError
from device_agent.settings import CommandLine, Settings, parse_settings


def test_an_empty_environment_gives_the_documented_defaults() -> None:
    settings = parse_settings({})
    assert settings == Settings(
        app_root="/var/azureml-app",
        http_host="127.0.0.1",
        http_port=5001,
        scoring_timeout_ms=3_600_000,
        max_body_bytes=104_857_600,
        drain_s=8.0,
        onnx_threads=1,
        log_format="text",
        log_level="INFO",
    )
    assert settings.script_path is None


def test_every_variable_is_read() -> None:
    settings = parse_settings(
        {
            "AML_APP_ROOT": "/app",
            "AZUREML_ENTRY_SCRIPT": "src/score.py",
            "AZUREML_SOURCE_DIRECTORY": "src",
            "AZUREML_MODEL_DIR": "azureml-models/m/1",
            "EDGEPACK_HTTP": "0.0.0.0:80",
            "SCORING_TIMEOUT_MS": "250",
            "EDGEPACK_MAX_BODY_BYTES": "10",
            "EDGEPACK_DRAIN_S": "2.5",
            "EDGEPACK_ONNX_THREADS": "4",
            "EDGEPACK_LOG": "JSON",
            "AZUREML_LOG_LEVEL": "warn",
            "SERVER_VERSION_LOG_RESPONSE_ENABLED": "false",
        }
    )
    assert settings == Settings(
        app_root="/app",
        entry_script="src/score.py",
        source_directory="src",
        model_dir="azureml-models/m/1",
        http_host="0.0.0.0",
        http_port=80,
        scoring_timeout_ms=250,
        max_body_bytes=10,
        drain_s=2.5,
        onnx_threads=4,
        log_format="json",
        log_level="WARNING",
        show_server_version=False,
    )
    assert settings.script_path == "/app/src/score.py"


def test_the_command_line_wins_over_the_environment() -> None:
    environment = {
        "EDGEPACK_ENTRY_MODULE": "device_agent.onnx_script",
        "AZUREML_MODEL_DIR": "elsewhere",
        "EDGEPACK_HTTP": "0.0.0.0:1",
    }
    line = CommandLine(entry_script="score.py", model_dir="models", port=0, current_directory="/home/me")
    settings = parse_settings(environment, line)
    assert settings.script_path == "/home/me/score.py"
    assert settings.app_root == "/home/me"
    assert settings.entry_module is None
    assert settings.model_dir == "models"
    assert (settings.http_host, settings.http_port) == ("0.0.0.0", 0)


def test_a_script_on_the_command_line_leaves_a_given_app_root_alone() -> None:
    line = CommandLine(entry_script="score.py", current_directory="/home/me")
    settings = parse_settings({"AML_APP_ROOT": "/app"}, line)
    assert (settings.app_root, settings.script_path) == ("/app", "/home/me/score.py")


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [("localhost:0", "localhost", 0), ("[::1]:5001", "::1", 5001), (" 127.0.0.1:65535 ", "127.0.0.1", 65535)],
)
def test_addresses(text: str, host: str, port: int) -> None:
    settings = parse_settings({"EDGEPACK_HTTP": text})
    assert (settings.http_host, settings.http_port) == (host, port)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("EDGEPACK_HTTP", "5001"),
        ("EDGEPACK_HTTP", ":5001"),
        ("EDGEPACK_HTTP", "host:"),
        ("EDGEPACK_HTTP", "host:65536"),
        ("EDGEPACK_HTTP", "::1:5001"),
        ("EDGEPACK_HTTP", "host:+80"),
        ("SCORING_TIMEOUT_MS", "0"),
        ("SCORING_TIMEOUT_MS", "-1"),
        ("SCORING_TIMEOUT_MS", "1e3"),
        ("SCORING_TIMEOUT_MS", "٣"),
        ("EDGEPACK_MAX_BODY_BYTES", "100MB"),
        ("EDGEPACK_DRAIN_S", "-1"),
        ("EDGEPACK_DRAIN_S", "nan"),
        ("EDGEPACK_DRAIN_S", "4000"),
        ("EDGEPACK_ONNX_THREADS", "0"),
        ("EDGEPACK_LOG", "xml"),
        ("AZUREML_LOG_LEVEL", "LOUD"),
        ("EDGEPACK_ENTRY_MODULE", "score.py/"),
        ("EDGEPACK_ENTRY_MODULE", "..x"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(name: str, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({name: text})
    (problem,) = caught.value.problems
    assert name in problem
    assert repr(text) in problem
    assert caught.value.exit_code == 2


def test_all_problems_are_reported_together() -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings(
            {
                "EDGEPACK_HTTP": "x",
                "SCORING_TIMEOUT_MS": "y",
                "EDGEPACK_LOG": "z",
                "EDGEPACK_ENTRY_MODULE": "m",
                "AZUREML_ENTRY_SCRIPT": "s.py",
            },
            CommandLine(port=70000),
        )
    assert len(caught.value.problems) == 5


def test_an_empty_script_on_the_command_line_is_a_problem() -> None:
    with pytest.raises(SettingsError, match="--entry-script is empty"):
        parse_settings({}, CommandLine(entry_script=" "))


_NAMES = ["EDGEPACK_HTTP", "SCORING_TIMEOUT_MS", "EDGEPACK_DRAIN_S", "EDGEPACK_LOG", "EDGEPACK_ENTRY_MODULE"]


@given(st.dictionaries(st.sampled_from(_NAMES), st.text(max_size=20)))
def test_any_text_gives_settings_or_settings_error(environment: dict[str, str]) -> None:
    with contextlib.suppress(SettingsError):
        assert 0 <= parse_settings(environment).http_port <= 65535
