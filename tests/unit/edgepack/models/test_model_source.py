"""Which files a registration takes, by what names, and what it refuses."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import pytest

from edgepack.errors import InputError
from edgepack.models.source import find_sample, find_sources, raise_if_changed

NOBODY = 65534


def write(path: Path, text: str = "x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def models(tmp_path: Path) -> Path:
    write(tmp_path / "models/a.pkl")
    write(tmp_path / "models/sub/b.json")
    return tmp_path / "models"


def paths(model_path: Path, *children: str, workspace: Path = Path("/nowhere/.edgepack")) -> list[str]:
    sources, problems = find_sources(model_path, children, workspace=workspace)
    assert problems == ()
    return [source.path for source in sources]


def refusals(model_path: Path, *children: str, workspace: Path = Path("/nowhere/.edgepack")) -> tuple[str, ...]:
    _, problems = find_sources(model_path, children, workspace=workspace)
    assert problems
    return problems


def test_a_folder_keeps_its_own_name_as_prefix(models: Path) -> None:
    assert paths(models) == ["models/a.pkl", "models/sub/b.json"]


def test_a_file_is_just_its_name(models: Path) -> None:
    assert paths(models / "sub/b.json") == ["b.json"]


def test_child_paths(models: Path) -> None:
    assert paths(models, "sub") == ["models/sub/b.json"]
    assert paths(models, "sub/../a.pkl", "sub", "sub/b.json") == ["models/a.pkl", "models/sub/b.json"]
    assert paths(models, ".", "sub") == ["models/a.pkl", "models/sub/b.json"]


def test_dots_stand_for_the_folders_own_name(models: Path) -> None:
    with chdir(models):
        assert paths(Path()) == ["models/a.pkl", "models/sub/b.json"]
    with chdir(models / "sub"):
        assert paths(Path("..")) == ["models/a.pkl", "models/sub/b.json"]
        assert paths(Path("../sub/.")) == ["sub/b.json"]


def test_the_name_of_a_link_that_the_user_gives_is_kept(models: Path, tmp_path: Path) -> None:
    (tmp_path / "current").symlink_to(models)
    assert paths(tmp_path / "current") == ["current/a.pkl", "current/sub/b.json"]
    assert paths(tmp_path / "current", "sub") == ["current/sub/b.json"]


def test_links_inside_are_followed(models: Path) -> None:
    (models / "latest.pkl").symlink_to("a.pkl")
    (models / "other").symlink_to(models / "sub")
    assert paths(models) == [
        "models/a.pkl",
        "models/latest.pkl",
        "models/other/b.json",
        "models/sub/b.json",
    ]


def test_everything_that_cannot_be_stored_is_told_at_once(models: Path, tmp_path: Path) -> None:
    write(tmp_path / "outside")
    (models / "out").symlink_to("../outside")
    (models / "dangling").symlink_to("nothing")
    (models / "loop").symlink_to("loop")
    (models / "sub/up").symlink_to("..")
    (models / "null").symlink_to("/dev/null")
    os.mkfifo(models / "pipe")
    write(models / "a\nb")
    (models / os.fsdecode(b"\xff")).write_text("x")
    problems = refusals(models)
    for name, text in {
        "out": "leaves the model's folder",
        "dangling": "leads nowhere",
        "loop": "leads nowhere",
        "up": "is a link to a folder that contains it",
        "null": "leaves the model's folder",
        "pipe": "is a named pipe",
        r"a\x0ab": "control characters",
        r"\xff": "not valid UTF-8",
    }.items():
        assert [problem for problem in problems if f"/{name}: " in problem and text in problem], name
    assert len(problems) == 8
    assert not [problem for problem in problems if "\n" in problem]


def test_sockets_and_devices_are_refused(tmp_path: Path) -> None:
    assert "is a device" in refusals(Path("/dev/null"))[0]
    with tempfile.TemporaryDirectory(prefix="s") as short:
        place = Path(short, "sock")
        os.mknod(place, 0o140644)
        assert "is a socket" in refusals(place)[0]


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m/empty").mkdir(parents=True)
    assert "holds no files" in refusals(tmp_path / "m")[0]
    write(tmp_path / "m/x")
    assert refusals(tmp_path / "m", "empty") == ('provided child path "empty" holds no files',)


def test_a_missing_path_names_the_nearest(models: Path) -> None:
    assert "did you mean" in refusals(models.parent / "modls")[0]
    assert "path does not exist: check the path" in refusals(Path("/nowhere/at/all"))[0]


@pytest.mark.parametrize("child", ["..", "../x", "/etc", "sub/../../x", ""])
def test_child_paths_that_leave_the_folder(models: Path, child: str) -> None:
    assert "leaves the model's folder" in refusals(models, child)[0]


def test_all_bad_child_paths_are_told(models: Path) -> None:
    (models / "sub/up").symlink_to("..")
    problems = refusals(models, "none", "../x", "sub/up")
    assert len(problems) == 3
    assert problems[0].startswith('provided child path "none" cannot be found')


def test_child_paths_need_a_folder(models: Path) -> None:
    assert "need a folder" in refusals(models / "a.pkl", "x")[0]


def test_the_workspace_is_left_out(models: Path) -> None:
    write(models / ".edgepack/models/blobs/x")
    assert paths(models, workspace=models / ".edgepack") == ["models/a.pkl", "models/sub/b.json"]


def test_the_registrys_own_files_are_no_model(models: Path) -> None:
    assert "keeps its own files" in refusals(models, workspace=models.parent)[0]


def test_the_root_folder_has_no_name() -> None:
    assert "has no name" in refusals(Path("/"))[0]


def test_executables_are_known(models: Path) -> None:
    (models / "a.pkl").chmod(0o755)
    sources, _ = find_sources(models, (), workspace=Path("/nowhere"))
    assert [source.executable for source in sources] == [True, False]


def test_a_deep_folder(tmp_path: Path) -> None:
    deep = tmp_path / "m" / Path(*["d"] * 400)
    write(deep / "x")
    assert len(paths(tmp_path / "m")) == 1


def test_unreadable_files_and_folders() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        model = Path(folder, "m")
        write(model / "secret").chmod(0)
        write(model / "closed/x")
        (model / "closed").chmod(0)
        with _without_privileges():
            problems = refusals(model)
        (model / "closed").chmod(0o755)
    assert len(problems) == 2
    assert all("change its permissions" in problem for problem in problems)


@contextmanager
def _without_privileges() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def test_samples(models: Path) -> None:
    source, problems = find_sample(models / "a.pkl", "sample input")
    assert problems == ()
    assert source is not None
    assert source.path == "a.pkl"
    assert "is a folder" in find_sample(models, "sample input")[1][0]
    assert find_sample(models / "none", "sample output")[1][0].startswith("sample output: ")


def test_any_change_is_seen(models: Path) -> None:
    before, _ = find_sources(models, (), workspace=Path("/nowhere"))
    raise_if_changed(before, before)
    write(models / "a.pkl", "other")
    write(models / "new")
    after, _ = find_sources(models, (), workspace=Path("/nowhere"))
    with pytest.raises(InputError) as caught:
        raise_if_changed(before, after)
    assert len(caught.value.problems) == 2
    assert all("changed while it was being registered" in problem for problem in caught.value.problems)


def test_a_folder_whose_names_can_be_read_but_not_its_files() -> None:
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        model = Path(folder, "m")
        write(model / "closed/x")
        (model / "closed").chmod(0o744)
        with _without_privileges():
            problems = refusals(model)
        (model / "closed").chmod(0o755)
    assert len(problems) == 1
    assert "closed/x: cannot be read" in problems[0]
