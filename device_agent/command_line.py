"""From arguments and environment to an exit code.

Everything is set by environment variables (see settings); the arguments are for a developer's desk and win
over them. Exit codes: 0 after a signal; 2 for bad settings or arguments, all problems on standard error; 3
when the entry script cannot be imported or its init() fails.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from device_agent.errors import SettingsError
from device_agent.settings import CommandLine, parse_settings


def main(arguments: Sequence[str]) -> int:
    """Run the agent with these arguments and this process's environment; return the exit code."""
    given = _argument_parser().parse_args(arguments)
    line = CommandLine(given.entry_script, given.model_dir, given.port, current_directory=str(Path.cwd()))
    try:
        settings = parse_settings(os.environ, line)

        from device_agent.agent import run_agent

        return run_agent(settings, os.environ)
    except SettingsError as error:
        for problem in error.problems:
            print(f"device_agent: {problem}", file=sys.stderr)
        return error.exit_code


def _argument_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m device_agent",
        description="Serve an entry script with init() and run() over HTTP. Without arguments, "
        "the environment decides.",
    )
    parser.add_argument("--entry-script", "--entry_script", metavar="FILE", help="the script to serve")
    parser.add_argument("--model-dir", "--model_dir", metavar="DIR", help="sets AZUREML_MODEL_DIR for the script")
    parser.add_argument("--port", type=int, metavar="N", help="port to listen on (5001); 0 takes a free one")
    return parser
