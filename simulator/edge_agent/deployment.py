"""What a deployment asks edgeAgent for: the desired properties of `$edgeAgent` as values. Pure.

The format is checked with the rules that `edgepack manifest validate` has, so that both say the same. A document that
cannot be used is a `DeploymentError` with the status that edgeAgent reports: 417 empty, 400 unreadable, 412 schema
version; the texts are edgeAgent's own, followed by what exactly is wrong.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from edgepack.deployment import agent_rules, module_rules
from edgepack.deployment.create_options import join, parse
from edgepack.deployment.engine_keys import in_engine_spelling
from edgepack.deployment.problem import DESIRED, SYSTEM_MODULES, Manifest, Rule, manifest_of
from edgepack.deployment.runtime_values import choice_of, integer_of

OK, FORMAT, SCHEMA_VERSION, EMPTY, STEP_FAILED = 200, 400, 412, 417, 500

EMPTY_TEXT = "This device has an empty configuration for the edge agent. Please set a deployment manifest."
FORMAT_TEXT = "Agent configuration format is invalid."
_NEWEST_VERSION = "1.1.0"
_PREFIX = f"/modulesContent/$edgeAgent/{DESIRED}"
_RULES: tuple[Rule, ...] = (
    agent_rules.agent_members,
    agent_rules.runtime,
    agent_rules.credentials,
    agent_rules.system_modules,
    agent_rules.modules_object,
    *module_rules.RULES,
)


class DeploymentError(Exception):
    """A deployment that cannot be used: the status code and text that edgeAgent reports as `lastDesiredStatus`."""

    def __init__(self, status: int, text: str) -> None:
        self.status = status
        self.text = text
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class WantedModule:
    """A module as the deployment describes it. `settings` are as written, to be reported back.

    `status` is `running` or `stopped`; `restart_policy` is `never`, `on-failure`, `on-unhealthy` or `always`.
    Environment values are texts, as the container gets them. Equal createOptions may be written differently.
    """

    name: str
    image: str
    status: str = "running"
    restart_policy: str = "on-unhealthy"
    startup_order: int = module_rules.MAX_UINT32
    environment: Mapping[str, str] = field(default_factory=dict)
    create_options: Mapping[str, Any] = field(default_factory=dict)
    pull_policy: str = "on-create"
    version: str = ""
    settings: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def is_wanted_running(self) -> bool:
        """Whether it is to run."""
        return self.status == "running"

    @property
    def order(self) -> tuple[int, str]:
        """Its place among the modules that are started."""
        return self.startup_order, self.name


@dataclass(frozen=True, slots=True)
class Deployment:
    """All that is wanted: the user's modules in startup order, and the two system modules by name."""

    modules: tuple[WantedModule, ...] = ()
    system: Mapping[str, WantedModule] = field(default_factory=dict)
    schema_version: str = "1.1"


def parse_deployment(desired: Mapping[str, Any]) -> Deployment:
    """Read the desired properties of `$edgeAgent`; members whose names begin with `$` are the twin's own.

    Raises:
        DeploymentError: they cannot be used; names every reason.
    """
    document = {key: value for key, value in desired.items() if not key.startswith("$")}
    if not document:
        raise DeploymentError(EMPTY, EMPTY_TEXT)
    manifest = manifest_of({"modulesContent": {"$edgeAgent": {DESIRED: document}}})
    problems = [
        f"{problem.pointer.removeprefix(_PREFIX)}: {problem.message}"
        for rule in _RULES
        for problem in rule(manifest)
        if problem.severity == "error"
    ]
    if problems:
        raise DeploymentError(FORMAT, " ".join((FORMAT_TEXT, *(f"{problem};" for problem in problems))).rstrip(";"))
    version = _check_version(document["schemaVersion"])
    return _read(manifest, version)


def _read(manifest: Manifest, version: str) -> Deployment:
    system = manifest.agent["systemModules"]
    defaults = {"edgeAgent": "always", "edgeHub": "always"}
    found = [_module(name, place.value, "on-unhealthy") for name, place in manifest.modules.items()]
    return Deployment(
        tuple(sorted(found, key=lambda module: module.order)),
        {name: _module(name, system[name].value, defaults[name]) for name in SYSTEM_MODULES},
        version,
    )


def _check_version(given: Any) -> str:
    """The schema version when it is of major 1 and not above 1.1.0, compared as edgeAgent's language does."""
    text = given if isinstance(given, str) else json.dumps(given)
    if not re.fullmatch(r"\s*\d{1,9}(\.\d{1,9}){1,3}\s*", text, re.ASCII):
        raise DeploymentError(SCHEMA_VERSION, f"Invalid desired properties schema version {text}")
    numbers = [int(number) for number in text.split(".")]
    newest = [int(number) for number in _NEWEST_VERSION.split(".")]
    if numbers[0] != newest[0] or numbers > newest:
        raise DeploymentError(
            SCHEMA_VERSION,
            f"The desired properties schema version {text} is not compatible with the expected version "
            f"{_NEWEST_VERSION}",
        )
    return text


def _module(name: str, given: Mapping[str, Any], policy: str) -> WantedModule:
    settings: dict[str, str] = given["settings"]
    order = integer_of(given.get("startupOrder"))
    return WantedModule(
        name,
        settings["image"].strip(),
        choice_of(given.get("status"), module_rules.STATUSES) or "running",
        choice_of(given.get("restartPolicy"), module_rules.RESTART_POLICIES) or policy,
        order if order is not None else 0 if name == "edgeAgent" else module_rules.MAX_UINT32,
        {key: _text(variable.get("value")) for key, variable in (given.get("env") or {}).items()},
        in_engine_spelling(parse(join(settings))),
        choice_of(given.get("imagePullPolicy"), module_rules.PULL_POLICIES) or "on-create",
        _text(given.get("version")),
        dict(settings),
    )


def _text(value: str | float | None) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)
