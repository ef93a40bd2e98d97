"""`edgepack build --check`: asks a built image what the sample asks, on each platform that this machine can run.

An engine is taken where one answers, else (and where the engine has no emulation) the image runs as a process. Both
start it as a device would: read-only, without a network, as its own user, with a time limit. What cannot be run here is
named with the reason; if nothing can, that is an error.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgepack.errors import InputError, RemoteError
from edgepack.oci.validate import PlatformContent, verify_layout
from edgepack.trial.answers import DEFAULT_TOLERANCE, body_difference
from edgepack.trial.containers import engine_platform, try_in_container
from edgepack.trial.processes import own_platform, try_as_process
from edgepack.trial.samples import Sample
from edgepack.trial.trial import Answer, NotRunnable, Trial

NATIVE_LIMIT_S = 120
FOREIGN_LIMIT_S = 600
_MOST_SHOWN = 2000
Way = Callable[[PlatformContent, Sequence[bytes]], Trial | NotRunnable]
"""A way to run an image and send it requests."""


@dataclass(frozen=True, slots=True)
class CheckSettings:
    """How to check: the tolerance of numbers, the time for a platform (None: as `NATIVE_LIMIT_S`), scratch space."""

    scratch: Path
    tolerance: float = DEFAULT_TOLERANCE
    limit_s: float | None = None
    say: Callable[[str], None] = field(default=lambda _text: None)

    def time_for(self, platform: str, native: str) -> float:
        """Seconds that a platform gets where another is native."""
        return self.limit_s or (NATIVE_LIMIT_S if platform == native else FOREIGN_LIMIT_S)


@dataclass(frozen=True, slots=True)
class PlatformCheck:
    """What came of one platform: `problem` None: as expected; `reason`: it was not run, and why."""

    platform: str
    how: str | None
    seconds: float
    answers: tuple[tuple[str, Answer], ...]  # (name of the sample, answer)
    problem: str | None
    reason: str | None
    log: str

    def document(self) -> dict[str, Any]:
        """As in `build.json`."""
        result = "not run" if self.reason else "failed" if self.problem else "passed"
        shown = {"how": self.how, "problem": self.problem, "reason": self.reason}
        return {
            "result": result,
            "seconds": self.seconds,
            **{key: value for key, value in shown.items() if value is not None},
            "answers": [
                {"sample": name, "status": answer.status, "body": _shown(answer.body)} for name, answer in self.answers
            ],
        }


def check_image(
    layout: Path, samples: Sequence[Sample], settings: CheckSettings, ways: Sequence[Way] | None = None
) -> list[PlatformCheck]:
    """Try all platforms of a layout, one after the other, in the first of the `ways` that can run them.

    Raises:
        DamagedDataError: the layout is damaged; nothing is run then.
    """
    platforms = verify_layout(layout, diff_ids=False).platforms
    ways = ways if ways is not None else ways_to_run(layout, settings)
    return [_check(content, samples, settings, ways) for content in platforms]


def raise_if_failed(checks: Sequence[tuple[str, PlatformCheck]]) -> None:
    """Raise for checks, each with its image's name.

    Raises:
        InputError: an image does not answer as expected; all of them, with their logs.
        RemoteError: none of them could be run here.
    """
    InputError.raise_if_any(
        f"{name} on {check.platform} {check.how}: {check.problem}\n{_indented('log', check.log)}"
        for name, check in checks
        if check.problem
    )
    if all(check.reason for _, check in checks):
        reasons = "; ".join(f"{check.platform}: {check.reason}" for _, check in checks)
        raise RemoteError(f"--check: no image could be run on this machine ({reasons})", retryable=False)


def ways_to_run(layout: Path, settings: CheckSettings) -> tuple[Way, ...]:
    """In a container, or as a process of this machine."""
    found = engine_platform()

    def in_container(content: PlatformContent, requests: Sequence[bytes]) -> Trial | NotRunnable:
        if isinstance(found, NotRunnable):
            return found
        try:
            return try_in_container(layout, content, requests, settings.time_for(content.name, found))
        except RemoteError as error:  # such as an engine that does not know the compression
            return NotRunnable(str(error))

    def as_process(content: PlatformContent, requests: Sequence[bytes]) -> Trial | NotRunnable:
        limit_s = settings.time_for(content.name, own_platform())
        return try_as_process(layout, content, requests, limit_s, settings.scratch)

    return in_container, as_process


def _check(
    content: PlatformContent, samples: Sequence[Sample], settings: CheckSettings, ways: Sequence[Way]
) -> PlatformCheck:
    started = time.monotonic()
    settings.say(f"Checking {content.name} ...")
    reasons = []
    for run in ways:
        trial = run(content, [sample.request for sample in samples])
        if isinstance(trial, NotRunnable):
            reasons.append(trial.reason)
            continue
        named = tuple((sample.name, answer) for sample, answer in zip(samples, trial.answers, strict=False))
        problem = _problem(samples, trial, settings.tolerance)
        return PlatformCheck(content.name, trial.how, _seconds(started), named, problem, None, trial.log)
    return PlatformCheck(content.name, None, _seconds(started), (), None, "; ".join(dict.fromkeys(reasons)), "")


def _seconds(started: float) -> float:
    return round(time.monotonic() - started, 1)


def _problem(samples: Sequence[Sample], trial: Trial, tolerance: float) -> str | None:
    """What is wrong with the first answer that is not as expected."""
    for sample, answer in zip(samples, trial.answers, strict=False):
        if answer.status != 200:
            return f"{sample.name}: status {answer.status} instead of 200\n{_indented('answer', _shown(answer.body))}"
        if sample.expected is None:
            continue
        difference = body_difference(sample.expected, answer.body, tolerance)
        if difference is not None:
            both = [_indented("expected", _shown(sample.expected)), _indented("answer", _shown(answer.body))]
            return "\n".join([f"{sample.name}: {difference.sentence()}", *both])
    return trial.problem


def _shown(body: bytes) -> str:
    text = body.decode(errors="replace").strip()
    return text if len(text) <= _MOST_SHOWN else f"{text[: _MOST_SHOWN - 1]}…"


def _indented(title: str, text: str) -> str:
    return "\n".join([f"    {title}:", *(f"      {line}" for line in text.splitlines())]) if text else f"    no {title}"
