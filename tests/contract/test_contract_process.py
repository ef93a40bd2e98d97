"""Time limit, exits and what the script sees of its process (sections 5.1 and 6.2)."""

import os
import re

import pytest

from tests.contract.cases import (
    SCRIPT_ERROR,
    Answer,
    Case,
    check,
    connect,
    get,
    message,
    post,
    read_reply,
    result,
    script_error,
    send,
)
from tests.contract.servers import Servers, Setup, wait_until

LIMITED = Setup("slow.py", environment=(("SCORING_TIMEOUT_MS", "200"),))
TIMED_OUT = message(500, "Scoring timeout after 200 ms", failed="True")
KILLED = "section 6.2: the agent's limit ends the script's process, the peer's is an exception inside run()"
LIMITS = (
    Case("hangs", post("hang"), TIMED_OUT, setup=LIMITED),
    Case("swallows the exception", post("swallow"), None, result("swallowed"), TIMED_OUT, KILLED, LIMITED),
    Case("the next one is answered", post("x"), result("x"), setup=LIMITED),
)


@pytest.mark.parametrize("case", LIMITS, ids=lambda case: case.name)
def test_time_limit(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


def test_difference_init_runs_again_after_a_timeout(servers: Servers, kind: str) -> None:
    with servers.started(kind, LIMITED) as server:
        server.wait_ready()
        assert send(server, post("hang")).status == 500
        server.wait_ready()
        assert send(server, post("inits")).text == ("1" if server.like == "peer" else "2")


FAILURES = Setup("failures.py")
PEERS_PAGE = re.compile(r"(?s)<html>.*Internal Server Error.*</html>\s*")
EXITS = (
    Case(
        "TimeoutError of its own",
        post("TimeoutError"),
        None,
        message(500, "Scoring timeout after 3600000 ms", failed="True"),
        script_error(),
        "section 6.2: the agent tells a script's TimeoutError from its own limit",
        FAILURES,
    ),
    Case(
        "SystemExit",
        post("SystemExit"),
        None,
        Answer(PEERS_PAGE, 500, "text/html", None, False, (("x-request-id", None), ("x-ms-server-version", None))),
        script_error(),
        "section 6.2: the agent answers sys.exit() as any other fault of the script",
        FAILURES,
    ),
    Case(
        "GeneratorExit",
        post("GeneratorExit"),
        None,
        Answer(None, 500, re.compile("text/html.*"), None, False),
        script_error(),
        "as SystemExit: no Exception, so the peer does not catch it; not in the reference",
        FAILURES,
    ),
    Case("and then it works", post("x"), result("x"), setup=FAILURES),
)


@pytest.mark.parametrize("case", EXITS, ids=lambda case: case.name)
def test_exit(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


def test_difference_there_is_one_deadline(servers: Servers, kind: str) -> None:
    """Section 6.2: the peer's WORKER_TIMEOUT fires before SCORING_TIMEOUT_MS; the agent has only the latter."""
    limits = (("WORKER_TIMEOUT", "1"), ("SCORING_TIMEOUT_MS", "2500"))
    with servers.started(kind, Setup("slow.py", environment=limits)) as server:
        server.wait_ready()
        reply = send(server, post("hang"))
        assert reply.status == 500
        if server.like == "peer":
            assert PEERS_PAGE.fullmatch(reply.text)
            assert not [name for name, _ in reply.headers if name.startswith("x-")]
        else:
            assert reply.text == '{"message": "Scoring timeout after 2500 ms"}'
            assert reply.value("x-ms-run-function-failed") == "True"
        wait_until(lambda: send(server, post("inits")).text == "2", lambda: f"started again\n{server.log}")


def test_difference_health_while_run_is_busy(servers: Servers, kind: str) -> None:
    """Section 6.2: with the peer, GET / waits until the running score is done."""
    with servers.started(kind, Setup("slow.py")) as server:
        server.wait_ready()
        os.mkfifo(server.folder / "gate")
        with connect(server) as scoring:
            scoring.sendall(post("wait").to_bytes())
            wait_until(lambda: (server.folder / "waiting").exists(), lambda: server.log)
            if server.like == "peer":
                assert not server.answers("/", 0.3)
            else:
                assert [server.answers(path) for path in ("/", "/readyz", "/livez", "/metrics")] == [True] * 4
            (server.folder / "gate").write_text("open")
            assert read_reply(scoring).text == '"open"'
        assert server.answers("/")


def test_others_wait_for_the_one_worker(servers: Servers, kind: str) -> None:
    """Section 5.1: no 503; each gets its own answer."""
    server = servers.ready(kind, Setup())
    connections = [connect(server) for _ in range(20)]
    for number, connection in enumerate(connections):
        connection.sendall(post(f"{number}").to_bytes())
    for number, connection in enumerate(connections):
        with connection:
            assert read_reply(connection).text == f'"{number}"'


EVALUATE = Setup("evaluate.py", environment=(("AZUREML_MODEL_DIR", "models"), ("OWN", "1")))
BESIDE = Setup(
    "evaluate.py",
    place="code/score.py",
    texts=(("code/sibling.py", "NAME = 'sibling'\n"), ("at_root.py", ""), ("source/in_source.py", "")),
    environment=(("AML_APP_ROOT", "{root}"), ("AZUREML_SOURCE_DIRECTORY", "source")),
)
REGISTERED = "section 6.2: the agent registers the module, the peer does not"
SIBLINGS = "section 6.2: the agent appends the script's folder to the import path, the peer does not"


def _value(name: str, expression: str, expected: object, setup: Setup = EVALUATE) -> Case:
    return Case(name, post(expression), result(expected), setup=setup)


def _found(module: str) -> str:
    return f"importlib.util.find_spec('{module}') is not None"


SEEN = (
    _value("module name", "__name__", "entry_module"),
    _value("file name", "os.path.basename(__file__)", "score.py"),
    _value("environment", "os.environ['OWN']", "1"),
    _value("model folder", "os.environ['AZUREML_MODEL_DIR']", "models"),
    _value("app root", "os.path.realpath(os.environ['AML_APP_ROOT']) == os.path.realpath(os.getcwd())", True),
    _value("one copy of the module", "len(INITS)", 1),
    _value("state is kept", "ANSWERS.setdefault('a', len(ANSWERS))", 0),
    _value("state was kept", "ANSWERS.setdefault('a', len(ANSWERS))", 0),
    _value("the app root is importable", _found("at_root"), True, BESIDE),
    _value("the source directory is importable", _found("in_source"), True, BESIDE),
    Case(
        "sys.modules",
        post("'entry_module' in sys.modules"),
        None,
        result(False),
        result(True),
        REGISTERED,
        EVALUATE,
    ),
    Case("a sibling", post(_found("sibling")), None, result(False), result(True), SIBLINGS, BESIDE),
    _value("a script's thread is the main thread", "__import__('threading').current_thread().name", "MainThread"),
)


@pytest.mark.parametrize("case", SEEN, ids=lambda case: case.name)
def test_what_a_script_sees(servers: Servers, kind: str, case: Case) -> None:
    check(servers, kind, case)


def test_difference_a_dataclass_under_postponed_annotations(servers: Servers, kind: str) -> None:
    """Section 6.2: its module is not in the peer's sys.modules; so pickles do not find it either."""
    with servers.started(kind, Setup("future_dataclass.py")) as server:
        if server.like == "peer":
            assert server.exit_code() == 3
            assert "'NoneType' object has no attribute '__dict__'" in server.log
        else:
            server.wait_ready()
            assert send(server, get("/score")).text == "5"


def test_difference_a_pickle_that_names_a_class_of_the_script(servers: Servers, kind: str) -> None:
    """Section 6.2, there unverified for the peer."""
    source = "\nimport pickle\nclass Point:\n    x = 5\ndef init():\n    pass\n"
    source += "def run(data):\n    return pickle.loads(pickle.dumps(Point())).x\n"
    with servers.started(kind, Setup(None, texts=(("score.py", source),))) as server:
        server.wait_ready()
        reply = send(server, get("/score"))
        if server.like == "peer":
            assert (reply.status, reply.text) == (500, f'{{"message": "{SCRIPT_ERROR}"}}')
            assert "PicklingError" in server.wait_log(r"_pickle\.PicklingError.*entry_module.*")[0]
        else:
            assert (reply.status, reply.text) == (200, "5")


def test_the_run_of_a_driver_module(servers: Servers, kind: str) -> None:
    answer = result(["the driver's init", "the author's run", "x"])
    check(servers, kind, Case("driver", post("x"), answer, setup=Setup("driver.py")))
