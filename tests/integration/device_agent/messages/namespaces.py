"""Two hosts on one machine: network namespaces joined by a cable that can be pulled. Needs root."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import NamedTuple

DEVICE_ADDRESS = "10.213.0.2"
CLOUD_ADDRESS = "10.213.0.1"


class Hosts(NamedTuple):
    """Names of the namespaces. Each has a loopback interface and one end of the cable."""

    device: str
    cloud: str

    def on_device(self, *command: str) -> list[str]:
        """A command that runs on the device."""
        return ["ip", "netns", "exec", self.device, *command]

    def on_cloud(self, *command: str) -> list[str]:
        """A command that runs on the other host."""
        return ["ip", "netns", "exec", self.cloud, *command]

    def pull_cable(self) -> None:
        """Nothing gets through any more, and nobody is told."""
        _run("ip", "-n", self.cloud, "link", "set", "cable", "down")

    def plug_in(self) -> None:
        """The cable works again."""
        _run("ip", "-n", self.cloud, "link", "set", "cable", "up")


def why_not() -> str:
    """Why namespaces cannot be made here; "" if they can."""
    if os.geteuid() != 0:
        return "network namespaces need root"
    if shutil.which("ip") is None:
        return "ip is not installed"
    with contextlib.suppress(subprocess.CalledProcessError), hosts():
        return ""
    return "network namespaces cannot be made here"


@contextlib.contextmanager
def hosts() -> Iterator[Hosts]:
    """Both hosts, connected; gone afterwards."""
    both = Hosts(f"edgepack-d{os.getpid()}", f"edgepack-c{os.getpid()}")
    try:
        for name in both:
            _run("ip", "netns", "add", name)
        _run(
            "ip",
            "-n",
            both.device,
            "link",
            "add",
            "cable",
            "type",
            "veth",
            "peer",
            "name",
            "cable",
            "netns",
            both.cloud,
        )
        for name, address in ((both.device, DEVICE_ADDRESS), (both.cloud, CLOUD_ADDRESS)):
            _run("ip", "-n", name, "address", "add", f"{address}/24", "dev", "cable")
            _run("ip", "-n", name, "link", "set", "cable", "up")
            _run("ip", "-n", name, "link", "set", "lo", "up")
        yield both
    finally:
        for name in both:
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)


def _run(*command: str) -> None:
    subprocess.run(command, capture_output=True, check=True)
