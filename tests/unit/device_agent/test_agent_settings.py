"""Settings: defaults, names, precedence, and all problems at once."""

import contextlib
import inspect
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from device_agent import settings as settings_module
from device_agent.errors import SettingsError
from device_agent.settings import VARIABLES, CommandLine, Settings, parse_settings


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
            "WORKER_COUNT": "3",
            "EDGEPACK_JSON_NAN": "literal",
            "EDGEPACK_HTTP_KEY_FILE": "/keys",
            "AML_CORS_ORIGINS": "*",
            "SERVICE_NAME": "pump",
            "SERVICE_VERSION": "2",
            "SERVICE_PATH_PREFIX": "/p",
            "SEPERATE_HEALTH_ENDPOINT": "true",
            "EDGEPACK_MAX_HEADER_BYTES": "2048",
            "EDGEPACK_MAX_HELD_BYTES": "20",
            "EDGEPACK_MAX_CONNECTIONS": "7",
            "EDGEPACK_MAX_QUEUE": "8",
            "EDGEPACK_QUEUE_WAIT_MS": "9",
            "EDGEPACK_CLIENT_TIMEOUT_S": "0.5",
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
        workers=3,
        json_nan="literal",
        key_file="/keys",
        cors_origins="*",
        service_name="pump",
        service_version="2",
        service_path_prefix="/p",
        health_port=5000,
        max_header_bytes=2048,
        max_held_bytes=20,
        max_connections=7,
        max_queue=8,
        queue_wait_ms=9,
        client_timeout_s=0.5,
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
        ("EDGEPACK_DATA_MAX_BYTES", "x"),
        ("EDGEPACK_DATA_MAX_BYTES", "64 MB"),
        ("EDGEPACK_DATA_MAX_AGE_DAYS", "-3"),
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


def test_held_bytes_are_never_less_than_one_body() -> None:
    assert parse_settings({"EDGEPACK_MAX_HELD_BYTES": "5", "EDGEPACK_MAX_BODY_BYTES": "10"}).max_held_bytes == 10


def test_the_command_line_wins_for_ports_workers_and_origins() -> None:
    line = CommandLine(port=0, health_port=8080, workers=2, cors_origins="http://a")
    settings = parse_settings({"EDGEPACK_WORKERS": "5", "AML_CORS_ORIGINS": "*", "EDGEPACK_HTTP": "[::1]:9"}, line)
    assert (settings.http_host, settings.http_port, settings.workers) == ("::1", 0, 2)
    assert settings.cors_origins == "http://a"
    assert settings.health_port is None  # only with SEPERATE_HEALTH_ENDPOINT
    assert parse_settings({"SEPERATE_HEALTH_ENDPOINT": "true"}, line).health_port == 8080


def test_every_variable_of_the_docstring_may_stand_in_a_file_and_the_other_way_round() -> None:
    described = set(re.findall(r"\b[A-Z][A-Z]+(?:_[A-Z]+)+\b", settings_module.__doc__ or ""))
    assert described - {"AZUREML_CONFIG_FILE", "EDGEPACK_"} <= VARIABLES
    parsed = set(re.findall(r'"([A-Z]+(?:_[A-Z]+)+)"', inspect.getsource(settings_module)))
    assert parsed <= VARIABLES
    assert parsed - {"WORKER_COUNT"} <= described
