"""What a check of a manifest finds, and the small language in which the rules are written.

Pure. A rule is a function from a `Manifest` to `Problem`s; none of them raises, whatever the document holds.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from edgepack.deployment.runtime_values import choice_of, integer_of

Severity = Literal["error", "warning"]

DESIRED = "properties.desired"
SYSTEM_MODULES = ("edgeAgent", "edgeHub")
SYSTEM_TWINS = ("$edgeAgent", "$edgeHub")
LOOSE = "loose-value"


@dataclass(frozen=True, slots=True)
class Problem:
    """`pointer` is a JSON pointer (RFC 6901) into the document; `rule` names what was broken.

    An error: the runtime or IoT Hub refuses it, or it cannot work. A warning: it is taken, yet probably not
    what was meant, or only the published JSON schemas (which `az iot` checks) object.
    """

    pointer: str
    message: str
    severity: Severity
    rule: str
    on_key: bool = False  # it is about the member's name
    column: int | None = None  # where inside the text at `pointer`, characters from 1
    inner: str | None = None  # a JSON pointer into what createOptions hold as text
    is_missing: bool = False  # something is not there that must be; in a layer it may stand elsewhere


def pointer_step(key: str) -> str:
    """A key as a step of a JSON pointer."""
    return key.replace("~", "~0").replace("/", "~1") if "~" in key or "/" in key else key


class Place:
    """A value in the document and the way to it. Missing and wrongly typed parts read as empty.

    Not to be changed; it is no frozen dataclass because thousands are made for a manifest, and those are slow to make.
    """

    __slots__ = ("pointer", "value")

    def __init__(self, pointer: str, value: Any) -> None:
        self.pointer = pointer
        self.value = value

    def __getitem__(self, key: str) -> "Place":
        return Place(f"{self.pointer}/{pointer_step(key)}", self.members.get(key))

    @property
    def members(self) -> Mapping[str, Any]:
        """The members when it is an object, else none."""
        return self.value if isinstance(self.value, dict) else {}

    def __contains__(self, key: str) -> bool:
        return key in self.members

    def __iter__(self) -> Iterator["Place"]:
        return (self[key] for key in self.members)

    def items(self) -> Iterator[tuple[str, "Place"]]:
        """Each member's key and place."""
        return ((key, self[key]) for key in self.members)

    def items_in_order(self) -> Iterator["Place"]:
        """The items when it is an array, else none."""
        if isinstance(self.value, list):
            for number, item in enumerate(self.value):
                yield Place(f"{self.pointer}/{number}", item)

    def error(self, rule: str, message: str, *, on_key: bool = False, column: int | None = None) -> Problem:
        """A problem here that the runtime, IoT Hub or reason does not take."""
        return Problem(self.pointer, message, "error", rule, on_key, column)

    def warning(self, rule: str, message: str, *, on_key: bool = False, column: int | None = None) -> Problem:
        """A problem here that is taken all the same."""
        return Problem(self.pointer, message, "warning", rule, on_key, column)


@dataclass(frozen=True)
class Manifest:
    """A manifest's parts. `content` is what stands under `modulesContent`.

    A layer is laid over another deployment, which has the rest. A template has placeholders, and createOptions as
    objects.
    """

    document: Place
    content: Place
    is_layer: bool = False
    is_template: bool = False

    @cached_property
    def agent(self) -> Place:
        """The desired properties of edgeAgent."""
        return self.content["$edgeAgent"][DESIRED]

    @cached_property
    def hub(self) -> Place:
        """The desired properties of edgeHub."""
        return self.content["$edgeHub"][DESIRED]

    @cached_property
    def modules(self) -> Place:
        """The user's modules."""
        return self.agent["modules"]

    @cached_property
    def all_modules(self) -> tuple[tuple[str, Place], ...]:
        """System modules that are there, then the user's modules: name and place."""
        system = self.agent["systemModules"]
        found = [(name, system[name]) for name in SYSTEM_MODULES if name in system]
        return (*found, *self.modules.items())


Rule = Callable[[Manifest], Iterator[Problem]]


def manifest_of(document: Any) -> Manifest:
    """The parts of any JSON document; `modulesContent` may stand under `content`, as in a hub's
    deployment.
    """
    top = Place("", document)
    if "modulesContent" not in top and "modulesContent" in top["content"]:
        return Manifest(top, top["content"]["modulesContent"])
    return Manifest(top, top["modulesContent"])


def object_problems(place: Place, required: tuple[str, ...], known: tuple[str, ...], rule: str) -> Iterator[Problem]:
    """Check that a value is an object with the `required` members; others than `known` are warned of."""
    if not isinstance(place.value, dict):
        yield place.error(rule, "must be an object" if place.value is not None else "is missing, an object is needed")
        return
    for key in required:
        if key not in place:
            yield replace(place.error(rule, f"needs {key!r}"), is_missing=True)
    for key, member in place.items():
        if key not in known and key not in required:
            yield unknown_key(member, "unknown-key", key, (*required, *known), "the runtime ignores it")


def unknown_key(member: Place, rule: str, key: str, known: Iterable[str], so: str) -> Problem:
    """A warning of a key that nobody reads, with the one that was probably meant."""
    from edgepack.models.naming import nearest  # only needed when something is wrong, and slow to load

    near = nearest(key[:100], known)
    what = f"did you mean {near!r}?" if near else "remove it"
    return member.warning(rule, f"{shown(key)} is not known here, {so}: {what}", on_key=True)


def choice_problems(place: Place, choices: tuple[str, ...], rule: str, *, any_case: bool = False) -> Iterator[Problem]:
    """Check a value against a list of texts; `any_case` where the runtime takes them so, though nobody else does."""
    if place.value in choices:
        return
    taken_for = choice_of(place.value, choices) if any_case else None
    if taken_for is None:
        yield place.error(rule, f"must be one of {', '.join(choices)}, not {shown(place.value)}")
    else:
        yield place.warning(
            LOOSE, f"the agent reads {shown(place.value)} as {taken_for!r}, the schemas do not: write {taken_for!r}"
        )


def integer_problems(place: Place, low: int, high: int, rule: str, meaning: str = "") -> Iterator[Problem]:
    """Check a value against a range; the runtime takes integers in quotes, too. `meaning` is what `low` stands for."""
    number = integer_of(place.value)
    if number is None or not low <= number <= high:
        yield place.error(rule, f"must be an integer from {low}{meaning} to {high}, not {shown(place.value)}")
    elif isinstance(place.value, str):
        what = f"the runtime reads the text {shown(place.value)} as a number, the schemas do not: write {number}"
        yield place.warning(LOOSE, what)


def plain_secret(name: str) -> str:
    """What is said of a secret in createOptions or a variable."""
    return (
        f"{shown(name)} holds a secret in clear text: everybody who may read the twin reads it; use a file or a secret "
        "of the device"
    )


def utf8_bytes(text: str) -> int:
    """The length of a text as UTF-8."""
    return len(text) if text.isascii() else len(text.encode(errors="replace"))


def shown(value: Any) -> str:
    """A value for a message, at most 60 characters."""
    try:
        text = repr(value)
    except ValueError:
        return "a number of thousands of digits"
    except RecursionError:
        return "something nested very deep"
    return text if len(text) <= 60 else f"{text[:57]}..."
