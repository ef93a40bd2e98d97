"""`ModelPackage`: its states, its log, its failures; what a Dockerfile's folder holds."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edgepack.azureml.core import Model, Workspace
from edgepack.azureml.core.model import InferenceConfig
from edgepack.azureml.core.model_package import ModelPackage
from edgepack.azureml.core.package_build import package_recipe
from edgepack.azureml.exceptions import WebserviceException
from edgepack.errors import RemoteError
from edgepack.models.naming import ModelReference


def test_a_package_is_built_in_the_background(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    may_go_on = threading.Event()

    def build(tell: Callable[[str], None]) -> None:
        tell("one")
        assert may_go_on.wait(30)
        tell("zwölf")

    package = ModelPackage("team/x:1", tmp_path, build, False)
    with pytest.raises(WebserviceException, match=r"the package is (NotStarted|Running): wait_for_creation first"):
        package.pull()
    may_go_on.set()
    package.wait_for_creation(show_output=True)
    assert capsys.readouterr().out == "one\nzwölf\nPackage creation Succeeded\n"
    assert (package.state, package.location) == ("Succeeded", "team/x:1")
    assert package.get_logs() == "one\nzwölf\n"
    assert package.get_logs(offset=4) == "zwölf\n"
    assert package.get_logs(decode=False, offset=6) == "ölf\n".encode()
    package.wait_for_creation()
    assert (package.error, package.package_build_log_uri, package.generate_dockerfile) == (None, None, False)
    assert package.get_container_registry().address is None
    with pytest.raises(WebserviceException, match="this package is an image"):
        package.save(str(tmp_path))


def test_a_package_that_fails(tmp_path: Path) -> None:
    def build(tell: Callable[[str], None]) -> None:
        raise RemoteError("edgepack.yaml: the index does not answer")

    package = ModelPackage("x:1", tmp_path, build, True)
    with pytest.raises(WebserviceException, match="the package x:1 was not made: the index does not answer"):
        package.wait_for_creation()
    assert (package.state, package.error) == ("Failed", "the index does not answer")
    assert "the index does not answer" in str(package.get_logs())
    with pytest.raises(WebserviceException, match="the package is Failed"):
        package.save(str(tmp_path / "saved"))
    with pytest.raises(WebserviceException, match="this package is a Dockerfile"):
        package.pull()


def test_what_is_saved_is_the_users_own(tmp_path: Path) -> None:
    package = ModelPackage("x:1", tmp_path, lambda _tell: None, True)
    package.wait_for_creation()
    (tmp_path / "context" / "layers").mkdir(parents=True)
    (tmp_path / "context" / "Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "context" / "layers" / "a.tar.gz").write_bytes(b"a")
    package.save(str(tmp_path / "saved"))
    (tmp_path / "saved" / "layers" / "a.tar.gz").write_bytes(b"b")
    assert (tmp_path / "context" / "layers" / "a.tar.gz").read_bytes() == b"a"
    assert (tmp_path / "saved" / "Dockerfile").read_text() == "FROM scratch\n"


def test_what_is_to_be_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(tmp_path / "workspace"))
    (tmp_path / "score.py").write_text("def init():\n    pass\n\n\ndef run(data):\n    return data\n")
    models = (ModelReference("m", 1),)
    name = "localhost:5000/team/x.y:1"
    recipe = package_recipe(tmp_path / "workspace", models, InferenceConfig("score.py"), name, for_here=False)
    assert (str(recipe.image), recipe.name, recipe.models) == (name, "x-y", models)
    assert [str(platform) for platform in recipe.platforms] == ["linux/amd64", "linux/arm64"]
    assert recipe.lock_folder == tmp_path / "workspace" / "locks" / "packages" / "x.y"
    here = package_recipe(tmp_path / "workspace", models, InferenceConfig("score.py"), name, for_here=True)
    assert len(here.platforms) == 1
    for config, text in (
        (InferenceConfig("score.py", runtime="spark-py"), "^inference_config: runtime 'spark-py' cannot run"),
        (InferenceConfig("score.py"), "'Bad Name:latest' is no image name"),
    ):
        with pytest.raises(WebserviceException, match=text):
            Model.package(Workspace(), [], config, image_name="Bad Name" if config.runtime is None else None)
