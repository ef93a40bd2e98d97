"""The baselines that EDGEPACK_DRIFT_BASELINE names, read when the agent starts."""

import json
from collections.abc import Sequence
from pathlib import Path

from device_agent.drift_sketch import Baseline, read_baseline
from device_agent.errors import SettingsError


def read_baselines(paths: str, folders: Sequence[str]) -> list[Baseline]:
    """The baselines of these files: paths with commas between, relative ones in the first of `folders` that has them.

    Raises:
        SettingsError: all that is wrong with them.
    """
    problems: list[str] = []
    found: dict[str, Baseline] = {}
    for path in filter(None, map(str.strip, paths.split(","))):
        tried = list(dict.fromkeys(Path(folder, path).absolute() for folder in folders))
        file = next((each for each in tried if each.is_file()), None)
        if file is None:
            problems.append(f"EDGEPACK_DRIFT_BASELINE: there is no file {' nor '.join(map(str, tried))}")
            continue
        try:
            document = json.loads(file.read_bytes())
        except (OSError, ValueError, RecursionError) as error:
            problems.append(f"EDGEPACK_DRIFT_BASELINE: {file} cannot be read as JSON: {error}")
            continue
        baseline, wrong = read_baseline(document, str(file))
        problems += [f"EDGEPACK_DRIFT_BASELINE: {text}" for text in wrong]
        if baseline is not None:
            if baseline.part in found:
                problems.append(f"EDGEPACK_DRIFT_BASELINE: {file} is the second baseline of a {baseline.part}")
            found[baseline.part] = baseline
    if problems:
        raise SettingsError(*problems)
    return list(found.values())
