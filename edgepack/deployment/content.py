"""What `edgepack deploy` sends: the `modulesContent` of a deployment, whole or as a layer. Pure.

A whole deployment gives `$edgeAgent` and `$edgeHub` all their desired properties. A layer gives parts, by paths such as
`"properties.desired.modules.scorer"` and `"properties.desired.routes.up"`, and goes on top of a deployment of a lower
priority.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from edgepack.deployment.document_view import desired_properties, view_of
from edgepack.deployment.json_text import read_json
from edgepack.deployment.manifest_check import check_text, sentence
from edgepack.errors import InputError

_OLD_NAME, _NAME = "moduleContent", "modulesContent"

Desired = dict[str, Any]
"""By module (`$edgeAgent` and `$edgeHub` among them), its desired properties."""


@dataclass(frozen=True, slots=True)
class Content:
    """The value of `modulesContent`: by module, its keys and what they set."""

    modules: Mapping[str, Any]

    @property
    def is_layer(self) -> bool:
        """Whether it adds to a base instead of being one."""
        return view_of(self.document).kind == "layer"

    @property
    def document(self) -> dict[str, Any]:
        """As the hub takes it."""
        return {_NAME: dict(self.modules)}

    def desired(self) -> Desired:
        """What it asks of each module, parts put in their places; nulls are left out, as a twin does."""
        found: Desired = without_nulls(desired_properties(self.document))
        return found


def read_content(text: str, name: str) -> tuple[Content, tuple[str, ...]]:
    """Read and check the text of the file `name`; the second value has a sentence for everything that is odd in it.

    Raises:
        InputError: it has errors (all of them, with their places), or is a template.
    """
    check = check_text(text)
    InputError.raise_if_any(sentence(name, each) for each in check.findings if each.severity == "error")
    if check.kind == "template":
        raise InputError(f"{name} is a template: expand it with `edgepack manifest render` first")
    top = read_json(text).value
    if _NAME not in top and _OLD_NAME not in top:
        top = top["content"]
    key = _NAME if _NAME in top else _OLD_NAME
    others = [other for other in top if other not in (key, "content")]
    odd = [sentence(name, each) for each in check.findings]
    odd += [f"{name}: only {key} is sent; left out: {', '.join(others)}"] if others else []
    return Content(top[key]), tuple(odd)


def without_nulls(value: Any) -> Any:
    """A JSON value without members that are null, however deep: a twin does not keep them."""
    if isinstance(value, dict):
        return {key: without_nulls(member) for key, member in value.items() if member is not None}
    return value
