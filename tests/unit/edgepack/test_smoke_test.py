"""What becomes of a check, with ways of running an image that are made up."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from edgepack.errors import InputError, RemoteError
from edgepack.oci.validate import PlatformContent
from edgepack.smoke_test import CheckSettings, PlatformCheck, Way, check_image, raise_if_failed
from edgepack.trial.samples import Sample
from edgepack.trial.trial import Answer, NotRunnable, Trial
from tests.fakes.images import ImageMaker

SAMPLES = (Sample("first", b"1", b"[0.5]"), Sample("second", b"2", None))


def answers(*bodies: str, status: int = 200, problem: str | None = None) -> Trial:
    """A trial that gave these answers."""
    return Trial(tuple(Answer(status, body.encode()) for body in bodies), problem, "a log\nof lines", "in a test")


def check(tmp_path: Path, *ways: Trial | NotRunnable) -> list[PlatformCheck]:
    """Check an image of two platforms, where every way gives the same for both."""
    maker = ImageMaker(tmp_path / "cache")
    maker.write(tmp_path / "layout", maker.images(b"x"))
    asked: list[Sequence[bytes]] = []

    def way(result: Trial | NotRunnable) -> Way:
        def run(content: PlatformContent, requests: Sequence[bytes]) -> Trial | NotRunnable:
            asked.append(requests)
            return result

        return run

    runs = [way(result) for result in ways]
    found = check_image(tmp_path / "layout", SAMPLES, CheckSettings(tmp_path), runs)
    assert all(requests == [b"1", b"2"] for requests in asked)
    assert [each.platform for each in found] == ["linux/amd64", "linux/arm64"]
    return found


def test_as_expected(tmp_path: Path) -> None:
    found = check(tmp_path, answers("[0.50001]", '"anything"'))
    raise_if_failed([("image", each) for each in found])
    document = found[0].document()
    assert (document["result"], document["how"]) == ("passed", "in a test")
    assert document["answers"][1] == {"sample": "second", "status": 200, "body": '"anything"'}


def test_the_next_way_is_taken_where_one_cannot(tmp_path: Path) -> None:
    found = check(tmp_path, NotRunnable("no engine"), answers("[0.5]", "1"))
    assert [each.document()["result"] for each in found] == ["passed", "passed"]


@pytest.mark.parametrize(
    ("trial", "problem"),
    [
        (answers("[0.51]", "1"), "first: the answer differs at /0: expected 0.5, found 0.51"),
        (answers('{"message": "boom"}', status=500, problem="later"), "first: status 500 instead of 200"),
        (answers("[0.5]", problem="the module ended with exit code 139"), "the module ended with exit code 139"),
        (answers(problem="the module is not ready after 5 s"), "the module is not ready after 5 s"),
    ],
)
def test_failures(trial: Trial, problem: str, tmp_path: Path) -> None:
    found = check(tmp_path, trial)
    with pytest.raises(InputError) as caught:
        raise_if_failed([("image", each) for each in found])
    first, second = caught.value.problems
    assert first.startswith(f"image on linux/amd64 in a test: {problem}")
    assert second.startswith("image on linux/arm64")
    assert "log:\n      a log\n      of lines" in first
    assert found[0].document()["result"] == "failed"


def test_both_answers_are_shown_at_a_difference(tmp_path: Path) -> None:
    problem = check(tmp_path, answers("[0.51]", "1"))[0].problem
    assert problem is not None
    assert problem.endswith("    expected:\n      [0.5]\n    answer:\n      [0.51]")


def test_nothing_could_be_run(tmp_path: Path) -> None:
    found = check(tmp_path, NotRunnable("no engine"), NotRunnable("no namespaces"))
    assert found[0].document()["reason"] == "no engine; no namespaces"
    with pytest.raises(RemoteError, match=r"no image could be run on this machine .*linux/arm64: no engine; no namesp"):
        raise_if_failed([("image", each) for each in found])


def test_one_platform_of_two_is_enough(tmp_path: Path) -> None:
    passed, _ = check(tmp_path, answers("[0.5]", "1"))
    _, skipped = check(tmp_path, NotRunnable("no emulation"))
    raise_if_failed([("image", passed), ("image", skipped)])


def test_time_for_a_platform(tmp_path: Path) -> None:
    settings = CheckSettings(tmp_path)
    assert settings.time_for("linux/amd64", "linux/amd64") < settings.time_for("linux/arm64", "linux/amd64")
    assert CheckSettings(tmp_path, limit_s=7).time_for("linux/arm64", "linux/amd64") == 7
