"""All rules by which a manifest is checked: severity and meaning, for reports and documents. Pure data.

docs/manifest-rules.md has an example of each.
"""

from typing import NamedTuple

from edgepack.deployment.problem import Severity


class RuleMeaning(NamedTuple):
    """What a rule asks for. An error: it is refused, or cannot work. A warning: it is taken all the same."""

    severity: Severity
    text: str


_ERRORS = {
    "file": "The file can be read, and is UTF-8.",
    "json-syntax": "The file is JSON: no comments, no comma before a closing bracket, no NaN.",
    "json-depth": "The file is not nested so deep that it cannot be read.",
    "duplicate-key": "No object has a key twice: programs take one of them, and not all the same.",
    "structure": "`modulesContent` holds `$edgeAgent` and `$edgeHub`, each twin the one key `properties.desired`.",
    "layer-key": "The dotted keys of a layer name what they set.",
    "system-twin": "No twin but those of edgeAgent and edgeHub begins with `$`.",
    "agent": "`$edgeAgent` has schemaVersion, runtime, systemModules and modules.",
    "agent-schema-version": "edgeAgent takes schema versions 1.0 to 1.1.",
    "runtime": "The runtime is `docker`, with settings.",
    "runtime-settings": "The settings of the runtime are texts.",
    "credentials": "Credentials of a registry have a name without `. $ #` and blanks; address, username, password.",
    "system-modules": "edgeAgent and edgeHub are there.",
    "modules": "`modules` is an object, even if there are none.",
    "module-count": "A device takes 50 modules.",
    "module-name": "A module's name has at most 128 letters, digits, `_` and `-`, and is none of a system module.",
    "module": "A module has type, status and settings.",
    "module-value": "type, status, restartPolicy, imagePullPolicy, startupOrder and version have one of their values.",
    "env": "A variable's name has no `+ # $ .` and no blanks; its value is a text of 4,096 bytes, a number, a boolean.",
    "settings": "The settings of a module hold its image.",
    "image": "An image is a name that agent and engine can read.",
    "placeholder": "A manifest that is deployed has no placeholders in images.",
    "template-placeholder": "A template's placeholders can be replaced; that of a module is the whole image.",
    "create-options": "createOptions can be read: pieces of at most 4,096 bytes, without a gap, that are one object.",
    "create-options-shape": "createOptions hold an object, an array or a plain value where the engine wants one.",
    "create-options-port": "Ports are numbers up to 65535, or ranges; a container's have `/tcp`, `/udp` or `/sctp`.",
    "create-options-mount": "A mount has a source and an absolute place in the container.",
    "create-options-env": "A variable in createOptions is NAME=VALUE.",
    "host-port": "No two modules that run listen on one port of the host.",
    "hub": "`$edgeHub` has schemaVersion, routes and, from 1.1 on, storeAndForwardConfiguration.",
    "hub-schema-version": "edgeHub takes schema versions 1.0 to 1.3.",
    "store-and-forward": "timeToLiveSecs of edgeHub is an integer from -1 (for ever).",
    "routes": "`routes` is an object.",
    "route-name": "A route's name has no `. $ #` and no blanks.",
    "route": "A route is a text, or from 1.1 on an object with one; it is not empty.",
    "route-syntax": "A route can be read.",
    "route-condition": "The parts of a route's condition fit together.",
    "route-priority": "The priority of a route is an integer from 0 to 9.",
    "route-ttl": "The time to live of a route is an integer from 0 (the general one).",
    "twin-size": "The desired properties of a twin have at most 32 KiB.",
    "twin-depth": "The desired properties of a twin are at most 10 levels deep.",
    "twin-key": "A key in a twin has no `. $ #`, blanks or control characters, and at most 1,024 bytes.",
    "twin-value": "A value in a twin is a text of 4,096 bytes, an integer of 53 bits; arrays have no null.",
}
_WARNINGS = {
    "loose-value": "Values are written as the schemas want them; the runtime also reads other cases, numbers as texts.",
    "old-spelling": "`moduleContent` is the old spelling of `modulesContent`.",
    "structure-unknown-key": "Only `modulesContent` is deployed, and only `properties.desired` of a twin is read.",
    "unknown-key": "A key that the runtime does not know is ignored.",
    "schema-version-unpublished": "A schema version that the runtime takes, but tools do not check.",
    "credentials-twice": "There are credentials for a registry once.",
    "plain-credentials": "A password of a registry stands in the file in clear text.",
    "plain-secret": "Passwords, keys and connection strings are not for variables and twins.",
    "placeholder-left": "A placeholder that was not replaced.",
    "unused-credentials": "An image needs the credentials.",
    "missing-credentials": "A registry that is private for certain has credentials.",
    "restart-policy-missing": "A module says what happens when it ends.",
    "settings-unpublished": "A key that the runtime reads, but the published schemas refuse.",
    "image-tag": "An image's tag is one that does not move: edgeAgent compares only the text.",
    "create-options-form": "createOptions are JSON in a text; edgeAgent also reads objects, null and comments.",
    "create-options-twice": "No object in createOptions has a key twice.",
    "create-options-key-case": "Keys of createOptions have the engine's spelling; it reads them in any case.",
    "create-options-unknown-key": "The engine reads the key, and there.",
    "create-options-kind": "A number is a number, a text a text: edgeAgent converts, the engine refuses.",
    "create-options-no-effect": "Ports are not published by a module that uses the network of the host.",
    "host-port-stopped": "No module that is stopped has the port of another: they cannot run together.",
    "module-name-in-routes": "A module's name can be spelled in a route.",
    "module-twin": "A twin has a module.",
    "hub-no-effect": "mqttBroker has no effect any more, integrity only from 1.3 on.",
    "store-limits-unpublished": "storeLimits are taken by the runtime, but refused by the published schemas.",
    "route-empty": "A route says something.",
    "route-source": "Messages come from where a route takes them.",
    "route-trap": "A condition does what it seems to do.",
    "route-module": "The modules that a route names are deployed, or known to be there.",
    "route-module-of-base": "The modules that a layer's route names are in the layer, or in what is below.",
    "route-input": "A route leads to an input that the module's environment names.",
    "route-output": "A route comes from an output that the module's environment names.",
}
RULE_TABLE: dict[str, RuleMeaning] = {
    **{rule: RuleMeaning("error", text) for rule, text in _ERRORS.items()},
    **{rule: RuleMeaning("warning", text) for rule, text in _WARNINGS.items()},
}
