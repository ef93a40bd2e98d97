"""Command line, environment and configuration file (sections 5.7 and 6.3), and cross-origin requests."""

import json
import re

import pytest

from tests.contract.cases import Answer, Case, Headers, Request, Text, check, get, post, result, send
from tests.contract.servers import Servers, Setup, config_json, free_port

HEALTH_PORTS = (str(free_port()), str(free_port()), str(free_port()))
ACCEPTED = (
    ("--worker_count", ("--worker_count", "2"), "1", 1),
    ("--model_dir", ("--model_dir", "models"), "os.environ['AZUREML_MODEL_DIR']", "models"),
    ("--health_port alone", ("--health_port", HEALTH_PORTS[0]), "1", 1),
    ("--appinsights_instrumentation_key", ("--appinsights_instrumentation_key", "no UUID"), "1", 1),
    ("--config_file", ("--config_file", "own.json"), "1", 1),
    ("--access_control_allow_origins", ("--access_control_allow_origins", "*"), "1", 1),
)


@pytest.mark.parametrize(
    ("arguments", "expression", "value"), [row[1:] for row in ACCEPTED], ids=[r[0] for r in ACCEPTED]
)
def test_argument(servers: Servers, kind: str, arguments: tuple[str, ...], expression: str, value: object) -> None:
    setup = Setup("evaluate.py", arguments=arguments, texts=(("own.json", '{"SERVICE_NAME": "own"}'),))
    with servers.started(kind, setup) as server:
        server.wait_ready()
        reply = send(server, post(expression, Origin="http://a.example"))
        assert (reply.status, json.loads(reply.body)) == (200, value)
        if "--access_control_allow_origins" in arguments:
            assert reply.value("access-control-allow-origin") == "http://a.example"
        if "--config_file" in arguments:
            assert json.loads(send(server, get("/swagger.json")).body)["info"]["title"] == "own"


IN_ENVIRONMENT = Setup(
    "evaluate.py",
    names_script=False,
    place="root/code/score.py",
    texts=(("root/at_root.py", ""), ("root/config.json", '{"SERVICE_NAME": "file", "SERVICE_VERSION": "9"}')),
    environment=(
        ("AML_APP_ROOT", "{root}/root"),
        ("AZUREML_ENTRY_SCRIPT", "code/score.py"),
        ("AZUREML_CONFIG_FILE", "{root}/root/config.json"),
        ("SERVICE_NAME", "environment"),
        ("SERVER_PORT", "1"),
        ("AML_APP_INSIGHTS_ENABLED", "true"),
        ("AML_APP_INSIGHTS_KEY", "no UUID"),
    ),
    arguments=("--config_file", "root/config.json"),
)


def test_the_script_is_relative_to_the_app_root(servers: Servers, kind: str) -> None:
    expression = "[os.path.relpath(__file__), importlib.util.find_spec('at_root') is not None]"
    check(servers, kind, Case("place", post(expression), result(["root/code/score.py", True]), setup=IN_ENVIRONMENT))


def test_the_environment_wins_over_the_file(servers: Servers, kind: str) -> None:
    reply = send(servers.ready(kind, IN_ENVIRONMENT), get("/swagger.json"))
    assert json.loads(reply.body)["info"]["title"] == "environment"


def test_the_file_wins_over_the_default(servers: Servers, kind: str) -> None:
    reply = send(servers.ready(kind, IN_ENVIRONMENT), get("/swagger.json"))
    assert json.loads(reply.body)["info"]["version"] == "9"


PLACES = (
    ("in the app root", Setup(texts=(config_json(SERVICE_NAME="found"),))),
    (
        "beside the script",
        Setup(
            place="code/score.py",
            texts=(("code/config.json", '{"SERVICE_NAME": "found"}'),),
            environment=(("AZUREML_ENTRY_SCRIPT", "code/score.py"),),
        ),
    ),
    (
        "the app root's first",
        Setup(
            place="code/score.py",
            texts=(config_json(SERVICE_NAME="found"), ("code/config.json", '{"SERVICE_NAME": "second"}')),
        ),
    ),
    (
        "named by the environment",
        Setup(
            texts=(("own.json", '{"SERVICE_NAME": "found"}'), config_json(SERVICE_NAME="not looked at")),
            environment=(("AZUREML_CONFIG_FILE", "{root}/own.json"),),
        ),
    ),
)


@pytest.mark.parametrize("setup", [row[1] for row in PLACES], ids=[row[0] for row in PLACES])
def test_where_the_configuration_file_is(servers: Servers, kind: str, setup: Setup) -> None:
    reply = send(servers.ready(kind, setup), get("/swagger.json"))
    assert json.loads(reply.body)["info"]["title"] == "found"


CONFIGURED = Setup(
    "slow.py",
    texts=(config_json(SCORING_TIMEOUT_MS=200, AML_CORS_ORIGINS="http://a.example", SERVICE_NAME="own", AML_TEAM="x"),),
)


def test_the_time_limit_of_a_file(servers: Servers, kind: str) -> None:
    reply = send(servers.ready(kind, CONFIGURED), post("hang"))
    assert (reply.status, reply.text) == (500, '{"message": "Scoring timeout after 200 ms"}')


def test_difference_keys_of_a_file_that_the_peer_ignores(servers: Servers, kind: str) -> None:
    """Section 6.3: AML_APP_ROOT, AML_APP_INSIGHTS_*, AML_CORS_ORIGINS and AML_MODEL_DC_STORAGE_ENABLED."""
    server = servers.ready(kind, CONFIGURED)
    reply = send(server, post("x", Origin="http://a.example"))
    expected = None if server.like == "peer" else "http://a.example"
    assert (reply.status, reply.value("access-control-allow-origin")) == (200, expected)


def test_difference_extra_keys(servers: Servers, kind: str) -> None:
    """Section 6.3: the peer names settings of its own, those of the environment, and no unknown key of the file."""
    server = servers.ready(kind, CONFIGURED)
    warning = server.wait_log(r"Found extra keys(.*\n?.*)")[1]
    assert ("AZUREML_ENTRY_SCRIPT" in warning, "AML_TEAM" in warning) == (server.like == "peer", server.like == "agent")
    assert "SERVICE_NAME" not in warning


A, B, C = "http://a.example", "http://b.example", "http://c.example"
TWO = Setup(environment=(("AML_CORS_ORIGINS", f"{A}, {B}"),))
ANY = Setup(environment=(("AML_CORS_ORIGINS", "*"),))


def _allowed(origin: str | None, *further: tuple[str, Text | None], vary: str | None = "Origin") -> Headers:
    return (("Access-Control-Allow-Origin", origin), ("Vary", vary), *further)


def _asks(origin: str, method: str, headers: str = "") -> Request:
    asked = (("Origin", origin), ("Access-Control-Request-Method", method))
    return Request("OPTIONS", headers=(*asked, ("Access-Control-Request-Headers", headers)) if headers else asked)


def _posted(name: str, setup: Setup, origin: str, headers: Headers) -> Case:
    return Case(name, post("x", Origin=origin), result("x", headers=headers), setup=setup)


def _preflight(name: str, setup: Setup, request: Request, headers: Headers) -> Case:
    return Case(name, request, Answer("", 200, "text/html; charset=utf-8", "False", False, headers), setup=setup)


METHODS = ("Access-Control-Allow-Methods", "GET, POST")
NONE = _allowed(None, ("Access-Control-Allow-Methods", None), vary=None)
CORS = (
    _posted("first of two", TWO, A, _allowed(A)),
    _posted("second of two", TWO, B, _allowed(B)),
    _posted("neither", TWO, C, NONE),
    _posted("any", ANY, C, _allowed(C)),
    _posted("none configured", Setup(), A, NONE),
    _preflight("preflight", TWO, _asks(A, "POST"), _allowed(A, METHODS, ("Access-Control-Allow-Headers", None))),
    _preflight(
        "preflight with headers",
        TWO,
        _asks(A, "POST", "X-A, Content-Type"),
        _allowed(A, METHODS, ("Access-Control-Allow-Headers", re.compile("(?=.*Content-Type)(?=.*X-A).*"))),
    ),
    _preflight("preflight for PUT", TWO, _asks(A, "PUT"), _allowed(A, ("Access-Control-Allow-Methods", None))),
    _preflight("preflight from elsewhere", TWO, _asks(C, "POST"), NONE),
    _preflight("preflight, any", ANY, _asks(C, "GET"), _allowed(C, METHODS)),
    _preflight("preflight, none configured", Setup(), _asks(A, "POST"), NONE),
)


@pytest.mark.parametrize("case", CORS, ids=lambda case: case.name)
def test_cors(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


@pytest.mark.parametrize("target", ["/", "/swagger.json", "/swagger.json?version=9"])
def test_cors_on_the_other_routes(servers: Servers, kind: str, target: str) -> None:
    reply = send(servers.ready(kind, TWO), get(target, Origin=A))
    assert reply.value("access-control-allow-origin") == A


@pytest.mark.parametrize(("setup", "origin", "vary"), [(TWO, A, "Origin"), (ANY, "*", None)])
def test_cors_without_an_origin(servers: Servers, kind: str, setup: Setup, origin: str, vary: str | None) -> None:
    """Answered as if the first origin had asked."""
    reply = send(servers.ready(kind, setup), post("x"))
    assert (reply.status, reply.value("access-control-allow-origin"), reply.value("vary")) == (200, origin, vary)


def test_a_port_for_health_alone(servers: Servers, kind: str) -> None:
    """Section 5.7: it serves the same routes."""
    port = HEALTH_PORTS[1 if kind == "peer" else 2]
    environment = (("SEPERATE_HEALTH_ENDPOINT", "true"),)
    with servers.started(kind, Setup(environment=environment, arguments=("--health_port", port))) as server:
        server.wait_ready()
        assert send(server, post("x")).text == '"x"'
        server.port = int(port)
        assert server.answers("/")
        assert send(server, post("x")).text == '"x"'
