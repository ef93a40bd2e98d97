"""What is another between two locks, and why a lock no longer answers what is asked for. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from edgepack.base_changes import base_changes
from edgepack.oci.platform import Platform
from edgepack.resolve.lock import PlatformLock
from edgepack.resolve.package_requests import PackageRequests
from edgepack.resolve.url_variables import without_secrets


def asked_lines(requests: PackageRequests) -> tuple[str, ...]:
    """What is asked for, a line each, as a lock keeps it."""
    options = [f"option: {without_secrets(option)}" for option in _options(requests.options)]
    return tuple(
        [without_secrets(text) for text in requests.requirements]
        + [f"constraint: {text}" for text in requests.constraints]
        + [f"hashes: {name}" for name, _ in requests.hashes]
        + [f"Debian: {name}" for name in requests.system]
        + options
    )


def _options(options: Sequence[str]) -> Iterator[str]:
    pending = ""
    for option in options:
        if option.startswith("--"):
            yield from filter(None, [pending])
            pending = option
        else:
            pending = f"{pending} {option}"
    yield from filter(None, [pending])


def lock_changes(former: Mapping[Platform, PlatformLock], now: Mapping[Platform, PlatformLock]) -> dict[str, Any]:
    """By platform: Python packages `added` and `removed` (versions by name), `changed` (old and new), and `base`.

    `base` has a line for each change. Platforms without a change are not there.
    """
    found = {}
    for platform, lock in now.items():
        before, after = _versions(former.get(platform)), _versions(lock)
        change: dict[str, Any] = {
            "added": {name: after[name] for name in sorted(after.keys() - before.keys())},
            "removed": {name: before[name] for name in sorted(before.keys() - after.keys())},
            "changed": {
                name: [before[name], after[name]]
                for name in sorted(before.keys() & after.keys())
                if before[name] != after[name]
            },
        }
        if platform in former and _base(former[platform]) != _base(lock):
            one = base_changes({platform: former[platform]}, {platform: lock})
            change["base"] = [line.removesuffix(f" ({platform})") for line in one]
        if any(change.values()):
            found[str(platform)] = {key: value for key, value in change.items() if value}
    return found


def _versions(lock: PlatformLock | None) -> dict[str, str]:
    if lock is None:
        return {}
    wheels = [(wheel.name, wheel.version) for wheel in lock.wheels]
    supplied = [(each.name, f"{each.version} (Debian)") for each in lock.supplied]
    return {str(canonicalize_name(name)): version for name, version in wheels + supplied}


def _base(lock: PlatformLock) -> tuple[Any, ...]:
    return lock.base, lock.image, lock.debian


def change_lines(changes: Mapping[str, Any]) -> list[str]:
    """The changes for people: a line each, with the platforms that it is of."""
    found: dict[str, list[str]] = {}
    for platform, change in changes.items():
        lines = [f"{name}: {version} is new" for name, version in change.get("added", {}).items()]
        lines += [f"{name}: {version} is no longer in it" for name, version in change.get("removed", {}).items()]
        lines += [f"{name}: {old} -> {new}" for name, (old, new) in change.get("changed", {}).items()]
        for line in sorted(lines) + change.get("base", []):
            found.setdefault(line, []).append(platform)
    return [f"{line} ({', '.join(platforms)})" for line, platforms in found.items()]


def stale_reasons(
    locks: Mapping[Platform, PlatformLock], platforms: Sequence[Platform], base: str, asked: Sequence[str]
) -> list[str]:
    """Why `locks`, those that there are, do not answer; the most telling reasons, none twice."""
    reasons = [f"there is no lock for {platform}" for platform in platforms if platform not in locks]
    for platform, lock in locks.items():
        if lock.platform != str(platform):
            reasons.append(f"the lock of {platform} says it is for {lock.platform}")
        if lock.base != base:
            reasons.append(f"base: {lock.base} in the lock, {base} asked for")
        if lock.asked:
            reasons += _asked_changes(lock.asked, asked)
        wanted = [str(each) for each in platforms]
        if list(lock.solved_for) != wanted:
            reasons.append(f"platforms: {', '.join(lock.solved_for)} in the lock, {', '.join(wanted)} asked for")
    if len({lock.solution for lock in locks.values()}) > 1:
        reasons.append("the locks of the platforms were not made together")
    return list(dict.fromkeys(reasons))


def _asked_changes(former: Sequence[str], now: Sequence[str]) -> Iterator[str]:
    gone = {line: _subject(line) for line in former if line not in now}
    come = {line: _subject(line) for line in now if line not in former}
    for line, subject in gone.items():
        other = next((new for new, name in come.items() if name == subject), None)
        if other is None:
            yield f"{line}: in the lock, no longer asked for"
        else:
            come.pop(other)
            yield f"{line} in the lock, {other} asked for"
    yield from (f"{line}: asked for, not in the lock" for line in come)


def _subject(line: str) -> str:
    """What a line is about: two lines of one subject are a change."""
    kind, colon, text = line.rpartition(": ")
    try:
        return f"{kind}{colon}{canonicalize_name(Requirement(text).name)}"
    except InvalidRequirement:
        return line
