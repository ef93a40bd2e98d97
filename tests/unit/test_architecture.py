"""The rules of ARCHITECTURE.md: who imports whom, what is pure, how long files are, which words are no names."""

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PACKAGES = ("edgepack", "device_agent", "simulator")

# A module may import from its own row and the rows above it. Longest prefix decides.
LAYERS = (
    # values
    ("edgepack.errors", "edgepack.oci.descriptor", "edgepack.oci.platform", "edgepack.models.naming"),
    ("edgepack.deployment.runtime_values",),
    ("edgepack.oci.reference", "edgepack.oci.image", "edgepack.models.record", "edgepack.deployment.problem"),
    # formats and pure logic
    ("edgepack.files", "edgepack.yaml_text", "edgepack.workspace_folder", "edgepack.process_tree"),
    ("edgepack.layers.entry", "edgepack.base.apt", "edgepack.inference_config", "edgepack.deployment_targets"),
    ("edgepack.resolve.conda_names", "edgepack.resolve.match_spec", "edgepack.resolve.system_names"),
    ("edgepack.resolve.url_variables",),
    ("edgepack.resolve.package_requests", "edgepack.key_reading"),
    ("edgepack.deployment_config", "edgepack.data_collection"),
    ("edgepack.resolve.pip_lines",),
    ("edgepack.base.release", "edgepack.base.choice", "edgepack.base.base_image"),
    ("edgepack.base.deb", "edgepack.base.root", "edgepack.layers", "edgepack.deployment", "edgepack.resolve.conda_env"),
    ("edgepack.resolve.packages_file",),
    ("edgepack.resolve.lock", "edgepack.base.python_packages", "edgepack.base.file_tree", "edgepack.base.probe"),
    ("edgepack.resolve.lock_file", "edgepack.layer_groups"),
    # shells
    ("edgepack.download", "edgepack.base.debian", "edgepack.oci", "edgepack.models"),
    ("edgepack.base.image_documents", "edgepack.base.image_source", "edgepack.base.image_lock"),
    ("edgepack.resolve.access",),
    ("edgepack.signing", "edgepack.attachments", "edgepack.remote_attachments"),
    ("edgepack.host_image",),
    ("edgepack.engine_archive", "edgepack.engine_connection"),
    ("edgepack.hub_client",),
    ("edgepack.hub_calls",),
    ("edgepack.resolve.uv",),
    ("edgepack.resolve.supply",),
    ("edgepack.drift.table",),
    ("edgepack.drift.sketching",),
    ("edgepack.drift",),
    ("edgepack.left_out", "edgepack.resolve.index", "edgepack.script_folder", "edgepack.project_file"),
    ("edgepack.project",),
    ("edgepack.model_serving",),
    ("edgepack.base_changes", "edgepack.base_locking", "edgepack.served_mlflow", "edgepack.served_model"),
    ("edgepack.lock_changes",),
    ("edgepack.assembly",),
    ("edgepack.plan", "edgepack.locking", "edgepack.module"),
    ("edgepack.ingredients",),
    ("edgepack.sbom", "edgepack.provenance", "edgepack.licences"),
    ("edgepack.image_documents",),
    (
        "edgepack.build_warnings",
        "edgepack.base_pull",
        "edgepack.layer_making",
        "edgepack.image_making",
        "edgepack.build_output",
        "edgepack.dockerfile",
    ),
    ("edgepack.engine_images", "edgepack.trial"),
    # verbs: they never import each other
    ("edgepack.build", "edgepack.engine", "edgepack.scaffold", "edgepack.push", "edgepack.pull", "edgepack.sign"),
    ("edgepack.docker_build", "edgepack.smoke_test", "edgepack.doctor", "edgepack.cache"),
    ("edgepack.deploy", "edgepack.deploy_progress"),
    # local services: values and logic, the verbs (which build), the command line
    ("edgepack.services", "edgepack.edge_assembly"),
    ("edgepack.service",),
    ("edgepack.azureml",),
    ("edgepack.cli",),
)
VERBS = (
    "edgepack.build",
    "edgepack.engine",
    "edgepack.push",
    "edgepack.pull",
    "edgepack.scaffold",
    "edgepack.sign",
    "edgepack.deploy",
    "edgepack.deploy_progress",
    "edgepack.docker_build",
    "edgepack.smoke_test",
    "edgepack.doctor",
    "edgepack.cache",
)
PURE = (
    "edgepack.oci.difference",
    "edgepack.layer_groups",
    "edgepack.oci.descriptor",
    "edgepack.oci.platform",
    "edgepack.oci.image",
    "edgepack.oci.reference",
    "edgepack.oci.media_types",
    "edgepack.oci.image_tree",
    "edgepack.oci.referrers",
    "edgepack.oci.registry_headers",
    "edgepack.oci.artifact",
    "edgepack.ingredients",
    "edgepack.sbom",
    "edgepack.provenance",
    "edgepack.signing.dsse",
    "edgepack.signing.payload",
    "edgepack.signing.signatures",
    "edgepack.base.apt",
    "edgepack.base.root",
    "edgepack.base.release",
    "edgepack.base.choice",
    "edgepack.base.base_image",
    "edgepack.base.file_tree",
    "edgepack.base.probe",
    "edgepack.base.image_documents",
    "edgepack.base.python_packages",
    "edgepack.base_changes",
    "edgepack.lock_changes",
    "edgepack.build_warnings",
    "edgepack.inference_config",
    "edgepack.data_collection",
    "edgepack.deployment_config",
    "edgepack.deployment_targets",
    "edgepack.drift.table",
    "edgepack.drift.arrow_columns",
    "edgepack.drift.sketching",
    "edgepack.drift.comparing",
    "edgepack.drift.page",
    "edgepack.key_reading",
    "edgepack.resolve.conda_env",
    "edgepack.resolve.conda_names",
    "edgepack.resolve.match_spec",
    "edgepack.resolve.package_requests",
    "edgepack.resolve.packages_file",
    "edgepack.resolve.pip_lines",
    "edgepack.resolve.system_names",
    "edgepack.resolve.url_variables",
    "edgepack.resolve.lock",
    "edgepack.resolve.lock_file",
    "edgepack.model_serving",
    "edgepack.models.mlflow",
    "edgepack.models.mlflow_signature",
    "edgepack.models.naming",
    "edgepack.models.pickle_facts",
    "edgepack.models.record",
    "edgepack.deployment",
    "edgepack.module",
    "edgepack.dockerfile",
    "edgepack.trial.answers",
    "edgepack.trial.trial",
    "edgepack.services.record",
    "edgepack.services.changing",
    "edgepack.services.filtering",
    "edgepack.services.stored",
    "edgepack.services.runner",
    "edgepack.azureml.cloud_table",
    "edgepack.azureml.core.environment_sections",
    "device_agent.settings",
    "device_agent.captured_rows",
    "device_agent.drift_rows",
    "device_agent.drift_sketch",
    "device_agent.drift_window",
    "device_agent.backoff",
    "device_agent.frames",
    "device_agent.scoring_queue",
    "device_agent.script_check",
    "device_agent.run_arguments",
    "device_agent.result_json",
    "device_agent.swagger",
    "device_agent.table_request",
    "device_agent.onnx_faults",
    "device_agent.request_params",
    "device_agent.array_input",
    "device_agent.tensor_request",
    "device_agent.text_request",
    "device_agent.model_faults",
    "device_agent.setting_values",
    "device_agent.messages.message",
    "device_agent.messages.settings",
    "device_agent.messages.delivery",
    "device_agent.messages.delivery_actions",
    "device_agent.messages.buffer.buffer_lanes",
    "device_agent.messages.buffer.buffer_space",
    "device_agent.messages.buffer.buffer_rows",
    "device_agent.messages.results",
    "device_agent.messages.iothub.twin",
    "device_agent.messages.twin_settings",
    "device_agent.messages.iothub.topics",
    "device_agent.messages.mqtt.topic_filter",
    "device_agent.messages.mqtt.version_choice",
    "device_agent.messages.iothub.connection_string",
    "device_agent.messages.iothub.sas_token",
    "device_agent.messages.mqtt.mqtt_message",
    "device_agent.messages.mqtt.publish_properties",
    "device_agent.messages.iothub.azure_options",
    "simulator.cloud.condition",
    "simulator.cloud.configurations",
    "simulator.cloud.content",
    "simulator.cloud.documents",
    "simulator.cloud.hub_error",
    "simulator.cloud.identity",
    "simulator.cloud.method_invoker",
    "simulator.cloud.metrics",
    "simulator.cloud.query",
    "simulator.cloud.query_text",
    "simulator.cloud.registry",
    "simulator.cloud.service_access",
    "simulator.cloud.service_configurations",
    "simulator.cloud.service_identities",
    "simulator.cloud.service_request",
    "simulator.cloud.service_rules",
    "simulator.cloud.service_twins",
    "simulator.cloud.throttle",
    "simulator.cloud.tokens",
    "simulator.cloud.twin",
    "simulator.cloud.twin_limits",
    "simulator.snapshot",
    "simulator.wording",
    "simulator.terminal_view",
    "simulator.dashboard.access",
    "simulator.dashboard.fault_forms",
    "simulator.dashboard.log_text",
    "simulator.dashboard.twin_text",
    "simulator.edge_agent.deployment",
    "simulator.edge_agent.module_state",
    "simulator.edge_agent.restart",
    "simulator.edge_agent.plan",
    "simulator.edge_agent.reported",
    "simulator.edge_agent.image_name",
    "simulator.edge_agent.container_shape",
    "simulator.edge_agent.container_body",
    "simulator.workload_rules",
    "simulator.devices.reading",
    "simulator.devices.sensor",
    "simulator.devices.remote_control",
    "simulator.devices.replay",
    "simulator.devices.addressing",
    "simulator.devices.schedule",
    "simulator.devices.session",
    "simulator.devices.token_life",
    "simulator.devices.device",
    "simulator.devices.json_fields",
    "simulator.devices.plan",
    "simulator.mqtt",
    "simulator.message",
    "simulator.steps",
    "simulator.scenario",
    "simulator.ledger",
    "simulator.report",
    "simulator.hub.account",
    "simulator.hub.links",
    "simulator.hub.queues",
    "simulator.hub.client",
    "simulator.hub.client_topics",
    "simulator.hub.connection",
    "simulator.hub.broker",
    "simulator.hub.edge_configuration",
    "simulator.hub.edge_hub",
    "simulator.hub.edge_twins",
    "simulator.hub.iot_hub",
    "simulator.hub.front",
)
IMPURE_MODULES = {"os", "socket", "time", "random", "threading", "sqlite3", "subprocess"}
FORBIDDEN_WORDS = re.compile(r"(?i)(^|_)(manager|helpers?|utils?|common|handler|processor|misc)(_|$|\.)")
MOST_LINES = 320
AGENT_MODULES_FOR_EDGEPACK = {
    "device_agent",
    "device_agent.drift_rows",
    "device_agent.drift_sketch",
    "device_agent.script_check",
    "device_agent.shims.offline_run",
    "device_agent.settings",
}


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the packages, by its dotted name."""
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield name, path


MODULES = dict(modules())


@cache
def tree_of(name: str) -> ast.Module:
    """A module's syntax tree."""
    return ast.parse(MODULES[name].read_text())


@cache
def imports(name: str) -> frozenset[str]:
    """All modules that one imports, wherever in it; `from a import b` counts as `a.b` where that is a module."""
    found = set()
    for node in ast.walk(tree_of(name)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (names & MODULES.keys()) or {node.module}
    return frozenset(found)


@cache
def layer_of(name: str) -> int | None:
    """The row of a module in LAYERS, by its longest matching prefix."""
    best: tuple[int, int] | None = None
    for row, prefixes in enumerate(LAYERS):
        for prefix in prefixes:
            if (name == prefix or name.startswith(f"{prefix}.")) and (best is None or len(prefix) > best[0]):
                best = (len(prefix), row)
    return best[1] if best else None


def every_problem(rule: Callable[[str], Iterator[str]]) -> str:
    """What a rule says of all modules, a line each."""
    return "\n".join(problem for name in MODULES for problem in rule(name))


def test_packager_imports_downward_only() -> None:
    def rule(name: str) -> Iterator[str]:
        if not name.startswith("edgepack.") or (MODULES[name].name == "__init__.py" and not imports(name)):
            return
        row = layer_of(name)
        if row is None:
            yield f"{name} has no place in LAYERS: give it one"
            return
        for imported in imports(name):
            other = layer_of(imported)
            if imported.startswith("edgepack.") and other is not None:
                if other > row:
                    yield f"{name} imports {imported}, which lies above it"
                if name in VERBS and imported in VERBS:
                    yield f"the verb {name} imports the verb {imported}"

    assert not every_problem(rule)


def test_packages_keep_to_themselves() -> None:
    def rule(name: str) -> Iterator[str]:
        for imported in imports(name):
            package = imported.partition(".")[0]
            of_agent = name.startswith("device_agent") and package in ("edgepack", "simulator")
            of_simulator = package == "simulator" and name != "edgepack.cli.simulate"
            of_more = package == "device_agent" and imported not in AGENT_MODULES_FOR_EDGEPACK
            if of_agent or (name.startswith("edgepack") and (of_simulator or of_more)):
                yield f"{name} imports {imported}"

    assert not every_problem(rule)


def test_pure_modules_touch_nothing() -> None:
    def rule(name: str) -> Iterator[str]:
        if any(f"{name}.".startswith(f"{pure}.") for pure in PURE):
            for touched in sorted({imported.partition(".")[0] for imported in imports(name)} & IMPURE_MODULES):
                yield f"{name} is declared pure, but imports {touched}"

    assert not every_problem(rule)


def test_files_are_short_and_named() -> None:
    def rule(name: str) -> Iterator[str]:
        lines = len(MODULES[name].read_text().splitlines())
        if lines > MOST_LINES:
            yield f"{MODULES[name]} has {lines} lines: what is the second idea in it?"
        if FORBIDDEN_WORDS.search(name.rpartition(".")[2]):
            yield f"{name}: this word says nothing"

    assert not every_problem(rule)


def test_modules_and_public_definitions_say_what_they_are() -> None:
    def rule(name: str) -> Iterator[str]:
        tree = tree_of(name)
        if tree.body and not ast.get_docstring(tree):
            yield f"{name} has no docstring"
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name[0] != "_":
                if not ast.get_docstring(node):
                    yield f"{name}.{node.name} has no docstring"
                if FORBIDDEN_WORDS.search(node.name):
                    yield f"{name}.{node.name}: this word says nothing"

    assert not every_problem(rule)


def test_agent_requirements_are_those_of_the_distribution() -> None:
    project = (ROOT / "pyproject.toml").read_text()
    for line in (ROOT / "device_agent" / "requirements.txt").read_text().splitlines():
        assert f'"{line}"' in project
