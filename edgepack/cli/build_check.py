"""`edgepack build --check`: its options, what to ask, and what came of it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgepack.cli.session import Session
from edgepack.errors import InputError

if TYPE_CHECKING:
    from edgepack.assembly import Assembly
    from edgepack.trial.samples import Sample


def check_options(command: Any) -> Any:
    """Give a command the options `check`, `check_tolerance` and `check_timeout`."""
    for option in (
        click.option(
            "--check-timeout",
            type=click.FloatRange(min=0, min_open=True),
            metavar="SECONDS",
            help="Time for a platform. Default: 120, emulated 600.",
        ),
        click.option(
            "--check-tolerance",
            type=click.FloatRange(min=0),
            default=1e-3,
            metavar="NUMBER",
            help="How far numbers may be from the expected ones, relative or absolute. Default: 0.001.",
        ),
        click.option(
            "--check", is_flag=True, help="Ask each image that runs here the sample request; fail if it fails."
        ),
    ):
        command = option(command)
    return command


def check_samples(assembly: "Assembly", session: Session) -> "dict[str, tuple[Sample, ...]]":
    """What to ask each image, by its name.

    Raises:
        InputError: there is no sample request for an image, or a model is not registered; all problems.
    """
    from edgepack.models.registry import ModelRegistry
    from edgepack.trial.samples import samples_of

    registry = ModelRegistry(session.workspace)
    found: dict[str, tuple[Sample, ...]] = {}
    problems: list[str] = []
    for recipe in assembly.recipes.values():
        try:
            found[str(recipe.image)] = samples_of(recipe, registry)
        except InputError as error:
            problems += error.problems
    InputError.raise_if_any(problems)
    return found


def check_images(
    layouts: Mapping[str, Path],
    samples: "Mapping[str, Sequence[Sample]]",
    tolerance: float,
    limit_s: float | None,
    output: Path,
    session: Session,
) -> dict[str, Any]:
    """Check images, by name, and add what came of it to `build.json`; returns that, by image and platform.

    Raises:
        InputError: an image does not answer as expected.
        RemoteError: none could be run here.
    """
    from edgepack.smoke_test import CheckSettings, check_image, raise_if_failed

    settings = CheckSettings(session.workspace / "cache" / "check", tolerance, limit_s, session.say)
    found = {name: check_image(layout, samples[name], settings) for name, layout in layouts.items()}
    for name, checks in found.items():
        for check in checks:
            _tell(name, check, samples[name], session)
    documents = {name: {check.platform: check.document() for check in checks} for name, checks in found.items()}
    _add_to_report(output, documents)
    raise_if_failed([(name, check) for name, checks in found.items() for check in checks])
    return documents


def _tell(name: str, check: Any, samples: "Sequence[Sample]", session: Session) -> None:
    if check.reason:
        session.warn(f"{name} was not checked on {check.platform}: {check.reason}")
    elif not check.problem:
        session.say(f"checked {name} on {check.platform} {check.how} in {check.seconds:.1f} s")
        for sample, (_, answer) in zip(samples, check.answers, strict=True):
            if sample.expected is None:
                session.say(f"  {sample.name}: no answer is expected; it was {answer.body.decode(errors='replace')}")


def _add_to_report(output: Path, documents: Mapping[str, Any]) -> None:
    from edgepack.build_output import REPORT
    from edgepack.files import write_file

    path = output / REPORT
    report = json.loads(path.read_bytes())
    write_file(path, (json.dumps({**report, "check": documents}, indent=2, ensure_ascii=False) + "\n").encode())
