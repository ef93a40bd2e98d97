"""Runs modules as processes of this machine: no root, no Docker. The default.

The image that the deployment names by digest is looked for among the layouts at hand, unpacked once (below the cache
folder; what it has in common with other images once for all) and started as `edgepack.host_image` says. What differs
from a container:

- Every volume and bind of createOptions, and every volume of the image, is a folder below `folder`/volumes; variables
  that name a place in one are moved there, and the agent's buffer and home are in the one at /var/lib/edgepack.
- HTTP is on loopback, on the port that createOptions publish when it is free, else on a free one: the log says which.
- Nothing isolates modules from each other. How they are kept from outliving the simulator: `bound_process`.

Images of other makers that are known by name (`built_in`) are programs of the simulator's own instead.
"""

import asyncio
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgepack.deployment.manifest import BUFFER_FOLDER
from edgepack.errors import InputError
from edgepack.host_image import ELSEWHERE, UnpackedImage, unpack_for_host
from simulator.edge_agent.bound_process import BoundProcess, GroupWatch, start_process
from simulator.edge_agent.container_shape import moved, volume_mounts
from simulator.edge_agent.deployment import WantedModule
from simulator.edge_agent.http_ports import HttpPorts
from simulator.edge_agent.image_layouts import Images, at_hand, find_layout
from simulator.edge_agent.image_name import parse_image_name
from simulator.edge_agent.module_log import ModuleLog

BuiltIn = Callable[[WantedModule], Sequence[str]]
"""From a module to the command that stands in for its image."""

_PACKAGE_ROOT = Path(__file__).resolve().parent.parent.parent
_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "VIRTUAL_ENV")


@dataclass(frozen=True)
class RunningProcess:
    """A module's process, see `runner.Running`."""

    process: BoundProcess
    url: str
    image_id: str

    @property
    def pid(self) -> int:
        """The process."""
        return self.process.pid

    async def wait(self) -> int:
        """The exit code."""
        return await self.process.wait()

    def terminate(self) -> None:
        """SIGTERM."""
        self.process.terminate()

    def kill(self) -> None:
        """SIGKILL, to the whole group."""
        self.process.kill()


@dataclass(frozen=True)
class _Program:
    command: Sequence[str]
    environment: Mapping[str, str]
    folder: str
    port: int | None
    image_id: str


class ProcessRunner:
    """Runs the modules of one device. `folder` is the device's own in the run; `cache` may be shared by all.

    `images` says where images are: by the text of an image in the deployment, or by digest (`sha256:...`), the folder
    of a layout. A digest that is not named there is looked for in all of them. `built_in` is by the last part of an
    image's repository (`azureiotedge-simulated-temperature-sensor`).
    """

    def __init__(
        self, folder: Path, images: Images, cache: Path, built_in: Mapping[str, BuiltIn] | None = None
    ) -> None:
        self._volumes = folder.absolute() / "volumes"
        self._images = images
        self._cache = cache
        self._built_in = built_in or {}
        self._ports = HttpPorts()
        self._watch = GroupWatch()

    async def start(self, module: WantedModule, environment: Mapping[str, str], log: ModuleLog) -> RunningProcess:
        """Start a module, see `runner.Runner`."""
        program = await asyncio.to_thread(self._prepare, module, environment, log)
        process = await start_process(program.command, program.environment, program.folder, log, self._watch)
        url = "" if program.port is None else f"http://127.0.0.1:{program.port}"
        return RunningProcess(process, url, program.image_id)

    async def remove(self, name: str) -> None:
        """Forget a module; its volumes stay."""
        self._ports.forget(name)

    async def close(self) -> None:
        """End the process that watches."""
        await asyncio.to_thread(self._watch.close)

    def _prepare(self, module: WantedModule, environment: Mapping[str, str], log: ModuleLog) -> _Program:
        built_in = self._built_in.get(parse_image_name(module.image).last)
        if built_in is not None:
            kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
            paths = [str(_PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
            kept |= {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
            variables = {**kept, **module.environment, **environment}
            return _Program(built_in(module), variables, str(_PACKAGE_ROOT), None, "")
        image = unpack_for_host(self._layout_of(module.image), self._cache)
        places = self._make_volumes(module, image)
        port = self._ports.choose(module, log)
        variables = {**image.environment, **module.environment}
        variables = {name: moved(value, places) for name, value in variables.items()}
        if BUFFER_FOLDER in places:
            variables.setdefault("EDGEPACK_BUFFER_PATH", f"{places[BUFFER_FOLDER]}/buffer.db")
            variables["HOME"] = places[BUFFER_FOLDER]
        variables |= {**environment, "EDGEPACK_HTTP": f"127.0.0.1:{port}"}
        return _Program(image.command, variables, image.working_folder, port, image.image_id)

    def _layout_of(self, image: str) -> Path:
        layout = find_layout(image, self._images)
        if layout is not None:
            return layout
        raise InputError(image_elsewhere(image, self._images))

    def _make_volumes(self, module: WantedModule, image: UnpackedImage) -> dict[str, str]:
        places = {}
        for mount in volume_mounts(module.name, module.create_options, image.volumes):
            folder = self._volumes / mount.name
            folder.mkdir(parents=True, exist_ok=True)
            places[mount.place] = str(folder)
        return places


def image_elsewhere(image: str, images: Images) -> str:
    """A sentence about an image that is not here."""
    return (
        f"image {image} is not on this machine (images at hand: {at_hand(images)}): build it with "
        "`edgepack build` and run the deployment.json that stands beside it, or let an engine pull it: "
        f"{ELSEWHERE}"
    )


def python_command(module: str) -> list[str]:
    """The command of a built-in that is a Python module of this installation."""
    return [sys.executable, "-m", module]
