"""The verb `deploy`: look at what is there, plan, say what changes, carry out.

A plan names all changes before any is made. To one device the content goes as a whole. An automatic deployment's id and
content cannot change in the hub: other content needs another id, or to be replaced (deleted and made again, between
which devices fall back to their next deployment). What was read is written back only if nobody changed it meanwhile.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from edgepack.deployment.content import Content, Desired
from edgepack.deployment.device_status import twin_half
from edgepack.deployment.difference import Change, differences, removed_modules
from edgepack.deployment.hub_refusal import HubRefusal
from edgepack.errors import InputError
from edgepack.hub_calls import AGENT, HUB, IotHub, automatic_deployment, changed_fields, edge_device
from edgepack.hub_calls import field as field_of

Action = Literal["apply", "create", "update", "replace", "nothing"]

_OF_THE_INPUT = (400, 404, 409, 413)
_NAMES = {"targetCondition": "target condition", "priority": "priority", "labels": "labels", "metrics": "metrics"}


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with the device or automatic deployment `id`, and what it changes.

    `sent` is the document that the hub gets, `etag` the version that it is for, "" where there was none.
    """

    target: Literal["device", "deployment"]
    id: str
    action: Action
    changes: tuple[Change, ...]
    warnings: tuple[str, ...]
    sent: Mapping[str, Any] = field(repr=False)
    etag: str = ""

    @property
    def document(self) -> dict[str, Any]:
        """As JSON."""
        changes = [change.document for change in self.changes]
        return {self.target: self.id, "action": self.action, "changes": changes, "warnings": list(self.warnings)}


@dataclass(frozen=True, slots=True)
class Automatic:
    """An automatic deployment as it is wanted; None: as it is, in a new one the hub's default."""

    id: str
    target_condition: str | None = None
    priority: int | None = None
    labels: Mapping[str, str] | None = None
    metrics: Mapping[str, str] | None = None


def plan_device(hub: IotHub, content: Content, device_id: str) -> Plan:
    """What deploying to one device changes.

    Raises:
        InputError: there is no such edge device, or the content is a layer.
    """
    if content.is_layer:
        raise InputError("a layer cannot go to one device: give --id, --target-condition and --priority")
    device = edge_device(hub, device_id)
    before = _device_desired(hub, device_id, content)
    changes = differences(before, content.desired())
    is_same = not changes and before == content.desired()
    warnings = [_removal(name) for name in removed_modules(changes)]
    applied = [name for name, each in _object(device.get("configurations")).items() if _status(each) == "Applied"]
    if applied:
        warnings.append(_put_back(applied, device_id))
    action: Action = "nothing" if is_same else "apply"
    return Plan("device", device_id, action, changes, tuple(warnings), content.document)


def plan_automatic(hub: IotHub, content: Content, wanted: Automatic, *, replaces: bool) -> Plan:
    """What making or changing an automatic deployment changes.

    Raises:
        InputError: a new one lacks its condition or priority; the hub does not take condition or metrics; or it exists
            with other content, and is not to be replaced.
    """
    there = hub.configuration(wanted.id)
    if there is None:
        missing = {"--target-condition": wanted.target_condition, "--priority": wanted.priority}
        InputError.raise_if_any(
            f"{name} is needed: there is no deployment {wanted.id} yet"
            for name, value in missing.items()
            if value is None
        )
    sent = _configuration(content, wanted, there or {})
    InputError.raise_if_any(hub.condition_errors(sent["targetCondition"], sent["metrics"]["queries"]))
    if there is None:
        changes = differences({}, content.desired())
        return Plan("deployment", wanted.id, "create", changes, (), sent)
    held = Content(_object(_object(there.get("content")).get("modulesContent")))
    changes = differences(held.desired(), content.desired())
    # what the hub holds may be written otherwise, with nulls or createOptions cut elsewhere: the same all the same
    sent["content"] = sent["content"] if changes else there.get("content")
    changed = changed_fields(there, sent)
    fields = tuple(
        Change("changed", "deployment", _NAMES[name], field_of(there, name), field_of(sent, name)) for name in changed
    )
    etag = str(there.get("etag") or "*")
    if not changes:
        return Plan("deployment", wanted.id, "update" if changed else "nothing", fields, (), sent, etag)
    if not replaces:
        subjects = list(dict.fromkeys(change.subject for change in changes))
        raise InputError(
            f"the content of the deployment {wanted.id} cannot change in the hub, and differs in {_some(subjects)}: "
            "give another --id with a higher --priority, or --replace it (deletes it and makes it again)"
        )
    warnings = (
        f"{wanted.id} is deleted and made again: until then, devices fall back to their next deployment",
        *(_removal(name) for name in removed_modules(changes)),
    )
    return Plan("deployment", wanted.id, "replace", (*changes, *fields), warnings, sent, etag)


def carry_out(hub: IotHub, plan: Plan) -> None:
    """Do what was planned. Raises HubRefusal where the hub does not, such as 412 when it was changed meanwhile."""
    match plan.action:
        case "apply":
            hub.apply(plan.id, plan.sent)
        case "create":
            hub.create(plan.sent)
        case "update":
            hub.change(plan.sent, plan.etag)
        case "replace":
            hub.delete(plan.id, plan.etag)
            _make_again(hub, plan)


def delete_automatic(hub: IotHub, configuration_id: str) -> None:
    """Delete an automatic deployment; devices keep what it put on them until another one applies."""
    there = automatic_deployment(hub, configuration_id)
    hub.delete(configuration_id, str(there.get("etag") or "*"))


@contextmanager
def as_input_errors() -> Iterator[None]:
    """What the hub does not take is wrong input, not a failure of the hub."""
    try:
        yield
    except HubRefusal as error:
        if error.status in _OF_THE_INPUT:
            raise InputError(str(error)) from error
        raise


def _make_again(hub: IotHub, plan: Plan) -> None:
    try:
        hub.create(plan.sent)
    except HubRefusal as error:
        text = f"{error}; {plan.id} is deleted: run the same command again to make it"
        raise HubRefusal(text, error.status, error.code, retryable=error.retryable) from error


def _device_desired(hub: IotHub, device_id: str, content: Content) -> Desired:
    """What is asked of a device now, as far as `content` changes it: a module that stays, and has no twin in `content`,
    keeps its own.
    """
    found: Desired = {}
    for name in (AGENT, HUB):
        if desired := _properties(hub.twin(device_id, name)):
            found[name] = desired
    gone = _started(found).keys() - _started(content.desired()).keys()
    for name in (*content.modules, *sorted(gone - content.modules.keys())):
        if name not in (AGENT, HUB) and (desired := _properties(hub.twin(device_id, name))):
            found[name] = desired
    return found


def _started(desired: Desired) -> dict[str, Any]:
    return _object(_object(desired.get(AGENT)).get("modules"))


def _properties(twin: Mapping[str, Any] | None) -> dict[str, Any]:
    return {key: value for key, value in twin_half(twin or {}, "desired").items() if not key.startswith("$")}


def _configuration(content: Content, wanted: Automatic, there: Mapping[str, Any]) -> dict[str, Any]:
    given = {
        "targetCondition": wanted.target_condition,
        "priority": wanted.priority,
        "labels": None if wanted.labels is None else dict(wanted.labels),
        "metrics": None if wanted.metrics is None else {"queries": dict(wanted.metrics)},
    }
    chosen = {name: field_of(there, name) if value is None else value for name, value in given.items()}
    if wanted.metrics is None:
        chosen["metrics"] = {"queries": chosen["metrics"]}
    return {"id": wanted.id, "schemaVersion": "2.0", "content": content.document, **chosen}


def _removal(name: str) -> str:
    return f"the module {name} is not in the deployment: it is removed"


def _put_back(applied: list[str], device_id: str) -> str:
    if len(applied) == 1:
        return (
            f"the automatic deployment {applied[0]} applies to {device_id} and will put its own content back: "
            f"change that one, or take {device_id} out of its target condition"
        )
    return (
        f"the automatic deployments {', '.join(applied)} apply to {device_id} and will put their own content back: "
        f"change these, or take {device_id} out of their target conditions"
    )


def _some(subjects: list[str]) -> str:
    return f"{', '.join(subjects[:4])}{f' and {len(subjects) - 4} more' if len(subjects) > 4 else ''}"


def _status(configuration: Any) -> str:
    return str(_object(configuration).get("status", ""))


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
