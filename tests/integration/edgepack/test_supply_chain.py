"""Bills of materials, provenance and signatures of whole builds, through the command line."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgepack.attachments import read_attachments
from edgepack.oci.artifact import CYCLONEDX, IN_TOTO
from tests.fakes.build_world import Project, World, copy_installation, make_world
from tests.fakes.http_server import FileServer
from tests.fakes.signing_key import SigningKey

PASSWORD = "correct horse battery"

pytestmark = pytest.mark.skipif(
    shutil.which("gpg") is None or shutil.which("gpgv") is None, reason="gpg is not installed: release files need it"
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with FileServer() as server, SigningKey() as key:
        yield make_world(server, key, copy_installation(tmp_path_factory.mktemp("installed")))


@pytest.fixture(scope="module")
def signed(world: World, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A project with a signed build; tests copy it."""
    project = world.project(tmp_path_factory.mktemp("built") / "project", image="registry.example.com/team/sample:1")
    project.installation = Path(world.environment["HOME"])
    project.environment |= {"EDGEPACK_KEY_PASSWORD": PASSWORD}
    for name in ("own", "other"):
        project.run("key", "generate", "-o", name, code=0)
    project.build("--sign-key", "own.key")
    return project


@pytest.fixture
def copy(signed: Project, tmp_path: Path) -> Project:
    folder = tmp_path / "copy"
    shutil.copytree(signed.folder, folder, symlinks=True)
    return Project(folder, {**signed.environment, "UV_CACHE_DIR": str(folder / "uv-cache")}, signed.installation)


def dist(project: Project, name: str) -> Any:
    return json.loads((project.folder / "dist" / name).read_text())


def verify(project: Project, key: str = "own.pub", code: int = 0) -> str:
    return project.run("verify", "dist", "--key", key, code=code).stderr


def test_a_signed_build_verifies_with_its_key_only(signed: Project) -> None:
    result = json.loads(signed.run("--json", "verify", "dist", "--key", "own.pub", code=0).stdout)
    documents = ["linux-amd64.cdx.json", "linux-arm64.cdx.json", "provenance.json"]
    assert sorted(result["signed"]["documents"]) == documents
    assert result["signed"]["names"] == ["registry.example.com/team/sample"]
    assert "not with this key" in verify(signed, "other.pub", code=4)
    assert "is a private key" in verify(signed, "own.key", code=2)


def test_nothing_moves_when_a_signed_project_is_built_again(copy: Project) -> None:
    before = {path: path.stat().st_ino for path in (copy.folder / "dist" / "attachments").rglob("*")}
    copy.build()
    assert {path: path.stat().st_ino for path in (copy.folder / "dist" / "attachments").rglob("*")} == before
    verify(copy)


def test_another_image_has_none_of_the_old_signatures(copy: Project) -> None:
    script = copy.folder / "source" / "score.py"
    script.write_text(script.read_text() + "\n# changed\n")
    copy.build()
    assert "is not signed" in verify(copy, code=4)
    copy.run("sign", "dist", "--key", "own.key", code=0)
    verify(copy)


def test_a_second_key_signs_beside_the_first(copy: Project) -> None:
    copy.run("sign", "dist", "--key", "other.key", code=0)
    verify(copy, "own.pub")
    verify(copy, "other.pub")


def test_a_wrong_password_ends_before_the_build(copy: Project) -> None:
    copy.environment["EDGEPACK_KEY_PASSWORD"] = "something else"
    shutil.rmtree(copy.folder / "dist")
    done = copy.run("build", "--sign-key", "own.key", code=2)
    assert "password" in done.stderr
    assert not (copy.folder / "dist").exists()


@pytest.mark.parametrize("name", ["sbom/linux-arm64.cdx.json", "provenance.json", "attachments/index.json"])
def test_a_changed_document_is_noticed_with_and_without_a_key(copy: Project, name: str) -> None:
    path = copy.folder / "dist" / name
    content = path.read_bytes()
    path.write_bytes(content.replace(b"0", b"1", 1))
    assert f"dist/{name}".partition("/index")[0] in copy.run("verify", "dist", code=4).stderr
    verify(copy, code=4)


def test_a_document_that_was_exchanged_with_its_attachment_is_not_signed(copy: Project) -> None:
    """Whoever can write the folder can make all digests fit; only the signature tells."""
    recipe = copy.folder / "edgepack.yaml"
    document = json.loads(recipe.read_text())
    recipe.write_text(json.dumps(document | {"image": "registry.example.com/team/other:1"}))
    attachments = copy.folder / "dist" / "attachments"
    old = read_attachments(attachments)
    copy.build()
    new = read_attachments(attachments)
    assert old
    assert new
    assert old.index == new.index
    from edgepack.attachments import write_attachments

    write_attachments(attachments, new.replaced([*new.attachments, *(each for each in old.attachments if each.tag)]))
    copy.run("verify", "dist", code=0)
    assert "not signed with this key" in verify(copy, code=4)


def test_documents_are_attached_to_what_they_are_about(signed: Project) -> None:
    attached = read_attachments(signed.folder / "dist" / "attachments")
    assert attached
    report = dist(signed, "build.json")
    boms = attached.of_type(CYCLONEDX)
    assert {each.subject.digest for each in boms} == {each["digest"] for each in report["platforms"].values()}
    (provenance,) = attached.of_type(IN_TOTO)
    assert provenance.subject.digest == report["digest"] == attached.subject.digest
    assert len(dist(signed, "image/index.json")["manifests"]) == 1


def test_bill_of_materials_has_everything(signed: Project) -> None:
    document = dist(signed, "sbom/linux-arm64.cdx.json")
    components = {each["bom-ref"]: each for each in document["components"]}
    assert {each["name"] for each in components.values()} >= {"libc6", "plain", "device_agent", "tiny", "score.py"}
    for package in (each for each in components.values() if each["type"] == "library"):
        assert package["purl"].startswith(("pkg:deb/debian/", "pkg:pypi/"))
        assert len(package["hashes"][0]["content"]) == 64
    assert [each["name"] for each in components["script"]["components"]] == ["var/azureml-app/source/score.py"]
    (image,) = (each for each in document["dependencies"] if each["ref"] == "image:linux/arm64")
    assert set(image["dependsOn"]) == set(components)


def test_provenance_names_every_input(signed: Project) -> None:
    statement = dist(signed, "provenance.json")
    report = dist(signed, "build.json")
    hexes = {each["digest"]["sha256"] for each in statement["subject"]}
    assert hexes == {d[7:] for d in (report["digest"], *(each["digest"] for each in report["platforms"].values()))}
    names = {each["name"] for each in statement["predicate"]["buildDefinition"]["resolvedDependencies"]}
    assert names >= {
        "models/tiny/1/weights.bin",
        "var/azureml-app/source/score.py",
        "conda.yml",
        "edgepack.yaml",
        "pylock.linux-amd64.toml",
        "pylock.linux-arm64.toml",
        "device_agent",
        "plain-2.0-py3-none-any.whl",
    }
    assert any(name.endswith("_arm64.deb") for name in names)
    assert str(signed.folder) not in json.dumps(statement)


def test_provenance_is_shown(signed: Project) -> None:
    text = signed.run("inspect", "dist", "--provenance", code=0).stdout
    assert "builder  urn:edgepack:builder:oci edgepack " in text
    assert "asked    models: tiny:1" in text
    assert "  models/tiny/1/weights.bin" in text
    statement = json.loads(signed.run("--json", "inspect", "dist", "--provenance", code=0).stdout)
    assert statement == dist(signed, "provenance.json")
    shutil.copytree(signed.folder / "dist" / "image", signed.folder / "bare")
    assert "no provenance" in signed.run("inspect", "bare", "--provenance", code=2).stderr
