"""A desk with a script, a model and a workspace, where services are deployed for tests."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgepack import service
from edgepack.models.naming import ModelReference
from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest
from edgepack.services.process_identity import marked
from edgepack.services.process_runner import mark_of
from edgepack.services.record import Service, ServiceChange, ServiceRequest, Voice
from tests.fakes.service_images import shop_with_fake_images

SCRIPT = """\
import json, os


def init():
    global factor
    factor = {factor}


def run(data):
    folder = os.environ["AZUREML_MODEL_DIR"]
    return {{"product": json.loads(data)["x"] * factor, "models": sorted(os.listdir(folder)) if folder else []}}
"""


@dataclass
class Desk:
    """A folder with a script, and a workspace with a model."""

    folder: Path
    is_set_up: bool = False
    said: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.workspace = self.folder / "workspace"
        self.shop = shop_with_fake_images(self.workspace)
        self.voice = Voice(self.said.append, self.said.append, note=self.said.append)
        if self.is_set_up:
            return
        weights = self.folder / "weights.bin"
        weights.write_bytes(b"weights")
        ModelRegistry(self.workspace).register(RegisterRequest("tiny", weights))
        self.write(SCRIPT.format(factor=2))

    def write(self, script: str) -> None:
        (self.folder / "score.py").write_text(script)
        (self.folder / "ic.json").write_text('{"entryScript": "score.py"}')

    def request(self, name: str = "service", **more: object) -> ServiceRequest:
        given = {
            "models": (ModelReference("tiny"),),
            "inference_config": Path("ic.json"),
            "folder": self.folder,
            **more,
        }
        return ServiceRequest(name, **given)  # type: ignore[arg-type]

    def deploy(self, name: str = "service", *, overwrite: bool = False, wait: bool = True, **more: object) -> Service:
        request = self.request(name, **more)
        return service.deploy(self.workspace, request, overwrite=overwrite, wait=wait, voice=self.voice, shop=self.shop)

    def find(self, name: str = "service") -> Service:
        return service.find(self.workspace, name, shop=self.shop)

    def reload(self, name: str = "service") -> Service:
        return service.reload(self.workspace, name, voice=self.voice, shop=self.shop)

    def update(self, change: ServiceChange, name: str = "service") -> Service:
        return service.update(self.workspace, name, change, voice=self.voice, shop=self.shop)

    def answer(self, x: int, name: str = "service") -> dict[str, object]:
        answered = service.run(self.workspace, name, json.dumps({"x": x}).encode(), shop=self.shop)
        assert answered.is_good, answered.body
        document = json.loads(answered.body)
        assert isinstance(document, dict)
        return document

    def log(self, name: str = "service") -> str:
        return service.logs(self.workspace, name, shop=self.shop)

    def pids(self, name: str = "service") -> list[int]:
        """The processes there are for a service, by their mark."""
        return [identity.pid for identity, _ in marked(mark_of(self.shop.store.place(name)))]

    def delete(self, name: str = "service") -> None:
        service.delete(self.workspace, name, shop=self.shop)

    def delete_all(self) -> None:
        for name in self.shop.store.names():
            self.delete(name)


def life_folder(desk: Desk) -> Path:
    [folder] = (desk.shop.store.place("service") / "instances").iterdir()
    return folder


def until(condition: Callable[[], bool], what: str) -> None:
    """Wait for a condition with a deadline."""
    waiting = threading.Event()
    for _ in range(1500):
        if condition():
            return
        waiting.wait(0.02)
    pytest.fail(what)
