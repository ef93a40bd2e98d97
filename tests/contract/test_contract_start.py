"""Starting (sections 5.1, 5.2, 5.7): what is refused, with which exit code, and what is logged about it."""

import re

import pytest

from tests.contract.cases import Case, check, get, post, result, send
from tests.contract.servers import Servers, Setup, config_json, wait_until

RUN = "def run(data):\n    return data\n"
INIT = "def init():\n    pass\n"
RAW_AND_SCHEMA = f"""
from azureml.contrib.services.aml_request import rawhttp
from inference_schema.parameter_types.standard_py_parameter_type import StandardPythonParameterType
from inference_schema.schema_decorators import input_schema
{INIT}
@rawhttp
@input_schema("data", StandardPythonParameterType("x"))
{RUN}
"""
MODELS = (("models/a/b.txt", ""), ("models/c", ""))


def _source(text: str, **environment: str) -> Setup:
    return Setup(None, texts=(("score.py", text), *MODELS), environment=tuple(environment.items()))


def _run(parameters: str) -> Setup:
    return _source(f"{INIT}def run({parameters}):\n    return 1\n")


FAILING = (
    ("import fails", _source(f"import no_such_module\n{INIT}{RUN}"), r"No module named 'no_such_module'"),
    ("syntax", _source("def\n"), r"SyntaxError"),
    ("exit at import", _source(f"import sys\nsys.exit(0)\n{INIT}{RUN}"), r"SystemExit"),
    ("no init", _source(RUN), r"init\(\)"),
    ("no run", _source(INIT), r"run\(\)"),
    ("no script", Setup(None), r"score\.py"),
    (
        "init raises",
        _source(f"def init():\n    raise ValueError('mine')\n{RUN}", AZUREML_MODEL_DIR="models"),
        r"(?s)User's init function failed.*ValueError: mine.* - models/\n.* -     a/\n.* -         b\.txt\n.* -     c$",
    ),
    ("init exits", _source(f"import sys\ndef init():\n    sys.exit(0)\n{RUN}"), r"User's init function failed"),
    ("run(*data)", _run("*data"), r"positional-only"),
    ("run(**data)", _run("data, **more"), r"\*\*kwargs"),
    ("run(data, /)", _run("data, /"), r"positional-only"),
    ("run()", _run(""), r"run\(\)"),
    ("run(request_headers)", _run("request_headers"), r"request_headers"),
    ("raw and schema", _source(RAW_AND_SCHEMA), r"both @rawhttp and @input_schema"),
    ("no such main", Setup(None, names_script=False, environment=(("AML_APP_ROOT", "{root}"),)), r"main"),
)


@pytest.mark.parametrize(("setup", "told"), [row[1:] for row in FAILING], ids=[row[0] for row in FAILING])
def test_a_script_that_does_not_start_ends_the_server_with_3(
    servers: Servers, kind: str, setup: Setup, told: str
) -> None:
    if setup.names_script is False and kind == "peer":
        setup = Setup(None, names_script=False, texts=(("c.json", "{}"),), arguments=("--config_file", "c.json"))
    with servers.started(kind, setup) as server:
        assert server.exit_code() == 3, server.log
        assert re.search(told, server.log, re.MULTILINE), server.log
        assert " E [" in server.log


def test_difference_nothing_to_serve_is_named(servers: Servers, kind: str) -> None:
    """Section 5.7: the peer refuses its command line; the agent looks for main.py, as the peer does in an image."""
    with servers.started(kind, Setup(None, names_script=False)) as server:
        assert server.exit_code() == (1 if server.like == "peer" else 3), server.log


MAIN = Setup(
    place="main.py",
    names_script=False,
    texts=(("c.json", "{}"),),
    environment=(("AML_APP_ROOT", "{root}"),),
    arguments=("--config_file", "c.json"),
)


def test_without_a_script_main_is_imported(servers: Servers, kind: str) -> None:
    check(servers, kind, Case("main", post("x"), result("x"), setup=MAIN))


def test_the_model_folder_is_listed_up_to_200_lines(servers: Servers, kind: str) -> None:
    many = tuple((f"models/file{number:03}", "") for number in range(250))
    environment = (("AZUREML_MODEL_DIR", "models"),)
    setup = Setup(None, texts=(("score.py", f"def init():\n    1 / 0\n{RUN}"), *many), environment=environment)
    with servers.started(kind, setup) as server:
        assert server.exit_code() == 3, server.log
        listed = re.findall(r" - +file(\d{3})$", server.log, re.MULTILINE)
        assert listed == [f"{number:03}" for number in range(199)], "the folder itself is the first of 200 lines"


USAGE = (
    ("no such option", ("--nope",)),
    ("port too large", ("--port", "99999")),
    ("port is no number", ("--port", "x")),
)


@pytest.mark.parametrize("arguments", [row[1] for row in USAGE], ids=[row[0] for row in USAGE])
def test_difference_usage_errors(servers: Servers, kind: str, arguments: tuple[str, ...]) -> None:
    """Section 5.7: exit code 1; the agent's is 2, as of all its settings."""
    with servers.started(kind, Setup(arguments=arguments)) as server:
        assert server.exit_code() == (1 if server.like == "peer" else 2), server.log


BAD_SETTINGS = (
    ("SCORING_TIMEOUT_MS", Setup(environment=(("SCORING_TIMEOUT_MS", "x"),)), "SCORING_TIMEOUT_MS"),
    ("config.json is cut short", Setup(texts=(("config.json", '{"SERVICE_NAME": '),)), "config"),
    ("config.json is a list", Setup(texts=(("config.json", "[]"),)), "config"),
    ("swagger.json is cut short", Setup(texts=(("swagger.json", "{"),)), "Expecting property name"),
)


@pytest.mark.parametrize(("setup", "told"), [row[1:] for row in BAD_SETTINGS], ids=[row[0] for row in BAD_SETTINGS])
def test_difference_bad_settings(servers: Servers, kind: str, setup: Setup, told: str) -> None:
    """Not in the reference: 3 from the peer's worker; 2 from the agent, as of all its settings."""
    with servers.started(kind, setup) as server:
        assert server.exit_code() == (3 if server.like == "peer" else 2), server.log
        assert told in server.log


def test_an_empty_configuration_file_is_none(servers: Servers, kind: str) -> None:
    check(servers, kind, Case("empty", post("x"), result("x"), setup=Setup(texts=(("config.json", ""),))))


def test_init_has_succeeded_when_the_root_says_200(servers: Servers, kind: str) -> None:
    source = "import os\nos.mkfifo('gate')\nREADY = []\ndef init():\n    READY.append(open('gate').read())\n"
    with servers.started(kind, _source(f"{source}def run(data):\n    return READY\n")) as server:
        wait_until(lambda: (server.folder / "gate").exists() or server.has_ended(), lambda: server.log)
        assert not server.answers("/", 0.3), "init() is waiting at the gate"
        (server.folder / "gate").write_text("open")
        server.wait_ready()
        reply = send(server, get("/score"))
        assert (reply.status, reply.text) == (200, '["open"]')


def test_sigterm_ends_it_with_0(servers: Servers, kind: str) -> None:
    with servers.started(kind, Setup()) as server:
        server.wait_ready()
        server.terminate()
        assert server.exit_code() == 0, server.log


def test_named_by_a_configuration_file(servers: Servers, kind: str) -> None:
    """AZUREML_ENTRY_SCRIPT of config.json, relative to the app root."""
    setup = Setup(
        names_script=False,
        place="code/score.py",
        texts=(config_json(AZUREML_ENTRY_SCRIPT="code/score.py"),),
        arguments=("--config_file", "config.json"),
    )
    check(servers, kind, Case("config", post("x"), result("x"), setup=setup))
