"""Every fault that the page can cause: its name, its fields with limits, and what is sent for what was typed. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

from edgepack.errors import InputError

LINKS = ("upstream", "modules", "devices")
DAY_S = 86_400


class Field(NamedTuple):
    """One field of a form. A number is sent as `name`, divided by `divisor`; `empty` says what an empty one means."""

    name: str
    label: str
    kind: Literal["link", "module", "number"] = "number"
    default: float | None = None
    least: float = 0
    most: float = 0
    empty: str = ""
    divisor: float = 1


class FaultForm(NamedTuple):
    """A fault: what is sent as `do`, the word on its button, an icon, what it does in a sentence, its fields."""

    do: str
    title: str
    icon: str
    says: str
    fields: tuple[Field, ...]


_LINK = Field("link", "Link", "link")
_MODULE = Field("module", "Module", "module")
_FOR = Field("for_s", "For seconds", least=0.1, most=DAY_S, empty="until changed")

FAULTS: tuple[FaultForm, ...] = (
    FaultForm(
        "offline", "Offline", "cloud_off", "Cuts a link: connections break, new ones are refused.", (_LINK, _FOR)
    ),
    FaultForm("online", "Online", "cloud_done", "Brings a link back that was cut or half-open.", (_LINK,)),
    FaultForm(
        "latency",
        "Latency",
        "timer",
        "Everything on a link arrives later. 0 ms takes it away.",
        (
            _LINK,
            Field("ms", "Milliseconds", default=200, most=60_000),
            Field("jitter_ms", "Jitter, ± ms", most=60_000, empty="none"),
            _FOR,
        ),
    ),
    FaultForm(
        "loss",
        "Loss",
        "grain",
        "A share of the packets on a link is lost and sent again. 0 % takes it away.",
        (_LINK, Field("rate", "Percent", default=10, most=95, divisor=100), _FOR),
    ),
    FaultForm(
        "bandwidth",
        "Bandwidth",
        "speed",
        "A link carries no more than this. Empty takes the limit away.",
        (_LINK, Field("kbit", "kbit/s", default=64, least=0.1, most=10_000_000, empty="no limit"), _FOR),
    ),
    FaultForm(
        "half_open",
        "Half-open",
        "sync_problem",
        "Connections of a link stay, but nothing comes through: only keep-alive finds out.",
        (_LINK, _FOR),
    ),
    FaultForm(
        "restart_hub",
        "Restart hub",
        "restart_alt",
        "edgeHub stops and starts again; what it stored is kept.",
        (_FOR._replace(label="Away for seconds", empty="a moment"),),
    ),
    FaultForm(
        "kill_agent", "Kill module", "dangerous", "A module's process is killed; edgeAgent restarts it.", (_MODULE,)
    ),
    FaultForm(
        "disk_full", "Disk full", "sd_card_alert", "The volume of a module's buffer takes no more.", (_MODULE, _FOR)
    ),
    FaultForm(
        "expire_token",
        "Expire token",
        "key_off",
        "The token of a module's connection is over: the hub closes it, and the module signs in again.",
        (_MODULE,),
    ),
    FaultForm(
        "clock_jump",
        "Clock jump",
        "schedule",
        "The simulated clock jumps, as after a correction of the time.",
        (Field("by_s", "Seconds (negative: back)", default=3600, least=-DAY_S * 366, most=DAY_S * 366),),
    ),
)


def fault_step(form: FaultForm, values: Mapping[str, Any], modules: Iterable[str]) -> dict[str, Any]:
    """The step that is sent for a filled-in form; `modules` are those that exist.

    Raises:
        InputError: one sentence a field that cannot be used, as `NAME: what is wrong`.
    """
    step: dict[str, Any] = {"do": form.do}
    problems = []
    for field in form.fields:
        try:
            value = _value(field, values.get(field.name), tuple(modules))
        except ValueError as error:
            problems.append(f"{field.name}: {error}")
            continue
        if value is not None:
            step[field.name] = value
    InputError.raise_if_any(problems)
    return step


def _value(field: Field, given: Any, modules: tuple[str, ...]) -> Any:
    if field.kind == "link":
        if given not in LINKS:
            raise ValueError(f"choose one of {', '.join(LINKS)}")
        return given
    if field.kind == "module":
        if given not in modules:
            raise ValueError("choose a module" if modules else "the run has no modules")
        return given
    if given is None or given == "":
        if field.empty:
            return None
        raise ValueError("needs a number")
    try:
        number = float(given)
    except (TypeError, ValueError):
        raise ValueError(f"{given!r} is no number") from None
    if not field.least <= number <= field.most:
        raise ValueError(f"must be {field.least:g} to {field.most:g}")
    number /= field.divisor
    return int(number) if number == int(number) else number
