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
class Sources:
    """What a service takes from its sources without a new image: its script, and its variables.

    `packages` is a digest of the packages that they ask for.
    """

    script: "Script | None"
    variables: Mapping[str, str]
    packages: str


@dataclass(frozen=True, slots=True)
class Workshop:
    """All that works on the services of a workspace. `make_image` puts an image into a service's folder."""

    workspace: Path
    store: ServiceStore
    runners: Mapping[str, Runner]
    make_image: Callable[[Path, ServiceRequest, Path, Voice], tuple[ServiceImage, str]]
    read_sources: Callable[[Path, ServiceRequest], Sources]

    def runner(self, stored: StoredService) -> Runner:
        """The one that runs a service."""
        return self.runners[stored.request.runner]

    def fresh_sources(self, stored: StoredService, voice: Voice) -> Sources:
        """The sources of a service as they are now; warns where it has other packages than they ask for."""
        sources = self.read_sources(self.workspace, stored.request)
        if stored.packages and sources.packages != stored.packages:
            voice.warn(
                f"the packages that {stored.name} asks for have changed, and it keeps those that it has; "
                f"`edgepack service update {stored.name} --ic FILE` builds it with the new ones"
            )
        return sources

    def sources_for_keys(self, stored: StoredService, voice: Voice, into: Path) -> Sources:
        """As `fresh_sources`; where they cannot be read any more, what the running life has (its script copied `into`).

        Raises:
            InputError: the sources cannot be read, and nothing runs.
        """
        try:
            return self.fresh_sources(stored, voice)
        except InputError as error:
            runner, place = self.runner(stored), self.store.place(stored.name)
            if stored.instance is None or not runner.look(place, stored.instance.id).is_alive:
                raise
            voice.warn(f"{stored.name} keeps the script that it has, since its sources are not good: {error}")
            script = runner.script(place, stored.instance.id, into)
            return Sources(script, stored.instance.variables, stored.packages)


def workshop_of(workspace: Path) -> Workshop:
    """The workshop of a workspace."""
    place = workspace.absolute()
    runners: dict[str, Runner] = {PROCESS: ProcessRunner(place / "cache" / "roots"), DOCKER: ContainerRunner()}
    return Workshop(place, ServiceStore(place), runners, _make_image, _read_sources)


def _make_image(workspace: Path, request: ServiceRequest, folder: Path, voice: Voice) -> tuple[ServiceImage, str]:
    from edgepack.services.service_image import build_image, packages_digest, read_recipe  # all that builds

    recipe = read_recipe(workspace, request)
    return build_image(workspace, recipe, folder, voice), packages_digest(recipe)


def _read_sources(workspace: Path, request: ServiceRequest) -> Sources:
    from edgepack.services.service_image import packages_digest, read_recipe, variables_of

    recipe = read_recipe(workspace, request)
    return Sources(recipe.script, variables_of(recipe), packages_digest(recipe))
