"""`Environment`: its document, its folder, its versions in the workspace."""

import json
import os
import sys
import zipfile
from pathlib import Path

import pytest

from edgepack.azureml.core import Environment, Workspace
from edgepack.azureml.core.environment import ContainerRegistry, DockerBuildContext
from edgepack.azureml.exceptions import UserErrorException

NO_FILE = '{"name": "x", "python": {"condaDependenciesFile": 1}}'
NO_LISTS = ('{"name": "x", "docker": {"arguments": 1}}', '{"name": "x", "spark": {"packages": "ab"}}')


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.chdir(tmp_path)
    return Workspace.from_config()


def test_a_new_one_has_the_document_of_v1() -> None:
    assert Environment("myenv").document() == {
        "name": "myenv",
        "version": None,
        "environmentVariables": {"EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"},
        "python": {
            "interpreterPath": "python",
            "userManagedDependencies": False,
            "condaDependenciesFile": None,
            "baseCondaEnvironment": None,
            "condaDependencies": {
                "name": "project_environment",
                "channels": ["anaconda", "conda-forge"],
                "dependencies": ["python=3.8.13", {"pip": ["azureml-defaults"]}],
            },
        },
        "docker": {
            "enabled": False,
            "baseImage": "mcr.microsoft.com/azureml/openmpi4.1.0-ubuntu22.04",
            "baseDockerfile": None,
            "buildContext": None,
            "sharedVolumes": True,
            "shmSize": "2g",
            "arguments": [],
            "baseImageRegistry": {"address": None, "username": None, "password": None},
            "platform": {"os": "Linux", "architecture": "amd64"},
        },
        "spark": {"repositories": [], "packages": [], "precachePackages": True},
        "databricks": {},
        "r": None,
        "inferencingStackVersion": None,
        "assetId": None,
    }


def test_from_files(workspace: Workspace) -> None:
    Path("conda.yml").write_text("dependencies:\n- python=3.11\n- pip:\n  - joblib\n")
    Path("requirements.txt").write_text("# what it needs\nnumpy==1.26  # arrays\n\n-r more.txt\n")
    conda = Environment.from_conda_specification("one", "conda.yml").python.conda_dependencies
    pip = Environment.from_pip_requirements("two", "requirements.txt", pip_version="24.0").python.conda_dependencies
    assert conda is not None
    assert pip is not None
    assert (conda.conda_packages, conda.pip_packages) == (["python=3.11"], ["joblib"])
    assert (pip.conda_packages, pip.pip_packages) == (["python=3.10.18", "pip=24.0"], ["numpy==1.26"])
    assert pip.pip_options == ["-r more.txt"]


def test_a_folder_and_back(workspace: Workspace) -> None:
    made = Environment("myenv", inferencing_stack_version="latest")
    made.environment_variables["GREETING"] = "ä"
    made.docker.base_image = None
    made.docker.build_context = DockerBuildContext("git", "https://git.example/x")
    made.docker.base_image_registry.password = "secret"
    made.spark.precache_packages = False
    made.save_to_directory("folder")
    assert sorted(path.name for path in Path("folder").iterdir()) == [
        "azureml_environment.json",
        "conda_dependencies.yml",
    ]
    assert Environment.load_from_directory("folder").document() == made.document()
    assert "secret" not in repr(made)
    assert Path("folder/azureml_environment.json").stat().st_mode & 0o777 == 0o600
    with pytest.raises(UserErrorException, match="overwrite=True"):
        made.save_to_directory("folder")
    made.save_to_directory("folder", overwrite=True)
    with pytest.raises(FileNotFoundError):
        Environment.load_from_directory("other")


def test_a_folder_as_v1_wrote_it(tmp_path: Path) -> None:
    """v1 kept packages and Dockerfile in files of their own, which people edit, and not in the document."""
    made = Environment("myenv")
    made.docker.base_image, made.docker.base_dockerfile = None, "FROM x"
    made.save_to_directory(str(tmp_path))
    document = json.loads((tmp_path / "azureml_environment.json").read_text())
    assert "condaDependencies" not in document["python"]
    assert "baseDockerfile" not in document["docker"]
    (tmp_path / "conda_dependencies.yml").write_text("dependencies:\n- python=3.11\n- numpy\n")
    (tmp_path / "BaseDockerfile").write_text("FROM y")
    found = Environment.load_from_directory(str(tmp_path))
    assert found.python.conda_dependencies is not None
    assert list(found.python.conda_dependencies.conda_packages) == ["python=3.11", "numpy"]
    assert found.docker.base_dockerfile == "FROM y"
    found.python.conda_dependencies = found.docker.base_dockerfile = None
    found.save_to_directory(str(tmp_path), overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["azureml_environment.json"]


def test_a_conda_file_of_the_folder_that_the_document_names(workspace: Workspace) -> None:
    """v1 read the file that a run configuration names beside it, too."""
    folder = Path("folder")
    folder.mkdir()
    (folder / "own.yml").write_text("dependencies:\n- python=3.11\n- own\n")
    document = {"name": "myenv", "python": {"condaDependenciesFile": "own.yml"}}
    (folder / "azureml_environment.json").write_text(json.dumps(document))

    def read() -> tuple[list[str], str | None]:
        python = Environment.load_from_directory("folder").python
        packages = python.conda_dependencies
        return (packages.conda_packages if packages else []), python.conda_dependencies_file

    assert read() == (["python=3.11", "own"], None)
    (folder / "conda_dependencies.yml").write_text("dependencies:\n- python=3.11\n- edited\n")
    assert read() == (["python=3.11", "edited"], None)
    for name in ("own.yml", "conda_dependencies.yml"):
        (folder / name).unlink()
    assert read() == ([], "own.yml"), "it is looked for beside the script"

    made = Environment("myenv")
    made.python.conda_dependencies_file = "own.yml"
    made.save_to_directory("folder", overwrite=True)
    assert read() == ([], "own.yml"), "the packages of a new environment do not come in between"


def test_a_folder_is_overwritten_wholly_or_is_none(workspace: Workspace) -> None:
    old, new = Environment("old"), Environment("new")
    old.docker.base_image, old.docker.base_dockerfile = None, "FROM old"
    assert new.python.conda_dependencies is not None
    new.python.conda_dependencies.add_pip_package("new")
    allowed = (old.document(), new.document())
    seen = []
    for steps in range(20):
        old.save_to_directory("folder", overwrite=True)
        if not _killed_after(steps, new):
            break
        try:
            found = Environment.load_from_directory("folder").document()
        except FileNotFoundError:
            seen.append("none")
        else:
            assert found in allowed
            seen.append(found["name"])
    assert set(seen) == {"old", "none"}
    assert Environment.load_from_directory("folder").document() == new.document()


def _killed_after(steps: int, environment: Environment) -> bool:
    """Whether a process that overwrites the folder was ended at its change of a name there after so many."""
    child = os.fork()
    if not child:
        done = 0

        def end(event: str, _arguments: object) -> None:
            nonlocal done
            if event in ("os.remove", "os.rename", "os.link"):
                if done == steps:
                    os._exit(9)
                done += 1

        sys.addaudithook(end)
        try:
            environment.save_to_directory("folder", overwrite=True)
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


def test_what_is_no_text(workspace: Workspace) -> None:
    Environment("myenv").save_to_directory("folder")
    Path("folder/BaseDockerfile").write_bytes(b"FROM \xe4")
    with pytest.raises(UserErrorException, match=r"folder/BaseDockerfile: not text in UTF-8"):
        Environment.load_from_directory("folder")
    with pytest.raises(UserErrorException, match=r"BaseDockerfile: not text in UTF-8"):
        Environment.from_pip_requirements("x", "folder/BaseDockerfile")


def test_versions_in_the_workspace(workspace: Workspace) -> None:
    made = Environment("myenv")
    assert made.register(workspace).version == "1"
    assert made.register(workspace).version == "1", "the same content is the same version"
    made.environment_variables["A"] = "1"
    for number in range(9):
        made.environment_variables["A"] = str(number)
        made.register(workspace)
    assert Environment.get(workspace, "myenv").version == "10"
    assert Environment.get(workspace, "myenv").environment_variables["A"] == "8"
    assert Environment.get(workspace, "myenv", version="1").environment_variables == {
        "EXAMPLE_ENV_VAR": "EXAMPLE_VALUE"
    }
    assert {name: each.version for name, each in workspace.environments.items()} == {"myenv": "10"}
    clone = Environment.get(workspace, "myenv").clone("other")
    clone.environment_variables["A"] = "x"
    assert (clone.name, clone.version) == ("other", None)
    assert Environment.get(workspace, "myenv").environment_variables["A"] == "8"


def test_what_is_refused(workspace: Workspace) -> None:
    Environment("myenv").register(workspace)
    for name, version, text in (
        ("myenw", None, "did you mean myenv?"),
        ("myenv", "3", "it has 1"),
        ("AzureML-sklearn-1.0", None, "curated environments"),
        ("../myenv", None, "is not in"),
    ):
        with pytest.raises(UserErrorException, match=text.replace("?", r"\?")):
            Environment.get(workspace, name, version=version)
    two = Environment("two")
    two.docker.base_dockerfile = "FROM x"
    with pytest.raises(UserErrorException, match="mutually exclusive"):
        two.register(workspace)
    with pytest.raises(UserErrorException, match="reserved"):
        Environment("AzureML-mine").register(workspace)
    with pytest.raises(UserErrorException, match="not allowed"):
        Environment("a/b").register(workspace)
    with pytest.raises(UserErrorException, match="has no dokcer"):
        Environment("x", dokcer=1)
    with pytest.raises(AttributeError):
        two.docker.base_imgae = "x"  # type: ignore[attr-defined]
    with pytest.raises(UserErrorException, match=r"Model\.package"):
        two.build(workspace)


def test_an_environment_of_conda(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserErrorException, match="conda is not installed"):
        Environment.from_existing_conda_environment("mine", "base")
    (tmp_path / "conda").write_text(
        '#!/bin/sh\n[ "$5" = base ] || { echo "no such environment" >&2; exit 1; }\n'
        "echo 'name: base'; echo 'dependencies: [python=3.11.4, numpy=1.26.0]'; echo 'prefix: /opt/conda'\n"
    )
    (tmp_path / "conda").chmod(0o755)
    packages = Environment.from_existing_conda_environment("mine", "base").python.conda_dependencies
    assert packages is not None
    assert packages.as_dict() == {"name": "base", "dependencies": ["python=3.11.4", "numpy=1.26.0"]}
    with pytest.raises(UserErrorException, match="no such environment"):
        Environment.from_existing_conda_environment("mine", "other")


def test_a_document_without_what_has_defaults(tmp_path: Path) -> None:
    (tmp_path / "azureml_environment.json").write_text(
        json.dumps({"name": "old", "docker": {"baseDockerfile": "FROM x"}})
    )
    found = Environment.load_from_directory(str(tmp_path))
    assert (found.docker.base_image, found.docker.shm_size, found.python.interpreter_path) == (None, "2g", "python")
    (tmp_path / "azureml_environment.json").write_text('{"name": "old", "docker": []}')
    assert Environment.load_from_directory(str(tmp_path)).docker.base_image is not None
    for text in (
        "{",
        "[]",
        "{}",
        '{"name": "x", "python": [1]}',
        '{"name": "x", "docker": {"platform": 1}}',
        NO_FILE,
        *NO_LISTS,
    ):
        (tmp_path / "azureml_environment.json").write_text(text)
        with pytest.raises(UserErrorException):
            Environment.load_from_directory(str(tmp_path))


def test_an_image_is_kept_with_the_packages_of_a_file(workspace: Workspace, tmp_path: Path) -> None:
    (tmp_path / "conda.yml").write_text("dependencies: [python=3.11, numpy]\n")
    (tmp_path / "requirements.txt").write_text("requests\n")
    (tmp_path / "Dockerfile").write_text("FROM debian\n")
    registry = ContainerRegistry("registry.example.com", "reader")
    of_image = Environment.from_docker_image("a", "debian:12", registry, conda_specification="conda.yml")
    assert (of_image.docker.base_image, of_image.docker.base_image_registry) == ("debian:12", registry)
    assert of_image.python.conda_dependencies is not None
    assert of_image.python.conda_dependencies.conda_packages == ["python=3.11", "numpy"]
    of_file = Environment.from_dockerfile("b", "Dockerfile", pip_requirements="requirements.txt")
    of_text = Environment.from_dockerfile("b", "FROM debian\n")
    assert of_file.docker.base_dockerfile == of_text.docker.base_dockerfile == "FROM debian\n"
    assert of_file.docker.base_image is None
    assert of_file.python.conda_dependencies is not None
    assert of_file.python.conda_dependencies.pip_packages == ["requests"]
    assert of_text.python.user_managed_dependencies
    assert of_file.register(workspace).version == "1"
    with pytest.raises(UserErrorException, match="not both"):
        Environment.from_dockerfile("b", "Dockerfile", "conda.yml", "requirements.txt")
    with pytest.raises(UserErrorException, match=r"Model\.package"):
        of_image.get_image_details(workspace)


def test_a_wheel_is_kept_in_the_workspace(workspace: Workspace, tmp_path: Path) -> None:
    wheel = tmp_path / "mine-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("mine.py", "")
    url = Environment.add_private_pip_wheel(workspace, str(wheel))
    kept = workspace.folder.absolute() / "wheels" / wheel.name
    assert url == f"file://{kept}"
    assert kept.read_bytes() == wheel.read_bytes()
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("more.py", "")
    with pytest.raises(UserErrorException, match="exist_ok=True to replace"):
        Environment.add_private_pip_wheel(workspace, str(wheel))
    assert kept.read_bytes() != wheel.read_bytes()
    assert Environment.add_private_pip_wheel(workspace, str(wheel), exist_ok=True) == url
    assert kept.read_bytes() == wheel.read_bytes()
    for name in ("mine.whl", "other-1.0-py3-none-any.whl"):
        (tmp_path / name).write_bytes(b"no archive")
        with pytest.raises(UserErrorException, match="no wheel"):
            Environment.add_private_pip_wheel(workspace, name)
    assert [path.name for path in kept.parent.iterdir()] == [wheel.name]
    with pytest.raises(FileNotFoundError):
        Environment.add_private_pip_wheel(workspace, "gone-1.0-py3-none-any.whl")
