"""Pages about builds, against a mirror, an index and a registry on loopback."""

import json
import pickle
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import joblib
import pytest
import sklearn
from sklearn.linear_model import LogisticRegression

from tests.fakes.build_world import make_world
from tests.fakes.fake_registry import FakeRegistry
from tests.fakes.http_server import FileServer
from tests.fakes.page_run import PageRun, variables_of
from tests.fakes.pages import ROOT, is_as_printed, shown, without_figures
from tests.fakes.signing_key import SigningKey
from tests.fakes.wheels import FakeWheel, for_machines, index_files

pytestmark = [
    pytest.mark.skipif(
        shutil.which("gpg") is None or shutil.which("gpgv") is None,
        reason="gpg is not installed: release files need it",
    ),
    pytest.mark.timeout(180),
]
MLMODEL = """\
artifact_path: model
flavors:
  python_function:
    loader_module: mlflow.sklearn
    model_path: model.pkl
    python_version: 3.11.2
  sklearn:
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: {version}
mlflow_version: '3.1'
"""
SCRIPT = "def init():\n    pass\n\n\ndef run(data):\n    return data\n"


@dataclass(frozen=True)
class Desk:
    """A folder and the variables with which builds there need no network."""

    folder: Path
    variables: dict[str, str]

    def write(self, name: str, content: str) -> None:
        """A file of the folder."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)

    def project(self, *packages: str, **more: object) -> None:
        """A project with a script and packages; `more` are keys of its `edgepack.yaml`."""
        self.write("score.py", SCRIPT)
        self.packages(*packages)
        config = {"entryScript": "score.py", "condaFile": "conda.yml"}
        self.write("inferenceConfig.json", json.dumps(config))
        self.write("edgepack.yaml", json.dumps({"name": "scorer", "inference_config": config, **more}))

    def packages(self, *packages: str) -> None:
        """Write the conda file."""
        lines = "".join(f"- {name}\n" for name in ("python=3.11", *packages))
        self.write("conda.yml", f"name: scorer\ndependencies:\n{lines}")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables with which a build finds mirror and index."""
    home = tmp_path_factory.mktemp("home")
    with SigningKey() as key, FileServer() as server:
        environment = make_world(server, key, home).environment
        more = [*for_machines("pandas", "99.0"), FakeWheel("plain-text"), FakeWheel("joblib")]
        more += for_machines("scikit_learn", sklearn.__version__)
        server.files.update(index_files(more))
        places = {"UV_DEFAULT_INDEX": f"{server.url}/simple/", "UV_CACHE_DIR": str(home / "uv")}
        yield variables_of(home, **{**environment, **places, "PATH": variables_of(home)["PATH"]})


@pytest.fixture
def desk(world: dict[str, str], tmp_path: Path) -> Desk:
    folder = tmp_path / "project"
    folder.mkdir()
    return Desk(folder, world)


@pytest.fixture
def registry() -> Iterator[str]:
    with FakeRegistry() as fake:
        yield fake.host


def test_bases(desk: Desk, request: pytest.FixtureRequest) -> None:
    desk.project("plain-text")
    with PageRun("docs/bases.md", request, desk.folder, desk.variables) as page:
        page.run_all()
    assert (desk.folder / "pylock.linux-arm-v7.toml").exists()


def test_conda(desk: Desk, request: pytest.FixtureRequest) -> None:
    desk.project("numpy")
    said = shown("docs/conda.md", "error: --locked")
    with PageRun("docs/conda.md", request, desk.folder, desk.variables) as page:
        page.run("edgepack build --lock")
        desk.packages("numpy<2", "pandas")
        page.run("edgepack build --locked", code=2, prints=said)


def test_registries(desk: Desk, registry: str, request: pytest.FixtureRequest) -> None:
    desk.project()
    replaced = {"registry.example.com": registry}
    with PageRun("docs/registries.md", request, desk.folder, desk.variables, replaced) as page:
        page.run("edgepack build")
        assert "0 sent" in page.run("edgepack push dist")
        told = page.type(f"edgepack push dist {registry}/team/other:1.0")
        said = shown("docs/registries.md", "pushed").replace("localhost:5000/team/scorer", f"{registry}/team/other")
        assert is_as_printed(without_figures(said), without_figures(told)), told
        page.run_all()


def test_supply_chain(desk: Desk, registry: str, request: pytest.FixtureRequest) -> None:
    desk.project()
    variables = {**desk.variables, "EDGEPACK_KEY_PASSWORD": "correct horse"}
    replaced = {"registry.example.com": registry}
    with PageRun("docs/supply-chain.md", request, desk.folder, variables, replaced) as page:
        page.run("edgepack key generate")
        page.run("edgepack build")
        assert "signed with release.pub" in page.run("edgepack verify dist --key release.pub")
        page.run("edgepack sign dist")
        page.type("edgepack push dist")
        page.run_all()


def test_readme(desk: Desk, registry: str, request: pytest.FixtureRequest) -> None:
    desk.project()
    (desk.folder / "edgepack.yaml").unlink()
    desk.write("model/weights.bin", "weights")
    desk.write("digits.onnx", "a model")
    with PageRun("README.md", request, desk.folder, desk.variables, {"registry.example.com": registry}) as page:
        page.run("edgepack model register -n digits -p model")
        page.run("edgepack build -m digits --ic")
        manifest = (desk.folder / "dist/deployment.json").read_text()
        assert f"{registry}/team/digits@sha256:" in manifest
        page.run_all()


def test_models(desk: Desk, request: pytest.FixtureRequest) -> None:
    classifier = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    joblib.dump(classifier, desk.folder / "iris.joblib")
    desk.write("digits.onnx", "a model")
    folder = "mlruns/1/models/m-1/artifacts"
    desk.write(f"{folder}/MLmodel", MLMODEL.format(version=sklearn.__version__))
    desk.write(f"{folder}/requirements.txt", f"mlflow==3.1\nscikit-learn=={sklearn.__version__}\n")
    (desk.folder / folder / "model.pkl").write_bytes(pickle.dumps(classifier))
    with PageRun("docs/models.md", request, desk.folder, desk.variables) as page:
        page.run_all()


def test_example_for_iot_edge(desk: Desk, request: pytest.FixtureRequest) -> None:
    shutil.copytree(ROOT / "examples/iot-edge", desk.folder / "examples/iot-edge")
    with PageRun("examples/iot-edge/README.md", request, desk.folder, desk.variables) as page:
        page.run_all()
        assert "$upstream" in (page.folder / "dist/deployment.json").read_text()
