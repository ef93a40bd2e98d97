"""`edgepack simulate` as users run it, and the unmodified SDK with what `--info` says."""

import asyncio
import gc
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device import IoTHubDeviceClient, IoTHubModuleClient, MethodResponse

from simulator.control_client import ControlClient
from tests.integration.simulator.sdk_world import SDK_WARNINGS, loopback_address, manifest, sdk_message, until

pytestmark = SDK_WARNINGS
EXIT_S = 60


@pytest.fixture(autouse=True)
def _collect_clients() -> Iterator[None]:
    """See running_simulation."""
    yield
    gc.collect()


@contextmanager
def running_command(folder: Path, *arguments: str) -> Iterator[dict[str, Any]]:
    """What `--info` says of a run, which is interrupted in the end and has to lose nothing."""
    info_file, host = folder / "info.json", loopback_address()
    where = ("--host", host, "--folder", str(folder / "run"), "--info", str(info_file), "--no-ui")
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [Path(sys.executable).with_name("edgepack"), "-q", "simulate", *arguments, *where], stdout=log, stderr=log
        )
        try:
            until(lambda: info_file.exists() or process.poll() is not None, "the run is up", EXIT_S)
            assert process.poll() is None, (folder / "log").read_text()
            yield json.loads(info_file.read_text())
            process.send_signal(signal.SIGINT)
            assert process.wait(EXIT_S) == 0, (folder / "log").read_text()
        finally:
            process.kill()
            process.wait()


def arrived(folder: Path) -> list[dict[str, Any]]:
    """What is in cloud.jsonl after a run."""
    return [json.loads(line) for line in (folder / "run" / "cloud.jsonl").read_text().splitlines()]


def test_a_program_takes_the_place_of_a_simulated_device(tmp_path: Path) -> None:
    with running_command(tmp_path, "--devices", "2", "--rate", "20") as info:
        ca_pem = Path(info["ca"]).read_text()
        client: Any = IoTHubDeviceClient.create_from_connection_string(
            info["devices"]["sensor-001"], server_verification_cert=ca_pem, connection_retry_interval=1
        )
        try:
            client.connect()
            client.on_method_request_received = lambda request: client.send_method_response(
                MethodResponse.create_from_method_request(request, 200, {"echo": request.payload})
            )
            for number in range(20):
                client.send_message(sdk_message(json.dumps({"mine": number}), content_type="application/json"))
            client.patch_twin_reported_properties({"mine": True})

            async def ask() -> tuple[Any, Any]:
                async with ControlClient(Path(info["control"])) as control:
                    answer = await control.invoke("sensor-001", "hello", 1)
                    return answer, await control.twin("sensor-001")

            answer, twin = asyncio.run(ask())
            assert answer == {"status": 200, "payload": {"echo": 1}}
            assert twin["properties"]["reported"]["mine"] is True
            until_s = time.monotonic() + 30
            while not any(message["device"] == "sensor-002" for message in arrived(tmp_path)):
                assert time.monotonic() < until_s, "the other device sends nothing"
                time.sleep(0.1)
        finally:
            client.shutdown()
    messages = arrived(tmp_path)
    mine = [message["body"]["mine"] for message in messages if "mine" in message["body"]]
    assert list(dict.fromkeys(mine)) == list(range(20))
    assert any(message["device"] == "sensor-002" for message in messages)
    first = next(place for place, message in enumerate(messages) if "mine" in message["body"])
    others = [message for message in messages[first:] if message["device"] == "sensor-001"]
    assert all("mine" in message["body"] for message in others), "the simulated device has given way"


def test_a_module_runs_on_the_desk_with_what_info_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deployment's modules have no image here: edgeAgent tries in vain, and their identities are there."""
    (tmp_path / "deployment.json").write_text(json.dumps(manifest({"up": "FROM /messages/* INTO $upstream"})))
    with running_command(tmp_path, str(tmp_path / "deployment.json"), "--devices", "0") as info:
        for name, value in info["edge_environment"]["edge-1/scorer"].items():
            monkeypatch.setenv(name, value)
        client: Any = IoTHubModuleClient.create_from_edge_environment()
        try:
            client.send_message_to_output(sdk_message("1"), "out")
            assert client.get_twin()["desired"]["threshold"] == 1
        finally:
            client.shutdown()
        text = info["modules"]["edge-1/sink"]
        client = IoTHubModuleClient.create_from_connection_string(
            text, server_verification_cert=Path(info["ca"]).read_text()
        )
        try:
            client.send_message_to_output(sdk_message("2"), "out")
        finally:
            client.shutdown()
    found = [
        (message["device"], message["module"], message["output"], message["body"]) for message in arrived(tmp_path)
    ]
    assert found == [("edge-1", "scorer", "out", 1), ("edge-1", "sink", "out", 2)]
