"""What works on the services of a workspace: the store, the runners, what makes an image and reads a script."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgepack.errors import InputError
from edgepack.services.container_runner import ContainerRunner
from edgepack.services.process_runner import ProcessRunner
from edgepack.services.record import DOCKER, PROCESS, ServiceRequest, Voice
from edgepack.services.runner import Runner
from edgepack.services.store import ServiceStore
from edgepack.services.stored import ServiceImage, StoredService

if TYPE_CHECKING:
    from edgepack.script_folder import Script


@dataclass(frozen=True, slots=True)
class Workshop:
    """All that works on the services of a workspace. `make_image` puts an image into a service's folder."""

    workspace: Path
    store: ServiceStore
    runners: Mapping[str, Runner]
    make_image: Callable[[Path, ServiceRequest, Path, Voice], tuple[ServiceImage, str]]
    read_script: "Callable[[Path, ServiceRequest], tuple[Script | None, str]]"

    def runner(self, stored: StoredService) -> Runner:
        """The one that runs a service."""
        return self.runners[stored.request.runner]

    def fresh_script(self, stored: StoredService, voice: Voice) -> "Script | None":
        """The script of a service as it is now; warns where the packages that it asks for are not those it has."""
        script, packages = self.read_script(self.workspace, stored.request)
        if stored.packages and packages != stored.packages:
            voice.warn(
                f"the packages that {stored.name} asks for have changed, and it keeps those that it has; "
                f"`edgepack service update {stored.name} --ic FILE` builds it with the new ones"
            )
        return script

    def script_for_keys(self, stored: StoredService, voice: Voice, into: Path) -> "Script | None":
        """As `fresh_script`; where the sources cannot be read any more, what the running life has (copied `into`).

        Raises:
            InputError: the sources cannot be read, and nothing runs.
        """
        try:
            return self.fresh_script(stored, voice)
        except InputError as error:
            runner, place = self.runner(stored), self.store.place(stored.name)
            if stored.instance is None or not runner.look(place, stored.instance.id).is_alive:
                raise
            voice.warn(f"{stored.name} keeps the script that it has, since its sources are not good: {error}")
            return runner.script(place, stored.instance.id, into)


def workshop_of(workspace: Path) -> Workshop:
    """The workshop of a workspace."""
    place = workspace.absolute()
    runners: dict[str, Runner] = {PROCESS: ProcessRunner(place / "cache" / "roots"), DOCKER: ContainerRunner()}
    return Workshop(place, ServiceStore(place), runners, _make_image, _read_script)


def _make_image(workspace: Path, request: ServiceRequest, folder: Path, voice: Voice) -> tuple[ServiceImage, str]:
    from edgepack.services.service_image import build_image, packages_digest, read_recipe  # all that builds

    recipe = read_recipe(workspace, request)
    return build_image(workspace, recipe, folder, voice), packages_digest(recipe)


def _read_script(workspace: Path, request: ServiceRequest) -> "tuple[Script | None, str]":
    from edgepack.services.service_image import packages_digest, read_recipe

    recipe = read_recipe(workspace, request)
    return recipe.script, packages_digest(recipe)
