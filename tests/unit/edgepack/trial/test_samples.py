"""Which requests an image is checked with."""

import json
from pathlib import Path

import pytest

from edgepack.errors import InputError
from edgepack.models.registry import ModelRegistry
from edgepack.models.request import RegisterRequest
from edgepack.project import BuildOptions
from edgepack.trial.samples import Sample, samples_of
from tests.fakes.build_world import read_recipe

SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    """A registry with a model that has samples, and one that has none."""
    registry = ModelRegistry(tmp_path / "workspace")
    for name, content in (("in.json", "[1]"), ("out.json", "[2]"), ("m.bin", "m")):
        (tmp_path / name).write_text(content)
    sampled = RegisterRequest(
        "sampled", tmp_path / "m.bin", sample_input=tmp_path / "in.json", sample_output=tmp_path / "out.json"
    )
    registry.register(sampled)
    registry.register(RegisterRequest("plain", tmp_path / "m.bin"))
    return registry


def project(folder: Path, *models: str, config: str = "config/ic.json") -> Path:
    """A project with a script, whose inference configuration is in a folder of its own."""
    place = (folder / config).parent
    place.mkdir(parents=True, exist_ok=True)
    (place / "score.py").write_text(SCRIPT)
    (folder / config).write_text('{"entryScript": "score.py"}')
    document = {"name": "x", "models": list(models), "inference_config": config}
    (folder / "edgepack.yaml").write_text(json.dumps(document))
    return folder


def test_samples_of_the_models(registry: ModelRegistry, tmp_path: Path) -> None:
    recipe = read_recipe(project(tmp_path / "p", "plain", "sampled"), BuildOptions())
    assert samples_of(recipe, registry) == (Sample("sampled:1 in.json", b"[1]", b"[2]"),)


def test_the_projects_own_request_comes_first(registry: ModelRegistry, tmp_path: Path) -> None:
    recipe = read_recipe(project(tmp_path / "p", "sampled"), BuildOptions())
    request = tmp_path / "p" / "config" / "sample-request.json"
    request.write_text("[3]")
    assert samples_of(recipe, registry) == (Sample(str(request), b"[3]", None),)
    request.with_name("sample-response.json").write_text("[4]")
    assert samples_of(recipe, registry) == (Sample(str(request), b"[3]", b"[4]"),)


def test_no_sample_at_all(registry: ModelRegistry, tmp_path: Path) -> None:
    recipe = read_recipe(project(tmp_path / "p", "plain"), BuildOptions())
    with pytest.raises(InputError, match=r"no sample request to check the image with: write .*/config/sample-request"):
        samples_of(recipe, registry)
