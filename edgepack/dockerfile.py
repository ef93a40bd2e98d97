"""A platform's part of a plan -> the Dockerfile that an engine builds it from. Pure.

A template has placeholders `@{name}`: those of Docker's own, which begin with `$`, are left to the engine. `base` and
`platform` stand anywhere in a line; the others are instructions, and have a line of their own. `@@{` is a plain `@{`.

Values come in quotes, and so that the engine changes nothing in them. What a line cannot hold (line breaks, very long
values) comes in by a build argument.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from edgepack.errors import InputError
from edgepack.oci.image import RunConfig
from edgepack.plan import ImagePlan, LayerPlan

LAYER_FOLDER = ".edgepack-layers"
_KINDS = {"agent": "agent", "model": "models", "script": "script"}  # all else is `packages`
_BLOCKS = ("packages", *_KINDS.values(), "settings")
_WORDS = ("base", "platform")
_MOST_IN_A_LINE_BYTES = 8192  # engines refuse lines of 64 KiB
_PLACEHOLDER = re.compile(r"@@(?=\{)|@\{([^}]*)\}")
_ESCAPE = re.compile(r"(?i)#\s*escape\s*=\s*(\S+)")


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """The text, the build arguments that it needs, and the layers that it adds, by their name in the context."""

    text: str
    arguments: Mapping[str, str]
    layers: Mapping[str, LayerPlan]

    @property
    def added(self) -> list[LayerPlan]:
        """The layers in the order in which the text adds them."""
        return [self.layers[name] for name in sorted(self.layers, key=self.text.index)]

    @property
    def copies(self) -> bool:
        """Whether it takes files of the context beside edgepack's layers."""
        lines = [line.strip().upper() for line in self.text.splitlines() if LAYER_FOLDER not in line]
        return any(line.startswith(("COPY ", "ADD ")) or "--MOUNT=TYPE=BIND" in line for line in lines)


def render_dockerfile(template: str, where: str, image: ImagePlan, base: str) -> Dockerfile:
    """Fill in a template; `base` is the name that the engine knows the base layers by.

    Raises:
        InputError: all that is wrong with the template, with lines; or a name that no Dockerfile can hold.
    """
    problems: list[str] = []
    layers = _named_layers(image)
    settings, arguments = _settings(image.run, problems)
    blocks: dict[str, list[str]] = {name: [] for name in _BLOCKS} | {"settings": settings}
    for path, layer in layers.items():
        blocks[_KINDS.get(layer.kind, "packages")].append(f"ADD {json.dumps([path, '/'])}")
    words = {"base": base, "platform": str(image.platform)}
    found: set[str] = set()
    lines: list[str] = []
    for number, line in enumerate(template.rstrip("\n").split("\n"), 1):
        place = f"{where}, line {number}"
        escape = _ESCAPE.fullmatch(line.strip())
        if escape and escape[1] != "\\":
            problems.append(f"{place}: `escape` must be the backslash, which edgepack's own lines use")
        if line.lstrip().startswith("#"):
            lines.append(line)
            continue
        names = [match[1] for match in _PLACEHOLDER.finditer(line) if match[1] is not None]
        problems += [
            f"{place}: there is no @{{{name}}}; known are {', '.join(f'@{{{known}}}' for known in _WORDS + _BLOCKS)}"
            for name in names
            if name not in _WORDS + _BLOCKS
        ]
        instruction = next((name for name in names if name in _BLOCKS), None)
        if instruction is not None and line.strip() != f"@{{{instruction}}}":
            problems.append(f"{place}: @{{{instruction}}} is instructions, and has a line of its own")
        elif instruction is not None:
            if instruction in found:
                problems.append(f"{place}: @{{{instruction}}} stands there twice")
            lines += blocks[instruction]
        else:
            lines.append(_PLACEHOLDER.sub(lambda match: words.get(match[1], "@"), line))
        found |= set(names)
    missing = [f"@{{{name}}}" for name in _BLOCKS if blocks[name] and name not in found]
    if missing:
        problems.append(f"{where}: lacks {', '.join(missing)}: the image would be without what they stand for")
    InputError.raise_if_any(dict.fromkeys(problems))
    return Dockerfile("\n".join(lines) + "\n", arguments, layers)


def _named_layers(image: ImagePlan) -> dict[str, LayerPlan]:
    """The layers above the base, by where they are in the context."""
    above = [layer for layer in image.layers if layer.kind != "base"]
    return {f"{LAYER_FOLDER}/{number:03}-{layer.kind}.tar.gz": layer for number, layer in enumerate(above, 1)}


def _settings(run: RunConfig, problems: list[str]) -> tuple[list[str], dict[str, str]]:
    arguments: dict[str, str] = {}

    def quoted(value: str) -> str:
        if "\n" not in value and "\r" not in value and len(value.encode()) <= _MOST_IN_A_LINE_BYTES:
            return _quoted(value)
        name = f"EDGEPACK_VALUE_{len(arguments) + 1}"
        while name in run.environment:
            name += "_"
        arguments[name] = value
        return f'"${{{name}}}"'

    def pairs(instruction: str, values: Mapping[str, str]) -> list[str]:
        for name in values:
            if re.search(r"[\r\n\0]", name) or not name:
                problems.append(f"{instruction} {name!r}: a Dockerfile cannot hold this name")
        each = [f"{_quoted(name)}={quoted(value)}" for name, value in sorted(values.items())]
        return [f"{instruction} " + " \\\n    ".join(each)] if each else []

    lines = [*pairs("ENV", run.environment), *pairs("LABEL", run.labels)]
    lines = [f"ARG {name}" for name in arguments] + lines
    lines.append(f"WORKDIR {_plain(run.working_folder)}")
    lines += [f"VOLUME {_words(run.volumes)}"] if run.volumes else []
    lines += [f"EXPOSE {' '.join(run.ports)}"] if run.ports else []
    lines += ["STOPSIGNAL SIGTERM", f"USER {run.user}", f"ENTRYPOINT {json.dumps(list(run.entry_point))}"]
    return lines, arguments


def _quoted(value: str) -> str:
    """In double quotes, where Docker's word reader gives a meaning to these three only."""
    return '"' + re.sub(r'(["\\$])', r"\\\1", value) + '"'


def _plain(value: str) -> str:
    return re.sub(r"([\\$])", r"\\\1", value)


def _words(values: tuple[str, ...]) -> str:
    return json.dumps([value.replace("\\", "\\\\").replace("$", "\\$") for value in values])
