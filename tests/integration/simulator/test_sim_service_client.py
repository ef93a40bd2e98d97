"""The public service client, unmodified and in an environment of its own, against the service interface on HTTPS."""

import asyncio
import base64
import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import trustme

from simulator.cloud.service_api import serve_service, service_app
from tests.fakes.service_world import OWNER_KEY, FakeInvoker, ServiceWorld, manifest

ROOT = Path(__file__).parents[3]
SCRIPT = Path(__file__).parent / "scripts" / "hub_client.py"
DEADLINE_S = 90

pytestmark = [pytest.mark.network, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def client_python() -> str:
    """The Python of the client's environment, made if need be."""
    made = subprocess.run([ROOT / "scripts" / "peer", "azure_iot_hub"], capture_output=True, text=True, check=False)
    if made.returncode != 0:
        pytest.skip(f"the public client cannot be installed: {made.stderr.strip()[-300:]}")
    return made.stdout.split()[-1]


async def client_says(python: str, folder: Path) -> dict[str, Any]:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    (folder / "certificate.pem").write_bytes(b"".join(part.bytes() for part in issued.cert_chain_pems))
    issued.private_key_pem.write_to_path(str(folder / "key.pem"))
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    app = service_app(ServiceWorld().hub, FakeInvoker(), time.time)
    async with serve_service(app, folder / "certificate.pem", folder / "key.pem") as port:
        key = base64.b64encode(OWNER_KEY).decode()
        client = await asyncio.create_subprocess_exec(
            python,
            "-W",
            "ignore",
            SCRIPT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={
                "PATH": os.environ.get("PATH", ""),
                "REQUESTS_CA_BUNDLE": str(folder / "authority.pem"),
                "CONNECTION_STRING": f"HostName=localhost:{port};SharedAccessKeyName=iothubowner;SharedAccessKey={key}",
            },
        )
        try:
            output, errors = await asyncio.wait_for(
                client.communicate(json.dumps(manifest("scorer")).encode()), DEADLINE_S
            )
        finally:
            if client.returncode is None:
                client.kill()
                await client.wait()
    assert client.returncode == 0, errors.decode()
    said: dict[str, Any] = json.loads(output)
    return said


def test_the_public_client_deploys(client_python: str, tmp_path: Path) -> None:
    assert asyncio.run(client_says(client_python, tmp_path)) == {
        "device": ["new", True, True],
        "again": 409,
        "module": ["mine", "me"],
        "modules": ["$edgeAgent", "$edgeHub", "mine"],
        "managed_by": "you",
        "twin": [{"site": "a"}, 1, 2],
        "stale": 412,
        "replaced": {"site": "b"},
        "module_twin": {"y": 1},
        "pages": [["edge-1", "sensor-1"], ["new"]],
        "no_query": 400,
        "method": {"status": 200, "payload": {"a": 1}},
        "module_method": {"status": 200, "payload": {"a": 1}},
        "absent": 404,
        "slow": 504,
        "deployed": ["$edgeAgent", "$edgeHub", "mine", "scorer"],
        "created": True,
        "metrics": [
            {"targetedCount": 1, "appliedCount": 1, "reportedSuccessfulCount": 0, "reportedFailedCount": 0},
            {"all": 3},
        ],
        "priority": 5,
        "configurations": ["dep-1"],
        "tested": {
            "target_condition_error": "expected a value, found the end (column 9)",
            "custom_metric_query_errors": {"m": "expected SELECT, found 'nonsense' (column 1)"},
        },
        "counts": {"total_device_count": 3, "enabled_device_count": 3, "disabled_device_count": 0},
        "connected": {"connected_device_count": 0},
        "disabled": "disabled",
        "devices": ["edge-1", "sensor-1"],
        "gone": 404,
    }
