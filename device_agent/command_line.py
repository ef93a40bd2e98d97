"""From arguments, environment and configuration file to an exit code.

Everything is set by environment variables (see settings); the arguments are for a developer's desk and win over
them, and a configuration file fills in what neither says. Exit codes: 0 after a signal; 2 for bad settings or
arguments, all problems on standard error; 3 when the entry script cannot be imported or its init() fails.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from device_agent.errors import SettingsError
from device_agent.settings import CommandLine, parse_settings


def main(arguments: Sequence[str]) -> int:
    """Run the agent with these arguments and this process's environment; return the exit code."""
    given = _argument_parser().parse_args(arguments)
    line = CommandLine(
        given.entry_script,
        given.model_dir,
        given.port,
        given.health_port,
        given.worker_count,
        given.access_control_allow_origins,
        given.config_file,
        current_directory=str(Path.cwd()),
    )
    try:
        environment, notes = read_environment(os.environ, line)
        settings = parse_settings(environment, line)
        if given.appinsights_instrumentation_key is not None:
            notes.append("--appinsights-instrumentation-key is ignored: " + _NO_INSIGHTS)

        from device_agent.agent import run_agent

        return run_agent(settings, environment, notes)
    except SettingsError as error:
        for problem in error.problems:
            print(f"device_agent: {problem}", file=sys.stderr)
        return error.exit_code


_NO_INSIGHTS = "telemetry goes to the endpoint that OTEL_EXPORTER_OTLP_ENDPOINT names (OpenTelemetry)"


def read_environment(environment: Mapping[str, str], line: CommandLine) -> tuple[dict[str, str], list[str]]:
    """The environment filled up from a configuration file, and what the user should be told. Raises SettingsError."""
    from device_agent.config_file import config_file_places, merge_config

    merged, notes = dict(environment), []
    places = config_file_places(environment, line)
    for place in places:
        try:
            text = Path(place).read_text("utf-8-sig")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            if line.config_file or environment.get("AZUREML_CONFIG_FILE", "").strip():
                raise SettingsError(f"the configuration file {place} does not exist") from None
            continue
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"the configuration file {place} cannot be read: {error}") from None
        if not text.strip():
            continue
        merged, unknown = merge_config(environment, text, place)
        notes.append(f"Settings are read from {place}")
        if unknown:
            notes.append(f"Found extra keys in {place} that are no settings: {', '.join(map(repr, unknown))}")
        break
    if merged.get("AML_APP_INSIGHTS_ENABLED", "").strip().lower() == "true":
        notes.append("AML_APP_INSIGHTS_ENABLED is ignored: " + _NO_INSIGHTS)
    if merged.get("AZUREML_DEBUG_PORT", "").strip():
        notes.append("AZUREML_DEBUG_PORT is ignored: start the debugger from the script's init()")
    return merged, notes


def _argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m device_agent",
        description="Serve an entry script with init() and run() over HTTP. Without arguments, "
        "the environment decides. Names may be written with underscores.",
    )

    def add(name: str, text: str, *, metavar: str, number: bool = False) -> None:
        names = {f"--{name}", f"--{name.replace('-', '_')}"}
        parser.add_argument(*sorted(names), metavar=metavar, help=text, type=int if number else str)

    add("entry-script", "the script to serve", metavar="FILE")
    add("model-dir", "sets AZUREML_MODEL_DIR for the script", metavar="DIR")
    add("port", "port to listen on (5001); 0 takes a free one", metavar="N", number=True)
    add("health-port", "second port (5000), with SEPERATE_HEALTH_ENDPOINT=true", metavar="N", number=True)
    add("worker-count", "processes that run the script (1)", metavar="N", number=True)
    add("access-control-allow-origins", "origins whose pages may call, separated by commas, or *", metavar="LIST")
    add("config-file", "JSON file of settings", metavar="FILE")
    add("appinsights-instrumentation-key", "accepted and ignored", metavar="KEY")
    return parser
