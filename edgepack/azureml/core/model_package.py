"""`ModelPackage`: an image of models and their script, or a Dockerfile with all it needs, built in the background."""

import re
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from edgepack.azureml.core.environment_sections import ContainerRegistry
from edgepack.azureml.core.inference_config import InferenceConfig
from edgepack.azureml.core.workspace import Workspace
from edgepack.azureml.exceptions import WebserviceException, of_arguments, told_as
from edgepack.errors import EdgepackError
from edgepack.files import CHUNK_BYTES, new_file
from edgepack.models.naming import ModelReference

NOT_STARTED, RUNNING, SUCCEEDED, FAILED = "NotStarted", "Running", "Succeeded", "Failed"


class ModelPackage:
    """What `Model.package` gives. `folder` has the image in OCI form, its bills of materials and its deployment."""

    package_build_log_uri = None
    """There is none: `get_logs` has what it would lead to."""

    def __init__(
        self,
        name: str,
        folder: Path,
        build: Callable[[Callable[[str], None]], None],
        is_dockerfile: bool,
        workspace: Workspace | None = None,
    ) -> None:
        """Begin to build; `build` is given where to tell its progress."""
        self.name, self.folder, self.is_dockerfile = name, folder, is_dockerfile
        self.workspace, self.generate_dockerfile = workspace, is_dockerfile
        self.state = NOT_STARTED
        self._build = build
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._error: EdgepackError | None = None
        self._thread = threading.Thread(target=self._run, name=f"package {name}")
        self._thread.start()

    @property
    def location(self) -> str:
        """The image's name in an engine after `pull`; the folder of a Dockerfile."""
        return str(self.folder / "context") if self.is_dockerfile else self.name

    @property
    def error(self) -> str | None:
        """Why it was not made."""
        return None if self._error is None else of_arguments(str(self._error))

    def get_container_registry(self) -> ContainerRegistry:
        """A registry without an address: the image, or what its Dockerfile needs, is on this machine."""
        return ContainerRegistry()

    def update_creation_state(self) -> None:
        """Nothing: `state` is what it is now."""

    def get_logs(self, decode: bool = True, offset: int = 0) -> str | bytes:
        """What has been told so far, from a character (of bytes: a byte) on."""
        text = "".join(f"{line}\n" for line in list(self._lines))
        return text[offset:] if decode else text.encode()[offset:]

    def wait_for_creation(self, show_output: bool = False) -> None:
        """Wait until it is built; `show_output` prints the progress.

        Raises:
            WebserviceException: it failed.
        """
        shown = 0
        with self._changed:
            while True:
                for line in self._lines[shown:] if show_output else ():
                    print(line)
                shown = len(self._lines)
                if self.state not in (NOT_STARTED, RUNNING):
                    break
                self._changed.wait()
        self._thread.join()
        if self._error is not None:
            raise WebserviceException(f"the package {self.name} was not made: {self.error}") from self._error
        if self.state != SUCCEEDED:
            raise WebserviceException(f"the package {self.name} was not made: a bug, see the error above")
        if show_output:
            print(f"Package creation {self.state}")

    def pull(self) -> str:
        """Load the image of this machine's platform into the Docker engine; returns its name there.

        Raises:
            WebserviceException: it is a Dockerfile, is not built, or no engine answers.
        """
        if self.is_dockerfile:
            raise WebserviceException("this package is a Dockerfile: save(output_directory)")
        self._must_be_built()
        from edgepack.engine import load_image

        with told_as(WebserviceException):
            return load_image(self.folder / "image", None, self.name).name

    def save(self, output_directory: str) -> None:
        """Copy the Dockerfile and the layers that it adds to a folder; `docker build` there needs nothing else.

        Raises:
            WebserviceException: it is an image, or is not built.
        """
        if not self.is_dockerfile:
            raise WebserviceException("this package is an image: pull(), or generate_dockerfile=True")
        self._must_be_built()
        context = self.folder / "context"
        for path in sorted(path for path in context.rglob("*") if path.is_file()):
            # copies, no links: what the user changes must not be the cache's
            with path.open("rb") as reader, new_file(Path(output_directory) / path.relative_to(context)) as writer:
                shutil.copyfileobj(reader, writer.stream, CHUNK_BYTES)

    def serialize(self) -> dict[str, Any]:
        """What it is, for a log."""
        return {"name": self.name, "state": self.state, "location": self.location, "folder": str(self.folder)}

    def _must_be_built(self) -> None:
        if self.state != SUCCEEDED:
            raise WebserviceException(f"the package is {self.state}: wait_for_creation first")

    def _run(self) -> None:
        self._tell("", RUNNING)
        state = FAILED
        try:
            self._build(lambda line: self._tell(line, RUNNING))
            state = SUCCEEDED
        except EdgepackError as error:
            self._error = error
        finally:
            self._tell(str(self._error or ""), state)

    def _tell(self, line: str, state: str) -> None:
        with self._changed:
            self.state = state
            if line:
                self._lines.append(line)
            self._changed.notify_all()


def start_package(
    workspace: Workspace,
    models: tuple[ModelReference, ...],
    inference_config: InferenceConfig | None,
    generate_dockerfile: bool,
    image_name: str | None,
    image_label: str | None,
) -> ModelPackage:
    """`Model.package`: what is wrong with the arguments is told at once, the build goes on in a thread.

    Raises:
        WebserviceException: something given cannot be used, or is not there.
    """
    from edgepack.azureml.core.package_build import build_package, package_recipe

    of_a_model = re.sub(r"[^a-z0-9]+", "-", models[0].name.lower()).strip("-") if models else "package"
    name = f"{image_name or of_a_model}:{image_label or 'latest'}"
    with told_as(WebserviceException):
        recipe = package_recipe(workspace.folder, models, inference_config, name, for_here=generate_dockerfile)
    folder = workspace.folder / "packages" / name.replace("/", "-").replace(":", "-")

    def build(tell: Callable[[str], None]) -> None:
        build_package(workspace.folder, recipe, folder, tell, with_dockerfile=generate_dockerfile)

    return ModelPackage(name, folder, build, generate_dockerfile, workspace)
