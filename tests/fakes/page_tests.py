"""Which test runs which commands of which page, and which commands no test runs, with the reason.

`tests/unit/test_docs_commands.py` holds this against the pages.
"""

from dataclasses import dataclass

from tests.fakes.pages import Command, commands_of


@dataclass(frozen=True)
class Runs:
    """The test that runs a page's commands: those that begin as one of `only`, or all that no other row names."""

    page: str
    test: str
    only: tuple[str, ...] = ()

    def names(self, command: Command) -> bool:
        """Whether the row names this command."""
        return command.page == self.page and command.text.startswith(self.only)


@dataclass(frozen=True)
class NotRun:
    """Commands that no test runs."""

    page: str
    beginning: str
    reason: str

    def names(self, command: Command) -> bool:
        """Whether the row names this command."""
        return command.page == self.page and command.text.startswith(self.beginning)


_DOCS = "tests/integration/docs"
_BUILDS = f"{_DOCS}/test_docs_builds.py"
_PAGES = f"{_DOCS}/test_docs_pages.py"

RUNS = (
    Runs("docs/bases.md", f"{_BUILDS}::test_bases"),
    Runs("docs/conda.md", f"{_BUILDS}::test_conda"),
    Runs("docs/registries.md", f"{_BUILDS}::test_registries"),
    Runs("docs/supply-chain.md", f"{_BUILDS}::test_supply_chain"),
    Runs("docs/models.md", f"{_BUILDS}::test_models"),
    Runs("examples/iot-edge/README.md", f"{_BUILDS}::test_example_for_iot_edge", ("cd", "edgepack")),
    Runs(
        "README.md",
        f"{_BUILDS}::test_readme",
        ("edgepack model register", "edgepack build -m digits", "edgepack push"),
    ),
    Runs("README.md", f"{_PAGES}::test_readme_agent", ("python -m device_agent", "curl")),
    Runs("README.md", f"{_PAGES}::test_readme_messages", ("EDGEPACK_TRANSPORT=mqtt",)),
    Runs("docs/agent.md", f"{_PAGES}::test_agent"),
    Runs("docs/messages.md", f"{_PAGES}::test_messages"),
    Runs("docs/routes.md", f"{_PAGES}::test_routes"),
    Runs("docs/manifest-rules.md", f"{_PAGES}::test_manifest_rules"),
    Runs("docs/templates.md", f"{_PAGES}::test_templates"),
    Runs("docs/coming-from-iotedgedev.md", f"{_PAGES}::test_coming_from_iotedgedev", ("edgepack manifest",)),
    Runs("docs/monitoring.md", f"{_PAGES}::test_monitoring"),
)

NOT_RUN: tuple[NotRun, ...] = (NotRun("docs/supply-chain.md", "cosign", "x"),)


def row_of(command: Command) -> Runs | NotRun | None:
    """The row that a command belongs to: one that names it goes before the one for the rest of its page."""
    rows: list[Runs | NotRun] = [*NOT_RUN, *(row for row in RUNS if row.only)]
    rows += [row for row in RUNS if not row.only]
    return next((row for row in rows if row.page == command.page and (row_is_rest(row) or row.names(command))), None)


def row_is_rest(row: Runs | NotRun) -> bool:
    """Whether a row is for all commands of its page that no other row names."""
    return isinstance(row, Runs) and not row.only


def commands_for(page: str, test: str) -> list[Command]:
    """The commands of a page that a test has to run, in their order."""
    found = ((command, row_of(command)) for command in commands_of(page))
    return [command for command, row in found if isinstance(row, Runs) and row.test == test]
