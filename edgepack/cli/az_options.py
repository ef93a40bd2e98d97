"""The groups that have the commands of `az ml`, and what all of these took: accepted here, hidden in the help.

What says something to Azure is named as ignored. `-o json` is `--json`, `-v` is that of `edgepack`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import click

from edgepack.cli.lazy_group import PartlyLazyGroup
from edgepack.cli.session import Session

Command = Callable[..., Any]
Names = Sequence[str]

_OF_A_WORKSPACE = (("--workspace-name", "-w"), ("--resource-group", "-g"), ("--subscription-id",), ("--path",))
_FLAGS = (("--verbose", "-v"), ("--debug",), ("--only-show-errors",))
_JSON, _TABLE = ("json", "jsonc"), ("table",)
FORMATS = (*_JSON, *_TABLE, "tsv", "yaml", "yamlc", "none")
_WHY = "all is kept on this machine"

# argparse took the beginning of a long option, and these were written.
_SHORTER = {
    "inference-config": "inference-config-file",
    "deploy-config": "deploy-config-file",
    "deployment-config": "deploy-config-file",
    "deployment-config-file": "deploy-config-file",
}


class AzGroup(PartlyLazyGroup):
    """Adds to each of its commands what all commands of `az ml` took; `former` are names that commands had there."""

    def __init__(
        self,
        *arguments: Any,
        former: Mapping[str, str] | None = None,
        later: Mapping[str, str] | None = None,
        **more: Any,
    ) -> None:
        super().__init__(*arguments, later=later or {}, **more)
        self._former = former or {}
        self.context_settings = {
            "help_option_names": ["-h", "--help"],
            "max_content_width": 110,
            "token_normalize_func": lambda name: _SHORTER.get(name, name),
        }

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """By its name or its former one."""
        command = super().get_command(ctx, self._former.get(cmd_name, cmd_name))
        return command and _with_az_options(command)


def ignored_options(names: Sequence[Names], why: str = _WHY) -> Callable[[Command], Command]:
    """Options with a value that is named as ignored; the command does not get them."""

    def add(command: Command) -> Command:
        for each in names:
            command = click.option(*each, hidden=True, expose_value=False, callback=_told_as_ignored(why))(command)
        return command

    return add


def named(parameter: str, metavar: str, what: str, *options: Names) -> Callable[[Command], Command]:
    """What a command is about, as an argument or by one of the options; the command gets it as `parameter`."""
    keys = [f"{parameter}_{number}" for number, _ in enumerate(options)]

    def choose(context: click.Context, _parameter: click.Parameter, value: str | None) -> str:
        given = {each for each in (value, *(context.params.pop(key, None) for key in keys)) if each}
        if not given:
            shortest = next(name for name in options[0] if name.startswith("-"))
            raise click.UsageError(f"Which {what}? Give its name, or {shortest} NAME.", context)
        if len(given) > 1:
            raise click.UsageError(f"Which {what}? {' and '.join(sorted(given))} are named.", context)
        return str(given.pop())

    def add(command: Command) -> Command:
        command = click.argument(parameter, metavar=metavar, required=False, callback=choose)(command)
        for key, names in reversed(list(zip(keys, options, strict=True))):
            help_text = f"The same as {metavar}."
            command = click.option(*names, key, is_eager=True, metavar="NAME", help=help_text)(command)
        return command

    return add


yes_option = click.option("-y", "--yes", is_flag=True, hidden=True, expose_value=False)  # nothing is asked for here


def takes_format(context: click.Context, value: str | None) -> bool:
    """Whether the value of `-o` is a format of az, which is then the one of the command.

    Raises:
        click.UsageError: it is one that there is not.
    """
    if value not in FORMATS:
        return False
    if value not in _JSON + _TABLE:
        raise click.UsageError(
            f"-o {value}: there are table, which is the usual text, and json, which is --json; with that, jq gives "
            "single values: --json ... | jq -r .KEY",
            context,
        )
    session = context.find_object(Session)
    if value in _JSON and session is not None:
        context.obj = replace(session, as_json=True)
    return True


def _with_az_options(command: click.Command) -> click.Command:
    """Add what is not there yet, under the names that the command has not taken for itself."""
    taken = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
    for names, more in _shared():
        free = [name for name in names if name not in taken]
        if names[0] in free:
            own_name = f"az_{names[0][2:].replace('-', '_')}"
            command.params.append(click.Option([own_name, *free], hidden=True, expose_value=False, **more))
    return command


def _shared() -> list[tuple[Names, dict[str, Any]]]:
    told = _told_as_ignored(_WHY)
    return [
        *((names, {"callback": told}) for names in _OF_A_WORKSPACE),
        *((names, {"is_flag": True}) for names in _FLAGS),
        (("--output", "-o"), {"callback": _format}),
        (("--query",), {"callback": _query}),
    ]


def _told_as_ignored(why: str) -> Callable[[click.Context, click.Parameter, str | None], None]:
    def tell(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
        session = context.find_object(Session)
        if value is not None and session is not None:
            session.say(f"note: {parameter.opts[0]} is ignored: {why}")

    return tell


def _format(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None and not takes_format(context, value.lower()):
        raise click.UsageError(f"-o {value}: known are {', '.join(_JSON[:1] + _TABLE)}", context)


def _query(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        raise click.UsageError(
            "There is no --query: print the result as JSON, and take from it with jq: --json ... | jq -r .KEY", context
        )
