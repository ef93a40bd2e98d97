"""Log lines (sections 5.8 and 6.3): their format, one for each request, and what becomes of what a script prints."""

import json
import re

import pytest

from tests.contract.cases import get, post, send
from tests.contract.servers import Server, Servers, Setup

LOGS = Setup("logs.py")
START = r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} "


def _line(level: str, logger: str, text: str) -> str:
    return rf"{START}{level} \[\d+\] {re.escape(logger)} - {text}$"


def _said(server: Server, way: str, status: int = 200) -> None:
    assert send(server, post(way)).status == status


REQUESTS = (
    ("POST", post("print"), r"POST /score 200 \d+\.\d{3}ms 2"),
    ("query", get("/score?a=1&b=%20"), r"GET /score\?a=1&b=%20 500 \d+\.\d{3}ms 92"),
    ("raises", post("raise"), r"POST /score 500 \d+\.\d{3}ms 92"),
    ("unserialisable", post("unserialisable"), r"POST /score 500 \d+\.\d{3}ms 83"),
    ("not UTF-8", post(b"\xff"), r"POST /score 400 \d+\.\d{3}ms \d+"),
    ("swagger", get("/swagger.json?version=9"), r"GET /swagger\.json\?version=9 404 \d+\.\d{3}ms 81"),
)


@pytest.mark.parametrize(("request_", "line"), [row[1:] for row in REQUESTS], ids=[row[0] for row in REQUESTS])
def test_a_line_for_each_request(servers: Servers, kind: str, request_: object, line: str) -> None:
    server = servers.ready(kind, LOGS)
    send(server, request_)  # type: ignore[arg-type]
    server.wait_log(_line("I", "azmlinfsrv", line))


def test_the_root_is_not_logged(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, LOGS)
    for target in ("/", "/?a=root", "/score?a=after-root"):
        send(server, get(target))
    server.wait_log("after-root")
    assert not re.search(r"azmlinfsrv - GET /[ ?]", server.log)


STREAMS = (
    ("print", _line("I", "azmlinfsrv.print", "printed-twice")),
    ("print without end", _line("I", "azmlinfsrv.print", "endless")),
    ("server info", _line("I", "azmlinfsrv", "server info")),
    ("print to stderr", "printed to stderr$"),
    ("write", "written$"),
    ("os.write", "raw bytes$"),
    ("root warning", "root warning$"),
    ("own warning", "own warning$"),
)


@pytest.mark.parametrize(("way", "line"), STREAMS, ids=[row[0] for row in STREAMS])
def test_what_a_script_writes(servers: Servers, kind: str, way: str, line: str) -> None:
    server = servers.ready(kind, LOGS)
    _said(server, way)
    server.wait_log(line)


def test_what_init_prints(servers: Servers, kind: str) -> None:
    servers.ready(kind, LOGS).wait_log(_line("I", "azmlinfsrv.print", "from init"))


def test_one_record_for_a_print_of_two_lines(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, LOGS)
    _said(server, "print lines")
    server.wait_log(rf"{START}I \[\d+\] azmlinfsrv\.print - first\nsecond$")


def test_print_to_a_file_goes_there(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, LOGS)
    _said(server, "print to a file")
    assert (server.folder / "printed.txt").read_text() == "to a file\n"


def test_debug_is_not_logged(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, LOGS)
    _said(server, "server debug")
    _said(server, "server info")
    server.wait_log("server info")
    assert "server debug" not in server.log


def test_the_traceback_of_a_fault(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, LOGS)
    _said(server, "raise", 500)
    server.wait_log(rf"{START}E \[\d+\] azmlinfsrv - Encountered Exception: Traceback")
    server.wait_log(r"^ZeroDivisionError: ")
    server.wait_log(r'File ".*score\.py", line \d+, in run$')


def test_the_type_that_has_no_json_form(servers: Servers, kind: str) -> None:
    """Section 6.1: the log names it."""
    server = servers.ready(kind, LOGS)
    _said(server, "unserialisable", 500)
    server.wait_log(r"of type set\b")


def test_a_deprecated_header(servers: Servers, kind: str) -> None:
    server = servers.ready(kind, LOGS)
    send(server, post("print", **{"x-ms-request-id": "B"}))
    server.wait_log(_line("W", "azmlinfsrv", "x-ms-request-id .*x-ms-client-request-id.*"))


def test_difference_the_root_logger(servers: Servers, kind: str) -> None:
    """Section 6.3: the peer drops info and sends bare warnings to standard error."""
    with servers.started(kind, LOGS) as server:
        server.wait_ready()
        _said(server, "root info")
        _said(server, "root warning")
        if server.like == "peer":
            server.wait_log("^WARNING:root:root warning$")
            assert "root warning" in "\n".join(server.errors)
            assert "root info" not in server.log
        else:
            server.wait_log(_line("I", "root", "root info"))
            server.wait_log(_line("W", "root", "root warning"))


def test_difference_the_log_level(servers: Servers, kind: str) -> None:
    """Section 6.3: AZUREML_LOG_LEVEL is read and never used by the peer."""
    setup = Setup("logs.py", environment=(("AZUREML_LOG_LEVEL", "WARNING"),))
    with servers.started(kind, setup) as server:
        server.wait_ready()
        _said(server, "server info")
        _said(server, "root warning")
        server.wait_log("root warning")
        assert ("azmlinfsrv - server info" in server.log) == (server.like == "peer")


OWN_FORMAT = {
    "version": 1,
    "formatters": {"own": {"format": "OWN %(levelname)s %(name)s %(message)s"}},
    "handlers": {"own": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout", "formatter": "own"}},
    "loggers": {"azmlinfsrv": {"level": "INFO", "handlers": ["own"], "propagate": False}},
    "root": {"level": "WARNING", "handlers": ["own"]},
}
OWN_PLACES = (
    ("in the app root", Setup("logs.py", texts=(("logging.json", json.dumps(OWN_FORMAT)),))),
    (
        "beside the script",
        Setup("logs.py", place="code/score.py", texts=(("code/logging.json", json.dumps(OWN_FORMAT)),)),
    ),
)


@pytest.mark.parametrize("setup", [row[1] for row in OWN_PLACES], ids=[row[0] for row in OWN_PLACES])
def test_an_own_logging_configuration(servers: Servers, kind: str, setup: Setup) -> None:
    server = servers.ready(kind, setup)
    _said(server, "print")
    _said(server, "own warning")
    server.wait_log("^OWN INFO azmlinfsrv.print printed-twice$")
    server.wait_log("^OWN WARNING own own warning$")
    server.wait_log(r"^OWN INFO azmlinfsrv POST /score 200 \d+\.\d{3}ms 2$")
