"""Entry point of the `edgepack` command: global options, lazy loading of commands, errors to exit codes.

A command's module is imported only when that command runs, so that `edgepack --help` starts fast.
"""

import errno
import sys
from itertools import takewhile
from typing import NoReturn

import click

from edgepack import __version__
from edgepack.cli.lazy_group import LazyGroup
from edgepack.cli.session import current_session
from edgepack.errors import EdgepackError, InputError, RemoteError

BUG = 70

# What this machine refuses, though the program is right: permissions, read-only or full disks, limits.
_MACHINE_ERRORS = {
    errno.EACCES,
    errno.EPERM,
    errno.EROFS,
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EMFILE,
    errno.ENAMETOOLONG,
    errno.EIO,
}

_BEFORE_THE_COMMAND = ("-q", "--quiet", "-v", "--verbose", "--workspace")

_VERBOSE_BEHIND = ("model", "service")

# command: (module, one line of help)
COMMANDS = {
    "init": ("edgepack.cli.init", "Write a project that builds and runs as it is."),
    "model": ("edgepack.cli.model", "Register models and look at them."),
    "build": ("edgepack.cli.build", "Build the image for all platforms and the deployment manifest."),
    "inspect": (
        "edgepack.cli.inspect",
        "Show the platforms, layers, sizes and digests of an image, or what differs from another.",
    ),
    "verify": ("edgepack.cli.image", "Recompute every digest of an image, here or in a registry."),
    "sign": ("edgepack.cli.sign", "Sign an image, its bills of materials and its provenance with a key."),
    "key": ("edgepack.cli.key", "Make keys for signatures."),
    "environment": ("edgepack.cli.environment", "Environments under a name, for deployments."),
    "service": ("edgepack.cli.service", "Web services on this machine: deploy, look at, call, change, delete."),
    "simulate": ("edgepack.cli.simulate", "Run a deployment with IoT Hub, IoT Edge and devices on this machine."),
    "deploy": ("edgepack.cli.deploy", "Deploy to IoT Hub, and see what came of it."),
    "manifest": ("edgepack.cli.manifest", "Check deployment manifests, render templates."),
    "push": ("edgepack.cli.push", "Push a built image, all platforms, to a registry."),
    "pull": ("edgepack.cli.push", "Pull an image from a registry into a folder."),
    "load": ("edgepack.cli.image", "Load one platform of a built image into a Docker engine."),
    "route": ("edgepack.cli.route", "Check routes of edgeHub, and try them on a message."),
    "drift": ("edgepack.cli.drift", "Compare the data a model gets with what it was made for."),
    "cache": ("edgepack.cli.cache", "Look at what the workspace keeps for later, and remove it."),
    "doctor": ("edgepack.cli.doctor", "Look at what works on this machine, and what to do about the rest."),
}


@click.group(
    cls=LazyGroup,
    table=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(__version__, "-V", "--version", prog_name="edgepack")
@click.option(
    "--workspace", metavar="DIR", help="Where registered models and caches are kept. Default: .edgepack of the project."
)
@click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON document.")
@click.option("-q", "--quiet", count=True, help="Only results, warnings and errors.")
@click.option("-v", "--verbose", count=True, help="With errors, say where they came from.")
@click.pass_context
def cli(context: click.Context, workspace: str | None, as_json: bool, quiet: int, verbose: int) -> None:
    """From a registered model and an entry script to an IoT Edge module."""
    context.obj = current_session(workspace, as_json, verbose - quiet)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 2 bad input, 3 another side failed, 4 damaged data, 70 a bug."""
    given = sys.argv[1:] if arguments is None else arguments
    if "--json" in given:  # people write it at the end, too
        given = ["--json", *(argument for argument in given if argument != "--json")]
    try:
        code = cli.main(given, standalone_mode=False, prog_name="edgepack")
    except click.ClickException as error:
        error.show()
        if isinstance(error, click.NoSuchOption) and error.option_name in _BEFORE_THE_COMMAND:
            click.echo(f"It stands before the command: edgepack {error.option_name} COMMAND.", err=True)
        sys.exit(2)
    except click.Abort:
        click.echo("interrupted", err=True)
        sys.exit(130)
    except EdgepackError as error:
        if _is_verbose(given):
            _show_traceback()
        _show(error)
        sys.exit(error.exit_code)
    except OSError as error:
        if error.errno not in _MACHINE_ERRORS:
            _show_bug()
        what = f"{error.filename}: " if error.filename else ""
        click.echo(f"{click.style('error: ', fg='red')}{what}{error.strerror}; nothing was left half written", err=True)
        sys.exit(RemoteError.exit_code)
    except Exception:  # noqa: BLE001 - the one place where a bug ends: shown whole, with its own exit code
        _show_bug()
    sys.exit(code if isinstance(code, int) else 0)


def _is_verbose(given: list[str]) -> bool:
    """Whether `-v` is said: before the command, or after one of `az ml`, where it is not a version."""
    before = list(takewhile(lambda word: word not in COMMANDS, given))
    asked = {"-v", "--verbose"}
    behind = given[len(before) :]
    return bool(asked & set(before)) or (bool(asked & set(behind)) and behind[0] in _VERBOSE_BEHIND)


def _show_traceback() -> None:
    import traceback  # slow to load, and rarely needed

    traceback.print_exc()


def _show_bug() -> NoReturn:
    _show_traceback()
    click.echo("This is a bug in edgepack, not in your input; please report it with the text above.", err=True)
    sys.exit(BUG)


def _show(error: EdgepackError) -> None:
    if isinstance(error, InputError) and len(error.problems) > 1:
        click.secho(f"error: {len(error.problems)} problems", err=True, fg="red")
        for problem in error.problems:
            click.echo(f"  - {problem}", err=True)
    else:
        click.echo(click.style("error: ", fg="red") + str(error), err=True)
