"""`edgepack push`, `pull`, and `inspect` and `verify` of images in a registry: what people and scripts see."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgepack.cli.build_steps import BuildSteps, check_steps
from edgepack.cli.remote import remote_reference
from edgepack.errors import InputError
from tests.fakes.command_line import Run, command_line
from tests.fakes.fake_registry import FakeRegistry
from tests.fakes.registry_world import REPOSITORY, assert_stored, tree_of, write_image


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EDGEPACK_WORKSPACE", str(tmp_path / "workspace"))
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    return command_line(capsys)


@pytest.fixture
def fake() -> Iterator[FakeRegistry]:
    with FakeRegistry() as found:
        yield found


def built(folder: Path, *names: str) -> Path:
    """What a build leaves of images of these names: one at the top, others in folders of their own."""
    modules = {}
    for number, name in enumerate(names):
        place = folder if number == 0 else folder / f"module{number}"
        layout = write_image(place, os.urandom(2000), name.encode())
        platforms: dict[str, dict[str, str]] = {"linux/amd64": {}, "linux/arm64": {}}
        entry = {"image": name, "digest": tree_of(layout).root.digest, "platforms": platforms}
        modules[f"module{number}"] = {**entry, "layout": str(layout.relative_to(folder))}
    first = modules["module0"]
    top = {**first, "modules": modules} if len(names) > 1 else first
    (folder / "build.json").write_text(json.dumps(top))
    return folder


def test_a_build_is_pushed_as_it_was_named(run: Run, fake: FakeRegistry, tmp_path: Path) -> None:
    dist = built(tmp_path / "dist", f"{fake.host}/{REPOSITORY}:1.0")
    first = run("push", "dist")
    digest = tree_of(dist / "image").root.digest
    assert (first.code, first.err) == (0, "")
    lines = first.out.splitlines()
    assert lines[0] == f"pushed {fake.host}/{REPOSITORY}:1.0@{digest}"
    assert "linux/amd64, linux/arm64" in lines[1]
    assert "9 sent" in lines[2]
    assert "\x1b" not in first.out
    assert_stored(fake, dist / "image")
    again = run("--json", "push", "dist").document
    assert (again["sent_bytes"], again["present"]) == (0, 9)
    assert again["reference"] == f"{fake.host}/{REPOSITORY}@{digest}"


def test_another_name_than_the_deployments_is_said(run: Run, fake: FakeRegistry, tmp_path: Path) -> None:
    built(tmp_path / "dist", f"{fake.host}/{REPOSITORY}:1.0")
    other = run("push", "dist", f"{fake.host}/team/other:2")
    assert other.code == 0
    assert f"deployment.json names {fake.host}/{REPOSITORY}@sha256:" in other.err
    assert f"build with -t {fake.host}/team/other:2" in other.err
    assert run("push", "dist", f"{fake.host}/{REPOSITORY}:other-tag").err == ""
    assert run("push", "dist/image", f"{fake.host}/team/other:2").err == ""


def test_all_images_of_a_project_are_pushed(run: Run, fake: FakeRegistry, tmp_path: Path) -> None:
    dist = built(tmp_path / "dist", f"{fake.host}/team/one:1", f"{fake.host}/team/two:1")
    pushed = run("--json", "push", "dist")
    assert [each["image"] for each in pushed.document["images"]] == [
        f"{fake.host}/team/one:1",
        f"{fake.host}/team/two:1",
    ]
    assert_stored(fake, dist / "image", "team/one", "1")
    assert_stored(fake, dist / "module1" / "image", "team/two", "1")


def test_names_without_a_registry_are_refused(run: Run, tmp_path: Path) -> None:
    built(tmp_path / "dist", "digits:1.0")
    for arguments in (("push", "dist"), ("push", "dist", "digits:1.0")):
        refused = run(*arguments)
        assert refused.code == 2
        assert "names no registry" in refused.err
    nameless = run("push", "dist/image")
    assert nameless.code == 2
    assert "give REF" in nameless.err
    assert "no OCI image layout there" in run("push", "nothing", "localhost:1/x").err
    with pytest.raises(InputError, match="names no registry"):
        check_steps(BuildSteps(push=True), ["digits:1.0"])


def test_a_digest_that_is_another_is_refused(run: Run, fake: FakeRegistry, tmp_path: Path) -> None:
    dist = built(tmp_path / "dist", f"{fake.host}/{REPOSITORY}:1.0")
    digest = tree_of(dist / "image").root.digest
    assert run("push", "dist", f"{fake.host}/{REPOSITORY}@{digest}").code == 0
    assert not fake.repository(REPOSITORY).tags
    other = run("push", "dist", f"{fake.host}/{REPOSITORY}@sha256:{'0' * 64}")
    assert other.code == 2
    assert digest in other.err


def test_an_image_in_a_registry_is_shown_as_the_one_in_a_folder(run: Run, fake: FakeRegistry, tmp_path: Path) -> None:
    name = f"{fake.host}/{REPOSITORY}:1.0"
    built(tmp_path / "dist", name)
    run("push", "dist")
    before = fake.count("GET", "/blobs/")
    assert run("--json", "inspect", name).document == run("--json", "inspect", "dist").document
    assert fake.count("GET", "/blobs/") == before + 2  # the configurations, no layer
    assert run("inspect", name).out.startswith(name)
    assert run("verify", name).out.startswith(f"{name}: sound (linux/amd64, linux/arm64; sha256:")
    assert not list((tmp_path / "workspace" / "cache").glob(".pulled-*"))


def test_pull_says_what_it_did(run: Run, fake: FakeRegistry, tmp_path: Path) -> None:
    name = f"{fake.host}/{REPOSITORY}:1.0"
    dist = built(tmp_path / "dist", name)
    run("push", "dist")
    pulled = run("pull", name, "copy")
    digest = tree_of(dist / "image").root.digest
    assert pulled.code == 0
    assert f"image     {fake.host}/{REPOSITORY}@{digest}" in pulled.out
    assert "platforms linux/amd64, linux/arm64" in pulled.out
    assert run("verify", "copy").code == 0
    again = run("--json", "pull", name, "copy").document
    assert (again["fetched"], again["present"], again["layout"]) == (0, 6, "copy")
    one = run("pull", "--platform", "linux/s390x", name, "copy")
    assert (one.code, one.out) == (2, "")
    assert "it has linux/amd64, linux/arm64" in one.err


@pytest.mark.parametrize(
    ("target", "is_remote"),
    [
        ("localhost:5000/x", True),
        ("registry.example.com/team/x:1", True),
        ("python:3.12-slim", True),
        ("docker.io/team/x", True),
        (f"team/x@sha256:{'0' * 64}", True),
        ("dist", False),
        ("team/x", False),
        ("./x:1", False),
        ("/x:1", False),
        ("Dist", False),
        ("exists:1", False),
    ],
)
def test_what_is_a_folder_and_what_an_image(
    target: str, is_remote: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "exists:1").mkdir()
    assert (remote_reference(target) is not None) is is_remote


def test_what_is_neither_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no image name"):
        remote_reference("Team/X:1")
