"""A command group that is a command itself: `edgepack deploy FILE` beside `edgepack deploy status`.

Whatever does not begin with the name of a subcommand is the default command's. The group's help shows both.
"""

import click


class _NamedAsItsGroup(click.Context):
    """Usage and errors of the default command name the group alone."""

    @property
    def command_path(self) -> str:
        """The group's."""
        return self.parent.command_path if self.parent else super().command_path


class DefaultCommand(click.Command):
    """The command that a group is without the name of a subcommand; its help is the group's."""

    context_class = _NamedAsItsGroup

    def get_help(self, ctx: click.Context) -> str:
        """Of the whole group."""
        return ctx.parent.get_help() if ctx.parent else super().get_help(ctx)


class GroupWithDefault(click.Group):
    """A group whose subcommand `default` is meant where no subcommand is named."""

    default = "default"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put in the name that was left out."""
        if args and args[0] not in self.commands and args[0] not in ctx.help_option_names:
            args = [self.default, *args]
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were added; the default one is a hidden command."""
        return list(self.commands)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """One line for the default command, one for the others."""
        path = ctx.command_path
        formatter.write_usage(path, " ".join(self._inner(ctx).command.collect_usage_pieces(ctx)))
        others = "|".join(name for name in self.list_commands(ctx) if name != self.default)
        formatter.write_usage(path, f"{others} [OPTIONS]", " " * len("Usage: "))

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The default command's options, then the other commands."""
        inner = self._inner(ctx)
        inner.command.format_options(inner, formatter)
        self.format_commands(ctx, formatter)

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The default command's text."""
        inner = self._inner(ctx)
        inner.command.format_help_text(inner, formatter)

    def _inner(self, ctx: click.Context) -> click.Context:
        return self.commands[self.default].context_class(self.commands[self.default], parent=ctx)


def with_optional_value(args: list[str], option: str, value: str) -> list[str]:
    """The arguments, with `value` for an `option` that no number follows: in `--wait FILE`, FILE is none."""
    done: list[str] = []
    for place, argument in enumerate(args):
        following = args[place + 1] if place + 1 < len(args) else ""
        is_bare = argument == option and not following.replace(".", "", 1).isdigit()
        done.append(f"{option}={value}" if is_bare else argument)
    return done
