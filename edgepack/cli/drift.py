"""`edgepack drift` and `edgepack drift baseline`: is the data that a model gets now still what it was made for?"""

import functools
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from edgepack.cli.default_command import DefaultCommand, GroupWithDefault
from edgepack.cli.session import Session, pass_session
from edgepack.errors import InputError

if TYPE_CHECKING:
    from edgepack.drift.comparing import DriftReport, FeatureReport

DRIFT_FOUND = 3
_PATH = click.Path(path_type=Path)


class _DriftGroup(GroupWithDefault):
    default = "compare"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Without arguments, the missing options are told."""
        return super().parse_args(ctx, args or [self.default])


@click.group("drift", cls=_DriftGroup)
def drift_command() -> None:
    """Whether data has changed, and baselines to compare with later."""


class _Wanted(NamedTuple):
    """The options that both commands have. `part`, `member` and `psi` are None where they were not given."""

    part: str | None
    member: str | None
    only: tuple[str, ...]
    ignored: tuple[str, ...]
    as_numbers: tuple[str, ...]
    as_categories: tuple[str, ...]
    psi: float | None
    alpha: float


def _with_wanted(command: Callable[..., None]) -> Callable[..., None]:
    """The command with these options, which it gets as one value, `wanted`."""

    @functools.wraps(command)
    def with_options(*arguments: Any, **options: Any) -> None:
        wanted = _Wanted(**{name: options.pop(name) for name in _Wanted._fields})
        command(*arguments, wanted=wanted, **options)

    decorated: Any = with_options
    for option in (
        click.option("--part", type=click.Choice(["request", "response"]),
                     help="Of records of requests: what came in, or what the script answered. Default: request, or "
                     "what a made baseline is of."),
        click.option("--field", "member", metavar="NAME",
                     help="Member of a body that holds the rows. Default: data, input_data, instances, inputs, "
                     "dataframe_split or dataframe_records, or that of a made baseline."),
        click.option("--feature", "only", multiple=True, metavar="NAME", help="Only this one; may be given again."),
        click.option("--ignore", "ignored", multiple=True, metavar="NAME", help="Not this one; may be given again."),
        click.option("--numeric", "as_numbers", multiple=True, metavar="NAME", help="These values are numbers."),
        click.option("--categorical", "as_categories", multiple=True, metavar="NAME", help="These are categories."),
        click.option("--psi", type=click.FloatRange(0),
                     help="Drift from this PSI on. Default: 0.2, or that of a made baseline."),
        click.option("--alpha", default=0.01, show_default=True, type=click.FloatRange(0, 1, True, True),
                     help="Probability below which chance is ruled out."),
    ):  # fmt: skip
        decorated = option(decorated)
    return decorated  # type: ignore[no-any-return]


@drift_command.command("compare", hidden=True, cls=DefaultCommand)
@click.option("--baseline", "baseline_path", required=True, type=_PATH, metavar="FILE", help="The data from before.")
@click.option("--current", "current_path", required=True, type=_PATH, metavar="FILE", help="The data of now.")
@_with_wanted
@click.option("--ks", default=0.1, show_default=True, type=click.FloatRange(0, 1), help="Drift from this distance on.")
@click.option("--wasserstein", default=0.25, show_default=True, type=click.FloatRange(0),
              help="Drift from this distance on, in standard deviations of the baseline.")  # fmt: skip
@click.option("--cramers-v", default=0.1, show_default=True, type=click.FloatRange(0, 1),
              help="Drift of categories from this strength of the chi-square test on.")  # fmt: skip
@click.option("--missing", default=0.05, show_default=True, type=click.FloatRange(0, 1),
              help="Drift from this change of the share of missing values on.")  # fmt: skip
@click.option("--html", "page", type=_PATH, metavar="FILE", help="Write the report as a page with plots.")
@click.option("--fail-on", type=click.Choice(["drift"]), help="End with exit code 3 when a feature has drifted.")
@pass_session
def compare_command(
    session: Session,
    *,
    baseline_path: Path,
    current_path: Path,
    wanted: _Wanted,
    ks: float,
    wasserstein: float,
    cramers_v: float,
    missing: float,
    page: Path | None,
    fail_on: str | None,
) -> None:
    """Compare the features of two data sets: PSI, Kolmogorov-Smirnov, Wasserstein, chi-square, missing values.

    FILE is CSV, JSON, JSON lines, Parquet, or a folder of such, also what data collectors wrote on a device; as the
    baseline also what `edgepack drift baseline` has made.
    """
    _need_library()
    from device_agent.drift_sketch import PSI, REQUEST
    from edgepack import __version__
    from edgepack.drift.comparing import Thresholds, compare_tables, compare_with_baseline, named
    from edgepack.drift.page import html_page
    from edgepack.drift.reading import read_baseline_file, read_table
    from edgepack.drift.table import checked_kinds, choose_features
    from edgepack.files import write_file

    made = read_baseline_file(baseline_path)
    part = wanted.part or (made.part if made else REQUEST)
    member = (made.member if made else "") if wanted.member is None else wanted.member
    psi = (made.threshold if made else PSI) if wanted.psi is None else wanted.psi
    tables = []
    problems: list[str] = []
    for path in (current_path,) if made else (baseline_path, current_path):
        try:
            tables.append(read_table(path, part=part, member=member))
        except InputError as error:
            problems += error.problems
    InputError.raise_if_any(problems)
    thresholds = Thresholds(psi, ks, wasserstein, cramers_v, missing, wanted.alpha)
    names = choose_features(tables, wanted.only, wanted.ignored)
    kinds = checked_kinds(names, wanted.as_numbers, wanted.as_categories)
    if made:
        report = compare_with_baseline(made, str(baseline_path), tables[0], names, thresholds)
    else:
        report = compare_tables(tables[0], tables[1], names, kinds, thresholds)
    if not report.features:
        before = [feature.name for feature in made.features] if made else list(tables[0].columns)
        if any(name in tables[-1].columns for name in before):
            raise InputError("there is no feature that can be compared", *report.notes)
        raise InputError(
            f"there is no feature that both have: {baseline_path} has {named(before)}, {current_path} has "
            f"{named(list(tables[-1].columns))}"
        )
    if page is not None:
        write_file(page, html_page(report, __version__).encode())
        session.say(f"The page is {page}")
    session.result(_document(report), "\n".join(_lines(report)))
    if fail_on and report.drifted:
        click.get_current_context().exit(DRIFT_FOUND)


@drift_command.command("baseline")
@click.argument("path", metavar="FILE", type=_PATH)
@click.option("-o", "--output", type=_PATH, default=Path("drift-baseline.json"), show_default=True, metavar="FILE")
@_with_wanted
@pass_session
def baseline_command(
    session: Session,
    *,
    path: Path,
    output: Path,
    wanted: _Wanted,
) -> None:
    """Write the bins and shares of FILE's features, without its rows, for later comparisons."""
    _need_library()
    from device_agent.drift_sketch import PSI, REQUEST, baseline_document
    from edgepack.drift.reading import read_table
    from edgepack.drift.sketching import baseline_of
    from edgepack.drift.table import checked_kinds, choose_features
    from edgepack.files import write_file

    part, member, psi = wanted.part or REQUEST, wanted.member or "", PSI if wanted.psi is None else wanted.psi
    table = read_table(path, part=part, member=member)
    names = choose_features([table], wanted.only, wanted.ignored)
    kinds = checked_kinds(names, wanted.as_numbers, wanted.as_categories)
    baseline, notes = baseline_of(table, names, kinds, threshold=psi, alpha=wanted.alpha)
    baseline = baseline._replace(part=part, member=member)
    for note in (*table.notes, *notes):
        session.warn(note)
    write_file(output, (json.dumps(baseline_document(baseline), indent=1, ensure_ascii=False) + "\n").encode())
    features = [{"name": feature.name, "kind": feature.kind} for feature in baseline.features]
    text = f"{output}: {len(features)} features of {baseline.rows} rows"
    session.result({"file": str(output), "rows": baseline.rows, "features": features}, text)


def _need_library() -> None:
    from importlib.util import find_spec

    if find_spec("scipy") is None or find_spec("numpy") is None:
        raise InputError("statistics are scipy's, which is not installed here: pip install edgepack[drift]")


def _document(report: "DriftReport") -> dict[str, Any]:
    features = [{**asdict(feature), "drift": feature.is_drift} for feature in report.features]
    return {**asdict(report), "drift": bool(report.drifted), "drifted": report.drifted, "features": features}


def _lines(report: "DriftReport") -> list[str]:
    from edgepack.drift.page import figure_text

    width = min(40, max(len(feature.name) for feature in report.features) + 2)

    def line(feature: "FeatureReport") -> str:
        name = feature.name if len(feature.name) < width else f"{feature.name[: width - 2]}…"
        p = feature.ks_p if feature.kind == "number" else feature.chi_square_p
        measures = (feature.psi, feature.ks, feature.wasserstein, feature.cramers_v, p)
        figures = "".join(f"{figure_text(value):>9}" for value in measures)
        mark = click.style("drift", fg="red") if feature.is_drift else click.style("ok", fg="green")
        return f"{name:<{width}}{figures}{feature.current_missing:>9.1%}  {mark}"

    lines = [f"{'feature':<{width}}{'PSI':>9}{'KS':>9}{'Wass.':>9}{'V':>9}{'p':>9}{'missing':>9}"]
    for feature in report.features:
        lines.append(line(feature))
        lines += [f"    {text}" for text in (*feature.reasons, *feature.notes)]
    drifted = f"{len(report.drifted)} of {len(report.features)} features have drifted"
    rows = f"{report.baseline_rows} rows before, {report.current_rows} now"
    return [*lines, "", *report.notes, f"{drifted if report.drifted else 'No feature has drifted'}: {rows}"]
