"""What an engine is asked to create for a module, and what a process gets of the same createOptions."""

from typing import Any

from simulator.edge_agent.container_body import container_body
from simulator.edge_agent.container_shape import VolumeMount, host_port, moved, volume_mounts
from simulator.edge_agent.deployment import WantedModule
from simulator.edge_agent.image_name import ImageName, parse_image_name

OPTIONS: dict[str, Any] = {
    "Labels": {"own": "1"},
    "Env": ["A=options", "B=options"],
    "NetworkingConfig": {"EndpointsConfig": {}},
    "HostConfig": {
        "Binds": ["buffer:/var/lib/edgepack", "/srv/models:/models:ro"],
        "Mounts": [{"Type": "volume", "Source": "more", "Target": "/more"}, {"Type": "tmpfs", "Target": "/tmp"}],
        "ReadonlyRootfs": True,
        "RestartPolicy": {"Name": "always"},
        "PortBindings": {"5001/tcp": [{"HostIp": "127.0.0.1", "HostPort": "5001"}]},
    },
}
MODULE = WantedModule("scorer", "image:1", environment={"B": "module", "C": "module"}, create_options=OPTIONS)


def test_create_options_stay_as_they_are_but_for_what_the_run_needs() -> None:
    environment = {"C": "run", "IOTEDGE_WORKLOADURI": "unix:///run/w/scorer.sock"}
    found = container_body(MODULE, "sha256:1", environment, {"owner": "me"}, "run-")
    assert found.volumes == ("run-buffer", "run-more")
    assert found.body == {
        "Image": "sha256:1",
        "Labels": {"own": "1", "owner": "me"},
        "Env": ["A=options", "B=module", "C=run", "IOTEDGE_WORKLOADURI=unix:///run/w/scorer.sock"],
        "HostConfig": {
            "Binds": [
                "run-buffer:/var/lib/edgepack",
                "/srv/models:/models:ro",
                "/run/w/scorer.sock:/run/w/scorer.sock",
            ],
            "Mounts": [
                {"Type": "volume", "Source": "run-more", "Target": "/more"},
                {"Type": "tmpfs", "Target": "/tmp"},
            ],
            "ReadonlyRootfs": True,
            "NetworkMode": "host",
            "AutoRemove": False,
            "RestartPolicy": {"Name": ""},
        },
    }
    assert "PortBindings" in OPTIONS["HostConfig"], "the deployment itself was changed"


def test_each_place_of_a_process_has_a_folder() -> None:
    assert volume_mounts("scorer", OPTIONS, ["/var/lib/edgepack/", "/other"]) == (
        VolumeMount("buffer", "/var/lib/edgepack"),
        VolumeMount("srv-models", "/models"),
        VolumeMount("more", "/more"),
        VolumeMount("scorer-other", "/other"),
    )
    assert volume_mounts("m", {"HostConfig": {"Binds": ["x", 3], "Mounts": [None, {"Type": "volume"}]}}, []) == ()


def test_the_published_port() -> None:
    assert host_port(OPTIONS) == 5001
    others: list[Any] = [{}, None, [], {"5001/tcp": None}]
    others += [{"5001/tcp": [{"HostPort": ""}]}, {"80/tcp": [{"HostPort": "1"}]}]
    for bindings in others:
        assert host_port({"HostConfig": {"PortBindings": bindings}}) is None


def test_paths_are_moved_whole() -> None:
    places = {"/data": "/run/v/d", "/data/deep": "/run/v/deep"}
    assert moved("/data", places) == "/run/v/d"
    assert moved("/data/x:/data/deep/y:/database", places) == "/run/v/d/x:/run/v/deep/y:/database"
    assert moved("url=/data --to /data/a", places) == "url=/run/v/d --to /run/v/d/a"
    assert moved("/srv/data", places) == "/srv/data"


def test_names_of_images() -> None:
    assert parse_image_name(" host:5000/a/b:1 ") == ImageName("host:5000/a/b", "1", "")
    assert parse_image_name("a/b@sha256:00") == ImageName("a/b", "", "sha256:00")
    assert parse_image_name("host:5000/b") == ImageName("host:5000/b", "", "")
    assert parse_image_name("mcr.example.com/x/sensor:1.4").last == "sensor"
