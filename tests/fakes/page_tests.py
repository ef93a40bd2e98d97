"""Which test runs which commands of which page, and which commands no test runs, with the reason.

`tests/unit/test_docs_commands.py` holds this against the pages.
"""

import re
from dataclasses import dataclass

from tests.fakes.pages import Command, commands_of


@dataclass(frozen=True)
class Runs:
    """The test that runs a page's commands: those that begin as one of `only`, or all that no other row names.

    A test that runs them in its own way, without `PageRun`, has `by` in its file: what it does so with.
    """

    page: str
    test: str
    only: tuple[str, ...] = ()
    by: str = ""

    def names(self, command: Command) -> bool:
        """Whether the row names this command."""
        return command.page == self.page and (not self.only or command.text.startswith(self.only))


def _begins(text: str, words: str) -> bool:
    """Whether `text` begins with these words, whole ones."""
    return text.startswith(words) and not re.match(r"[\w-]", text[len(words) :])


@dataclass(frozen=True)
class NotRun:
    """Commands that no test runs."""

    page: str
    beginning: str
    reason: str

    def names(self, command: Command) -> bool:
        """Whether the row names this command."""
        return command.page == self.page and _begins(command.text, self.beginning)


_DOCS = "tests/integration/docs"
_BUILDS = f"{_DOCS}/test_docs_builds.py"
_PAGES = f"{_DOCS}/test_docs_pages.py"
_E2E = "tests/e2e/test_e2e_docs.py"
_ENGINE = "tests/e2e/test_e2e_docs_engine.py"
_SIMULATED = f"{_DOCS}/test_docs_simulated.py"

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
    Runs("README.md", f"{_PAGES}::test_readme_agent", ("python -m device_agent", "curl", "EDGEPACK_ENTRY_MODULE")),
    Runs("README.md", f"{_PAGES}::test_readme_messages", ("EDGEPACK_TRANSPORT=mqtt",)),
    Runs("docs/agent.md", f"{_PAGES}::test_agent"),
    Runs("docs/messages.md", f"{_PAGES}::test_messages"),
    Runs("docs/routes.md", f"{_PAGES}::test_routes"),
    Runs("docs/manifest-rules.md", f"{_PAGES}::test_manifest_rules"),
    Runs("docs/templates.md", f"{_PAGES}::test_templates"),
    Runs("docs/coming-from-iotedgedev.md", f"{_PAGES}::test_coming_from_iotedgedev", ("edgepack manifest",)),
    Runs("docs/monitoring.md", f"{_PAGES}::test_monitoring"),
    Runs("docs/simulator.md", f"{_SIMULATED}::test_simulator"),
    Runs("docs/deploy.md", f"{_SIMULATED}::test_deploy"),
    Runs("docs/fleet.md", f"{_SIMULATED}::test_fleet"),
    Runs("README.md", f"{_SIMULATED}::test_readme_deploy", ("edgepack deploy",)),
    Runs("examples/two-modules/README.md", f"{_SIMULATED}::test_example_two_modules", ("edgepack deploy",)),
    Runs("examples/iot-edge/README.md", f"{_SIMULATED}::test_example_for_iot_edge", ("export", "EDGEPACK")),
    Runs("examples/device-clients/README.md", f"{_SIMULATED}::test_example_device_clients"),
    Runs(
        "examples/device-clients/README.md",
        "tests/integration/simulator/test_sim_device_clients.py::test_a_device_and_a_module_run_unchanged",
        ("examples/device-clients/run",),
        by='"device-clients" / "run"',
    ),
    Runs("README.md", f"{_E2E}::test_readme_by_hand"),
    Runs("README.md", f"{_E2E}::test_readme_demo", ("scripts/demo",)),
    Runs("README.md", f"{_ENGINE}::test_readme", ("edgepack load", "docker run")),
    Runs("CONTRIBUTING.md", f"{_E2E}::test_contributing"),
    Runs("docs/updates.md", f"{_E2E}::test_updates"),
    Runs("docs/engine.md", f"{_ENGINE}::test_engine"),
    Runs("docs/coming-from-iotedgedev.md", f"{_ENGINE}::test_coming_from_iotedgedev", ("edgepack simulate",)),
    Runs("docs/services.md", f"{_E2E}::test_services"),
    Runs(
        "docs/coming-from-sdk-v1.md",
        f"{_E2E}::test_coming_from_sdk_v1",
        by='run_blocks(blocks_of("docs/coming-from-sdk-v1.md")',
    ),
    Runs("docs/supply-chain.md", "tests/e2e/test_e2e_cosign.py::test_the_page", ("cosign",)),
    Runs("examples/two-modules/README.md", f"{_E2E}::test_example_two_modules"),
    Runs("examples/mosquitto/README.md", f"{_E2E}::test_example_mosquitto"),
    Runs(
        "docs/tutorial.md",
        "tests/e2e/test_e2e_tutorial.py::test_the_tutorial_top_to_bottom",
        by="run_blocks(blocks",
    ),
)

NOT_RUN = (
    NotRun("docs/deploy.md", 'export IOTHUB_CONNECTION_STRING="$(az', "asks Azure: needs a subscription with a hub"),
    NotRun("examples/mosquitto/README.md", "apt install", "changes the machine: scripts/test --all does it"),
    NotRun("CONTRIBUTING.md", "scripts/check", "judges the working tree: .ci/run runs it before the tests"),
    NotRun("CONTRIBUTING.md", "scripts/test", "what runs this test"),
    NotRun("README.md", "scripts/test", "what runs this test"),
    NotRun("CONTRIBUTING.md", "scripts/demo", "runs where README.md names it"),
    NotRun("CONTRIBUTING.md", "scripts/bench", "takes minutes of a machine that does nothing else"),
    NotRun("CONTRIBUTING.md", "scripts/peer", "installs a peer: minutes, and for the benchmarks only"),
)


def row_of(command: Command) -> Runs | NotRun | None:
    """The row that a command belongs to: one that names it goes before the one for the rest of its page."""
    rows: tuple[Runs | NotRun, ...] = (*NOT_RUN, *sorted(RUNS, key=lambda row: not row.only))
    return next((row for row in rows if row.names(command)), None)


def commands_for(page: str, test: str) -> list[Command]:
    """The commands of a page that a test has to run, in their order."""
    found = ((command, row_of(command)) for command in commands_of(page))
    return [command for command, row in found if isinstance(row, Runs) and row.test == test]
