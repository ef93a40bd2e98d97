"""Rules for `$edgeAgent`: schema version, runtime, credentials, and which modules there are.

Pure. From the public schema of agent 1.1 and from what the runtime's agent (1.5, 1.6) reads; where they
differ the severity says so (see `problem`). How a module is described is in `module_rules`.
"""

import re
from collections.abc import Iterator

from edgepack.deployment.problem import (
    DESIRED,
    SYSTEM_MODULES,
    SYSTEM_TWINS,
    Manifest,
    Place,
    Problem,
    Rule,
    choice_problems,
    object_problems,
    shown,
)

MAX_MODULES = 50

_DOTTED = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9}){1,3}", re.ASCII)
CREDENTIAL_NAME = re.compile(r"[^.$# ]+")

# A device's content as the service has it, and a deployment at scale.
_WRAPPER_KEYS = (
    "content",
    *("id schemaVersion targetCondition priority labels metrics systemMetrics etag contentType".split()),
    *("createdTimeUtc lastUpdatedTimeUtc".split()),
)


def structure(manifest: Manifest) -> Iterator[Problem]:
    """`modulesContent` with both system twins, each with the literal key `properties.desired`."""
    document, content = manifest.document, manifest.content
    if not isinstance(document.value, dict):
        yield document.error("structure", "a deployment manifest is a JSON object")
        return
    if not isinstance(content.value, dict):
        if "moduleContent" in document:
            yield document["moduleContent"].error("structure", "is the old spelling: call it 'modulesContent'")
        else:
            yield document.error("structure", "needs 'modulesContent', an object with $edgeAgent and $edgeHub")
        return
    known = _WRAPPER_KEYS if "content" in document else ("modulesContent", "moduleContent")
    for key, member in document.items():
        if key not in known and not (manifest.is_template and key.startswith("$schema")):
            what = f"{shown(key)} is dropped when the manifest is deployed: remove it"
            yield member.warning("structure-unknown-key", what, on_key=True)
    for name in SYSTEM_TWINS:
        if name not in content and not manifest.is_layer:
            yield content.error("structure", f"needs {name!r}")
    for _, twin in content.items():
        yield from _twin_structure(twin)


def _twin_structure(twin: Place) -> Iterator[Problem]:
    if not isinstance(twin.value, dict):
        yield twin.error("structure", f"must be an object with {DESIRED!r}")
        return
    if DESIRED not in twin:
        yield twin.error("structure", f"needs {DESIRED!r} (one key, with the dot in it)")
    elif not isinstance(twin[DESIRED].value, dict):
        yield twin[DESIRED].error("structure", "must be an object")
    for key, member in twin.items():
        if key.startswith(f"{DESIRED}."):
            what = "belongs to a layered deployment, and this is to be a complete one"
            yield member.error("structure", what, on_key=True)
        elif key != DESIRED:
            what = f"{shown(key)} is not known here: only {DESIRED!r} is read"
            yield member.warning("structure-unknown-key", what, on_key=True)


def schema_version(manifest: Manifest) -> Iterator[Problem]:
    """The agent takes 1.0 up to 1.1.0; the published schemas are for `1.0` and `1.1`."""
    place = manifest.agent["schemaVersion"]
    if "schemaVersion" not in manifest.agent:
        return
    text = place.value
    if not isinstance(text, str) or not _DOTTED.fullmatch(text):
        yield place.error("agent-schema-version", f'must be a text such as "1.1", not {shown(text)}')
        return
    numbers = tuple(int(part) for part in text.split("."))
    if numbers[0] != 1 or numbers > (1, 1, 0):
        yield place.error("agent-schema-version", f'edgeAgent does not take {text} (status 412): write "1.1"')
    elif text not in ("1.0", "1.1"):
        yield place.warning("schema-version-unpublished", f'{text} has no published schema: write "1.1"')


def agent_members(manifest: Manifest) -> Iterator[Problem]:
    """What the agent's desired properties must hold."""
    if isinstance(manifest.agent.value, dict):
        required = ("schemaVersion", "runtime", "systemModules", "modules")
        yield from object_problems(manifest.agent, required, (), "agent")


def runtime(manifest: Manifest) -> Iterator[Problem]:
    """The runtime is docker, with settings."""
    place = manifest.agent["runtime"]
    if "runtime" not in manifest.agent:
        return
    yield from object_problems(place, ("type", "settings"), (), "runtime")
    if "type" in place:
        yield from choice_problems(place["type"], ("docker",), "runtime")
    if "settings" in place:
        known = ("minDockerVersion", "loggingOptions", "registryCredentials")
        yield from object_problems(place["settings"], (), known, "runtime-settings")
    for key in ("minDockerVersion", "loggingOptions"):
        setting = place["settings"][key]
        if setting.value is not None and not isinstance(setting.value, str):
            yield setting.error("runtime-settings", f"must be a text, not {shown(setting.value)}")


def credentials(manifest: Manifest) -> Iterator[Problem]:
    """Each registry's credentials: a name, and exactly address, username and password, none blank."""
    settings = manifest.agent["runtime"]["settings"]
    place = settings["registryCredentials"]
    if "registryCredentials" not in settings or place.value is None:
        return
    if not isinstance(place.value, dict):
        yield place.error("credentials", "must be an object: a name, then address, username and password")
    addresses: dict[str, str] = {}
    for name, entry in place.items():
        if not CREDENTIAL_NAME.fullmatch(name):
            what = f"the name {shown(name)} must not have '.', '$', '#' or blanks"
            yield entry.error("credentials", what, on_key=True)
        yield from object_problems(entry, ("address", "username", "password"), (), "credentials")
        for key, field in entry.items():
            if key in ("address", "username", "password"):
                yield from _credential_field(key, field)
        address = entry["address"].value
        if isinstance(address, str) and addresses.setdefault(address, name) != name:
            what = f"{address} has credentials twice: keep one of them"
            yield entry["address"].warning("credentials-twice", what)


def _credential_field(key: str, field: Place) -> Iterator[Problem]:
    if not isinstance(field.value, str) or not field.value.strip():
        yield field.error("credentials", f"{key} must be a text that is not blank")
    elif key == "address" and re.search(r"\s", field.value):
        yield field.error("credentials", "address must not have blanks: write HOST or HOST:PORT")
    elif re.fullmatch(r"\$\{?[A-Za-z_][A-Za-z0-9_]*\}?", field.value):
        yield field.warning("placeholder-left", f"{field.value} was not replaced: render the template first")
    elif key == "password":
        yield field.warning(
            "plain-credentials",
            "the password stands here in clear text: keep the file out of version control, and let the user only pull",
        )


def module_count(manifest: Manifest) -> Iterator[Problem]:
    """A device has at most 50 module identities."""
    count = len(manifest.modules.members)
    if count > MAX_MODULES:
        yield manifest.modules.error("module-count", f"{count} modules, a device takes {MAX_MODULES}: remove some")


def system_modules(manifest: Manifest) -> Iterator[Problem]:
    """edgeAgent and edgeHub, and nothing else."""
    if "systemModules" in manifest.agent:
        yield from object_problems(manifest.agent["systemModules"], SYSTEM_MODULES, (), "system-modules")


def modules_object(manifest: Manifest) -> Iterator[Problem]:
    """`modules` is an object, also when there are none."""
    if "modules" in manifest.agent and not isinstance(manifest.modules.value, dict):
        yield manifest.modules.error("modules", "must be an object of modules by name")


RULES: tuple[Rule, ...] = (
    structure,
    agent_members,
    schema_version,
    runtime,
    credentials,
    system_modules,
    modules_object,
    module_count,
)
