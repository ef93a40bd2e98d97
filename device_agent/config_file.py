"""The agent's settings from a JSON file: an object of the variables of `settings`. Pure; the caller reads the file.

What the environment says wins over the file. The first of these files that exists and is not empty counts:
AZUREML_CONFIG_FILE, `config.json` in the app root, `config.json` beside the entry script.
"""

import json
import posixpath
from collections.abc import Mapping

from device_agent.errors import SettingsError
from device_agent.settings import DEFAULT_APP_ROOT, VARIABLES, CommandLine

FILE_NAME = "config.json"


def config_file_places(environment: Mapping[str, str], line: CommandLine) -> tuple[str, ...]:
    """Where to look, in order. The first is certain to be meant when it is the only one."""
    named = line.config_file or environment.get("AZUREML_CONFIG_FILE", "").strip()
    if named:
        return (posixpath.join(line.current_directory, named),)
    root = environment.get("AML_APP_ROOT") or (line.current_directory if line.entry_script else DEFAULT_APP_ROOT)
    script = environment.get("AZUREML_ENTRY_SCRIPT")
    if line.entry_script:
        script = posixpath.join(line.current_directory, line.entry_script)
    places = [posixpath.join(root, FILE_NAME)]
    if script:
        places.append(posixpath.join(posixpath.dirname(posixpath.join(root, script)), FILE_NAME))
    return tuple(dict.fromkeys(places))


def merge_config(environment: Mapping[str, str], text: str, place: str) -> tuple[dict[str, str], tuple[str, ...]]:
    """`environment` with what the file at `place` adds, and the file's keys that mean nothing here.

    Numbers, true and false stand for their texts. Raises SettingsError.
    """
    try:
        document = json.loads(text)
    except RecursionError:
        raise SettingsError(f"{place}: nested too deeply to be settings") from None
    except json.JSONDecodeError as error:
        raise SettingsError(f"{place}, line {error.lineno}, column {error.colno}: no JSON: {error.msg}") from None
    except ValueError as error:  # a number of thousands of digits
        raise SettingsError(f"{place}: {error}") from None
    if not isinstance(document, dict):
        raise SettingsError(f"{place}: expected a JSON object of settings, found {type(document).__name__}")
    merged: dict[str, str] = {}
    problems = []
    for name, value in document.items():
        if name not in VARIABLES or value is None:
            continue
        if not isinstance(value, str | int | float):
            problems.append(f"{place}: {name} is {type(value).__name__}, expected a text or a number")
            continue
        merged[name] = str(value).lower() if isinstance(value, bool) else str(value)
    if problems:
        raise SettingsError(*problems)
    unknown = tuple(name for name in document if name not in VARIABLES)
    return {**merged, **{name: value for name, value in environment.items() if value.strip()}}, unknown
