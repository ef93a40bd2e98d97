"""`edgepack deploy` as people run it, against the service interface on HTTPS: output, exit codes, trust, secrets."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme
from starlette.types import Receive, Scope, Send

from simulator.cloud.service_api import serve_service, service_app
from tests.fakes.command_line import Outcome, command_line
from tests.fakes.edge_deployments import desired, module
from tests.fakes.loop_thread import LoopThread, end_other_tasks
from tests.fakes.service_world import OWNER_KEY, FakeInvoker, ServiceWorld

KEY = base64.b64encode(OWNER_KEY).decode()
HUB = {
    "schemaVersion": "1.1",
    "routes": {"up": "FROM /messages/* INTO $upstream"},
    "storeAndForwardConfiguration": {"timeToLiveSecs": 60},
}


class Served:
    """A hub on HTTPS. `refusals` are answered to the next requests, status and headers; `cuts`: connections to end."""

    def __init__(self, folder: Path) -> None:
        self.world = ServiceWorld()
        self.world.now_s = time.time()
        self.refusals: list[tuple[int, list[tuple[bytes, bytes]]]] = []
        self.cuts = 0
        self.port = 0
        self.ca = folder / "ca.pem"
        authority = trustme.CA()
        issued = authority.issue_cert("localhost")
        authority.cert_pem.write_to_path(str(self.ca))
        self._certificate, self._key = folder / "certificate.pem", folder / "key.pem"
        self._certificate.write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
        issued.private_key_pem.write_to_path(str(self._key))

    @property
    def connection_string(self) -> str:
        """Of its owner."""
        return f"HostName=localhost:{self.port};SharedAccessKeyName=iothubowner;SharedAccessKey={KEY}"

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator[None]:
        """Serve, behind a relay that can end connections."""
        app = service_app(self.world.hub, FakeInvoker(), time.time)

        async def troubled(scope: Scope, receive: Receive, send: Send) -> None:
            if not self.refusals:
                await app(scope, receive, send)
                return
            status, headers = self.refusals.pop(0)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": b"<html>no JSON</html>"})

        async with serve_service(troubled, self._certificate, self._key) as behind:

            async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                if self.cuts:
                    self.cuts -= 1
                    await reader.read(1)
                    writer.transport.abort()
                    return
                inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", behind)
                await asyncio.wait(
                    [
                        asyncio.create_task(_carry(reader, inner_writer)),
                        asyncio.create_task(_carry(inner_reader, writer)),
                    ]
                )

            server = await asyncio.start_server(relay, "127.0.0.1", 0)
            self.port = server.sockets[0].getsockname()[1]
            yield
            server.close()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    loop = LoopThread()
    loop.start()
    found = Served(tmp_path)
    serving = found.serve()
    loop.run(serving.__aenter__())
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", found.connection_string)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(found.ca))
    monkeypatch.chdir(tmp_path)
    try:
        yield found
    finally:
        loop.run(serving.__aexit__(None, None, None))
        loop.run(end_other_tasks())
        loop.stop()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[..., Outcome]]:
    """Runs a command; no output of any may have a secret in it."""
    outcomes: list[Outcome] = []
    inner = command_line(capsys)

    def command(*arguments: str) -> Outcome:
        outcomes.append(inner("-v", "deploy", *arguments))
        return outcomes[-1]

    yield command
    for outcome in outcomes:
        for text in (outcome.out, outcome.err):
            assert KEY not in text
            assert OWNER_KEY.decode() not in text
            assert "SharedAccessSignature sr" not in text
            assert "SharedAccessKey=" not in text.replace("SharedAccessKey=...", "")


def write(path: Path, /, **modules: dict[str, Any]) -> str:
    content = {"$edgeAgent": {"properties.desired": desired(**modules)}, "$edgeHub": {"properties.desired": HUB}}
    path.write_text(json.dumps({"modulesContent": content}))
    return str(path)


def test_a_device_is_deployed_to(served: Served, run: Callable[..., Outcome], tmp_path: Path) -> None:
    file = write(tmp_path / "d.json", scorer=module("a:1"))
    tried = run(file, "--device", "edge-1", "--dry-run")
    assert tried.code == 0
    assert "+ module scorer  a:1" in tried.out
    assert "nothing was done: would apply it to edge-1" in tried.out
    assert served.world.registry.twin("edge-1/$edgeAgent").desired == {}
    done = run(file, "--device", "edge-1", "--json")
    assert done.code == 0
    assert done.document["action"] == "apply"
    assert {change["subject"] for change in done.document["changes"]} >= {"module scorer", "route up", "$edgeHub"}
    assert "scorer" in served.world.registry.twin("edge-1/$edgeAgent").desired["modules"]
    assert "edge-1 has it already" in run("--device", "edge-1", file).out
    gone = run(write(tmp_path / "e.json", other=module("b:1")), "--device", "edge-1")
    assert "warning: the module scorer is not in the deployment: it is removed" in gone.err
    shown = run("status", "--device", "edge-1")
    assert shown.code == 0
    assert "edge-1: pending (version 0 of 3" in shown.out
    assert run("status", "--device", "edge-1", "--json").document["state"] == "pending"


def test_what_the_runtime_takes_is_deployed_with_warnings(
    served: Served, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    loose = module(
        "a:1", status="Running", restartPolicy="Always", startupOrder="1", version=1.0, env=None,
        settings={"createOptions": {"hostconfig": {"Memory": 1}}},
    )  # fmt: skip
    file = Path(write(tmp_path / "d.json", scorer=loose, other=module(settings={"createOptions": "{'User': 'a',}"})))
    text = file.read_text().replace('"timeToLiveSecs": 60', '"timeToLiveSecs": "60"')
    text = text.replace('"schemaVersion": "1.1", "routes"', '"schemaVersion": 1.1, "routes"')
    file.write_text(text.replace("FROM /messages/*", "FROM /messages/modules/by-hand/*"))
    done = run(str(file), "--device", "edge-1")
    assert done.code == 0, done.err
    assert done.err.count("warning: ") == 11
    assert "scorer" in served.world.registry.twin("edge-1/$edgeAgent").desired["modules"]


def test_a_device_that_does_not_apply_it_in_time_is_exit_code_3(
    served: Served, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    file = write(tmp_path / "d.json", scorer=module("a:1"))
    done = run("--wait", "0", file, "--device", "edge-1", "--json")
    assert done.code == 3
    assert done.document["progress"]["applied"] is False
    assert "not applied: edge-1: version 2 is not carried out" in done.err


def test_an_automatic_deployment_from_beginning_to_end(
    served: Served, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    file = write(tmp_path / "d.json", scorer=module("a:1"))
    options = ("--target-condition", "*", "--priority", "3", "--label", "team=a", "--metric", "n=SELECT * FROM devices")
    made = run(file, "--id", "Base", *options)
    assert made.code == 0
    assert "ids of deployments are lower case: base" in made.err
    assert "made the deployment base" in made.out
    other = write(tmp_path / "e.json", scorer=module("a:2"))
    refused = run(other, "--id", "base")
    assert refused.code == 2
    assert "differs in module scorer" in refused.err
    replaced = run(other, "--id", "base", "--replace", "--json")
    assert replaced.document["action"] == "replace"
    (row,) = run("list", "--json").document
    assert (row["id"], row["priority"], row["target_condition"], row["labels"]) == ("base", 3, "*", {"team": "a"})
    assert "content" not in row
    assert run("list").out.splitlines()[1].split() == ["base", "3", "1", "1", "0", "0", "*"]
    status = run("status", "--id", "base")
    assert "targeted 1  applied 1  succeeded 0  failed 0  n 2" in status.out
    assert run("status", "--id", "base", "--json").document["deployment"] == "base"
    assert run("delete", "--id", "base", "--json").document == {"deleted": "base"}
    assert run("list").out == "no automatic deployments\n"
    assert run("delete", "--id", "base").code == 2


def test_calls_are_repeated_over_refusals_and_broken_connections(
    served: Served, run: Callable[..., Outcome], tmp_path: Path
) -> None:
    file = write(tmp_path / "d.json", scorer=module("a:1"))
    served.refusals = [(429, [(b"retry-after", b"1")]), (503, [])]
    served.cuts = 1
    done = run(file, "--device", "edge-1")
    assert done.code == 0
    assert done.err.count("trying again in") == 3
    served.refusals = [(500, [])] * 100
    failed = run("list", "--timeout", "1")
    assert failed.code == 3
    assert "has trouble of its own (500)" in failed.err
    assert "of --timeout" in failed.err


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        ("HostName=localhost:1;SharedAccessKeyName=iothubowner;SharedAccessKey={key}", 3, "cannot be reached"),
        (
            "HostName=localhost:{port};SharedAccessKeyName=nobody;SharedAccessKey={key}",
            3,
            "the key of the policy 'nobody'",
        ),
        (
            "HostName=localhost:{port};SharedAccessKeyName=iothubowner;SharedAccessKey=AAAA",
            3,
            "does not accept the key",
        ),
        ("HostName=localhost:{port};DeviceId=edge-1;SharedAccessKey={key}", 2, "that of a device or module"),
        ("HostName=localhost:{port};SharedAccessKeyName=iothubowner;SharedAccessKey={key}*", 2, "no base64"),
        ("", 2, "the variable IOTHUB_CONNECTION_STRING is not set"),
    ],
)
def test_connection_strings_that_do_not_work_are_told(
    served: Served, run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch, text: str, code: int, told: str
) -> None:
    monkeypatch.setenv("IOTHUB_CONNECTION_STRING", text.format(port=served.port, key=KEY))
    found = run("list", "--timeout", "1")
    assert found.code == code
    assert told in found.err


def test_the_connection_string_comes_from_where_it_is_said(
    served: Served, run: Callable[..., Outcome], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("IOTHUB_CONNECTION_STRING")
    file = tmp_path / "connection"
    file.write_text(f"{served.connection_string}\n")
    assert run("list", "--connection-string-file", str(file)).code == 0
    monkeypatch.setenv("OTHER", served.connection_string)
    assert run("list", "--connection-string-env", "OTHER").code == 0
    both = run("list", "--connection-string-env", "OTHER", "--connection-string-file", str(file))
    assert (both.code, "Give one of --connection-string-env" in both.err) == (2, True)
    assert "the variable THIRD is not set" in run("list", "--connection-string-env", "THIRD").err
    file.write_bytes(b"\xff")
    found = run("list", "--connection-string-file", str(file))
    assert (found.code, "not UTF-8" in found.err) == (2, True)


def test_an_authority_that_is_not_trusted_is_told(
    served: Served, run: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    found = run("list")
    assert found.code == 3
    assert f"the certificate of localhost:{served.port} is not trusted" in found.err
    assert run("list", "--ca-file", str(served.ca)).code == 0


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("none.json", "--device", "edge-1"), "none.json: No such file"),
        (("statuss",), "Give one of --device ID and --id ID"),
        (("d.json",), "Give one of --device ID and --id ID"),
        (("d.json", "--device", "a", "--id", "b"), "Give one of --device ID and --id ID"),
        (("d.json", "--device", "a", "--priority", "0"), "go with --id"),
        (("d.json", "--device", "edge-2"), "the hub has no device edge-2: did you mean edge-1?"),
        (("d.json", "--id", "x"), "--target-condition is needed"),
        (("d.json", "--id", "x", "--priority", "1", "--target-condition", "tags ="), "--target-condition: expected"),
        (("d.json", "--id", "x", "--label", "y"), "--label y: expected NAME=VALUE"),
        (("bad.json", "--device", "edge-1"), "/modulesContent/$edgeAgent/properties.desired/modules/scorer/status"),
        (("status",), "Give one of --device ID and --id ID"),
        (("status", "--id", "x"), "there is no deployment x: the hub has none"),
        (("delete",), "Missing option '--id'"),
    ],
)
def test_wrong_usage_is_exit_code_2_and_told(
    served: Served, run: Callable[..., Outcome], tmp_path: Path, arguments: tuple[str, ...], told: str
) -> None:
    write(tmp_path / "d.json", scorer=module("a:1"))
    write(tmp_path / "bad.json", scorer=module("a:1", status="on"))
    found = run(*arguments)
    assert found.code == 2
    assert told in found.err
    assert served.world.registry.twin("edge-1/$edgeAgent").desired == {}


def test_help_shows_the_command_and_its_subcommands(run: Callable[..., Outcome]) -> None:
    for arguments in (("--help",), ("-h",), ("d.json", "--help")):
        shown = run(*arguments)
        assert shown.code == 0
        assert shown.out.startswith("Usage: edgepack deploy [OPTIONS] DEPLOYMENT.json\n")
        for word in ("status|list|delete [OPTIONS]", "--target-condition", "--connection-string-env", "Commands:"):
            assert word in shown.out
        assert "default" not in shown.out.partition("Commands:")[2]
    assert "Usage: edgepack deploy status [OPTIONS]" in run("status", "-h").out
    wrong = run("d.json", "--nonsense")
    assert "Usage: edgepack deploy [OPTIONS] DEPLOYMENT.json" in wrong.err
    assert "Try 'edgepack deploy --help'" in wrong.err
