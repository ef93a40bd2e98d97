"""Twins with the unmodified SDK: reading, reporting, changes that come by themselves, and what was missed."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from azure.iot.device.aio import IoTHubModuleClient
from azure.iot.device.exceptions import ClientError

from tests.integration.simulator.paho_peer import paho_peer
from tests.integration.simulator.sdk_world import (
    DEVICE,
    GATEWAY,
    LEAF,
    SCORER,
    SDK_WARNINGS,
    SimulationUnderTest,
    running_simulation,
    until,
)

pytestmark = SDK_WARNINGS
ALL = pytest.mark.parametrize("client_id", [DEVICE, LEAF, SCORER])


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[SimulationUnderTest]:
    with running_simulation(tmp_path) as running:
        yield running


class Patches:
    """Changes of desired properties that a client was told of. The SDK hands them over on threads, in any order."""

    def __init__(self, client: Any) -> None:
        self.seen: list[dict[str, Any]] = []
        client.on_twin_desired_properties_patch_received = self.seen.append

    def until_version(self, version: int) -> dict[str, Any]:
        """Wait for the change to this version."""
        until(lambda: version in self.versions, f"version {version} among {self.seen}")
        return next(patch for patch in self.seen if patch["$version"] == version)

    @property
    def versions(self) -> list[int]:
        """Of all changes, sorted."""
        return sorted(patch["$version"] for patch in list(self.seen))


@ALL
def test_a_twin_is_read_and_reported_to(sim: SimulationUnderTest, client_id: str) -> None:
    sim.set_desired(client_id, {"a": {"b": [1, "ü", True, {"c": 1.5}]}})
    with sim.client(client_id) as client:
        twin = client.get_twin()
        assert twin["desired"]["a"] == {"b": [1, "ü", True, {"c": 1.5}]}
        assert set(twin) == {"desired", "reported"}
        client.patch_twin_reported_properties({"state": {"ok": True, "since": "now"}, "n": 1})
        client.patch_twin_reported_properties({"state": {"since": None}, "n": 2})
        assert sim.reported(client_id) == {"state": {"ok": True}, "n": 2}
        assert client.get_twin()["reported"] == {"state": {"ok": True}, "n": 2, "$version": 3}


@ALL
def test_changes_come_by_themselves_without_gaps_and_nulls_delete(sim: SimulationUnderTest, client_id: str) -> None:
    with sim.client(client_id) as client:
        patches = Patches(client)
        base = client.get_twin()["desired"]["$version"]
        sim.set_desired(client_id, {"keep": 1, "drop": {"x": 1, "y": 2}})
        sim.set_desired(client_id, {"drop": {"x": None}})
        sim.set_desired(client_id, {"drop": None})
        for number in range(10):
            sim.set_desired(client_id, {"n": number})
        last = patches.until_version(base + 13)
        until(lambda: len(patches.seen) == 13, "all changes")
        assert patches.versions == list(range(base + 1, base + 14))
        assert patches.until_version(base + 1) == {"keep": 1, "drop": {"x": 1, "y": 2}, "$version": base + 1}
        assert patches.until_version(base + 2) == {"drop": {"x": None}, "$version": base + 2}
        assert patches.until_version(base + 3) == {"drop": None, "$version": base + 3}
        assert last == {"n": 9, "$version": base + 13}
        desired = client.get_twin()["desired"]
        assert (desired["keep"], desired["n"], desired["$version"]) == (1, 9, base + 13)
        assert "drop" not in desired


@ALL
def test_a_replaced_document_comes_as_the_difference(sim: SimulationUnderTest, client_id: str) -> None:
    sim.set_desired(client_id, {"old": 1, "same": 2, "other": 3})
    with sim.client(client_id) as client:
        patches = Patches(client)
        base = client.get_twin()["desired"]["$version"]
        sim.call(sim.world.registry.replace_desired, client_id, {"same": 2, "other": 4})
        patch = patches.until_version(base + 1)
        assert (patch["old"], patch["other"]) == (None, 4)
        assert client.get_twin()["desired"] == {"same": 2, "other": 4, "$version": base + 1}


@ALL
def test_what_changed_while_the_client_was_away_is_noticed(sim: SimulationUnderTest, client_id: str) -> None:
    with sim.client(client_id) as client:
        patches = Patches(client)
        base = client.get_twin()["desired"]["$version"]
        sim.set_desired(client_id, {"n": 1})
        patches.until_version(base + 1)
        client.disconnect()
        until(lambda: not sim.is_connected(client_id), "gone")
        sim.set_desired(client_id, {"n": 2})
        sim.set_desired(client_id, {"m": 3})
        client.connect()
        missed = patches.until_version(base + 3)
        assert (missed["n"], missed["m"]) == (2, 3)


@pytest.mark.parametrize("client_id", [LEAF, SCORER])
def test_offline_edge_hub_answers_itself_and_hands_reports_up_later(sim: SimulationUnderTest, client_id: str) -> None:
    sim.set_desired(client_id, {"n": 1})
    with sim.client(client_id) as client:
        patches = Patches(client)
        base = client.get_twin()["desired"]["$version"]
        client.patch_twin_reported_properties({"before": 1, "gone": 1})
        sim.do("offline")
        sim.set_desired(client_id, {"n": 2})
        assert client.get_twin()["desired"]["n"] == 1, "edgeHub has not heard of it"
        client.patch_twin_reported_properties({"meanwhile": {"x": 1}, "gone": None})
        client.patch_twin_reported_properties({"meanwhile": {"y": 2}})
        reported = client.get_twin()["reported"]
        assert reported["meanwhile"] == {"x": 1, "y": 2}
        assert "gone" not in reported
        assert sim.reported(client_id) == {"before": 1, "gone": 1}
        assert patches.versions == []
        sim.do("online")
        assert sim.reported(client_id) == {"before": 1, "meanwhile": {"x": 1, "y": 2}}
        assert patches.until_version(base + 1)["n"] == 2
        assert client.get_twin()["desired"]["n"] == 2


@pytest.mark.parametrize("client_id", [DEVICE, SCORER])
def test_reports_that_no_twin_holds_are_refused(sim: SimulationUnderTest, client_id: str) -> None:
    depth: dict[str, Any] = {}
    for _ in range(12):
        depth = {"d": depth or 1}
    bad: list[Any] = [
        {"a.b": 1},
        {"a b": 1},
        {"$x": 1},
        {"a": [None]},
        {"a": 2**60},
        {"a": "x" * 5000},
        {str(number): "x" * 4000 for number in range(10)},
        depth,
    ]
    with sim.client(client_id) as client:
        for patch in bad:
            status = 413 if len(patch) > 5 else 400
            with pytest.raises(ClientError) as refused:
                client.patch_twin_reported_properties(patch)
            assert str(status) in str(refused.value.__cause__), patch
        client.patch_twin_reported_properties({"fine": 1})
    assert sim.reported(client_id) == {"fine": 1}


def test_the_asynchronous_client_reads_reports_and_hears(sim: SimulationUnderTest) -> None:
    async def story() -> None:
        client: Any = IoTHubModuleClient.create_from_connection_string(sim.connection_string(SCORER), **sim.options())
        patches: list[dict[str, Any]] = []

        async def patched(patch: dict[str, Any]) -> None:
            patches.append(patch)
            await client.patch_twin_reported_properties({"threshold": patch["threshold"]})

        client.on_twin_desired_properties_patch_received = patched
        await client.connect()
        version = (await client.get_twin())["desired"]["$version"]
        await asyncio.to_thread(sim.set_desired, SCORER, {"threshold": 7})
        await asyncio.to_thread(until, lambda: sim.reported(SCORER) == {"threshold": 7}, "the report")
        assert patches == [{"threshold": 7, "$version": version + 1}]
        await client.shutdown()

    asyncio.run(story())


@pytest.mark.parametrize("client_id", [DEVICE, SCORER])
def test_what_is_no_json_or_no_object_is_answered_with_400(sim: SimulationUnderTest, client_id: str) -> None:
    """Which the SDK cannot send."""
    with paho_peer(sim, client_id) as peer:
        peer.subscribe("$iothub/twin/res/#")
        for number, body in enumerate((b"{", b"", b"[1]", b"1", b"\xff", b"null")):
            peer.publish(f"$iothub/twin/PATCH/properties/reported/?$rid=r{number}", body)
            assert peer.until_messages(number + 1)[-1].topic.startswith(f"$iothub/twin/res/400/?$rid=r{number}"), body
    assert sim.reported(client_id) == {}


def test_the_answers_have_the_topics_of_the_service(sim: SimulationUnderTest) -> None:
    for client_id, version in ((DEVICE, "&$version=2"), (SCORER, "")):
        with paho_peer(sim, client_id) as peer:
            peer.subscribe("$iothub/twin/res/#", "$iothub/twin/PATCH/properties/desired/#")
            peer.publish("$iothub/twin/GET/?$rid=a%2F1", b" ", qos=0)
            got = peer.until_messages(1)[0]
            assert (got.topic, got.qos, got.retain) == ("$iothub/twin/res/200/?$rid=a%2F1", 0, False)
            desired = json.loads(got.payload)["desired"]
            peer.publish("$iothub/twin/PATCH/properties/reported/?$rid=2", b'{"r": 1}')
            told = peer.until_messages(2)[1]
            assert (told.topic, told.payload) == (f"$iothub/twin/res/204/?$rid=2{version}", b"")
            sim.set_desired(client_id, {"d": 1})
            patch = peer.until_messages(3)[2]
            expected = desired["$version"] + 1
            assert patch.topic == f"$iothub/twin/PATCH/properties/desired/?$version={expected}"
            assert json.loads(patch.payload) == {"d": 1, "$version": expected}
    assert sim.world.registry.twin(f"{GATEWAY}/scorer").reported == {"r": 1}
