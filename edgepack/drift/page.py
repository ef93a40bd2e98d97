"""The report as one HTML page: tables with bars, nothing loaded from elsewhere, no script. Pure.

Bars are cells of tables, so that text stays as large on a small screen and with many bins, and names may be long.
"""

from html import escape

from device_agent.drift_sketch import CATEGORY
from edgepack.drift.comparing import DriftReport, FeatureReport

_MOST_BINS = 20
"""Shown of a feature; the others, those with the smallest shares, can be unfolded."""
_STYLE = """
:root { color-scheme: light dark; --before: #5b7ea6; --now: #d1711c; --line: #8886; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2, p, li, td:first-child { overflow-wrap: anywhere; } section { margin-top: 2.5rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
:is(th, td):first-child { text-align: left; } .wide { overflow-x: auto; } .verdict { font-weight: 600; }
.wide td + td { white-space: nowrap; } .wide :is(th, td):first-child { min-width: 8rem; }
.bins { table-layout: fixed; font-size: .875rem; line-height: 1.3; overflow-wrap: break-word; }
.bins :is(th, td) { padding: .15rem .3rem; } .bins tbody th { font-weight: normal; }
.bins thead th { font-size: .8125rem; width: 13%; } .bins thead th:first-child { width: 30%; }
.bins thead th:nth-child(2) { text-align: left; width: 44%; }
@media (max-width: 40rem) { .bins thead th { width: 23%; } .bins thead th:nth-child(2) { width: 24%; } }
.bins i { display: block; height: .5rem; print-color-adjust: exact; }
.before { background: var(--before); } .now { background: var(--now); } .key::before { content: "\\25a0  "; }
.key.a::before { color: var(--before); } .key.b::before { color: var(--now); }
"""


def html_page(report: DriftReport, version: str) -> str:
    """The page, as UTF-8 text. Names and categories may hold anything: all are escaped."""
    count = len(report.drifted)
    verdict = f"{count} of {len(report.features)} features have drifted" if count else "No feature has drifted"
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    rows = "".join(_row(place, feature) for place, feature in enumerate(report.features))
    limits = report.thresholds
    return f"""<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Drift: {escape(verdict)}</title><style>{_STYLE}</style></head><body><main>
<h1>{escape(verdict)}</h1>
<p>Baseline: {escape(report.baseline_name)}, {report.baseline_rows} rows.
Current: {escape(report.current_name)}, {report.current_rows} rows.</p>
{f"<ul>{notes}</ul>" if notes else ""}
<div class="wide" tabindex="0" role="region" aria-label="All features"><table>
<thead><tr><th scope="col">feature</th><th scope="col">verdict</th>
<th scope="col">PSI</th><th scope="col">KS</th><th scope="col">Wasserstein</th>
<th scope="col">chi-square p</th><th scope="col">missing before</th>
<th scope="col">missing now</th></tr></thead><tbody>{rows}</tbody></table></div>
{"".join(_section(place, feature) for place, feature in enumerate(report.features))}
<footer><p>Thresholds: PSI {limits.psi:g}, KS {limits.ks:g}, Wasserstein {limits.wasserstein:g} standard deviations,
Cramér's V {limits.cramers_v:g}, missing {limits.missing:g}, alpha {limits.alpha:g}.
edgepack {escape(version)}.</p></footer>
</main></body></html>
"""


def figure_text(value: float | None) -> str:
    """A measure with three decimals, p-values in short; a dash for none."""
    return "–" if value is None else f"{value:.3f}" if value >= 0.0005 or value == 0.0 else f"{value:.1g}"


def _row(place: int, feature: FeatureReport) -> str:
    cells = (feature.psi, feature.ks, feature.wasserstein, feature.chi_square_p)
    figures = "".join(f"<td>{figure_text(value)}</td>" for value in cells)
    missing = f"<td>{feature.baseline_missing:.1%}</td><td>{feature.current_missing:.1%}</td>"
    verdict = "<td class='verdict'>drift</td>" if feature.is_drift else "<td>no drift</td>"
    link = f'<td><a href="#f{place}">{escape(feature.name)}</a></td>'
    return f"<tr>{link}{verdict}{figures}{missing}</tr>"


def _section(place: int, feature: FeatureReport) -> str:
    said = [*(f"drift: {reason}" for reason in feature.reasons), *feature.notes]
    items = "".join(f"<li>{escape(text)}</li>" for text in said)
    bins = zip(feature.bins, feature.baseline_shares, feature.current_shares, strict=True)
    rows = [each for each in bins if feature.kind != CATEGORY or each[1] or each[2]]
    largest = sorted((max(before, now) for _, before, now in rows), reverse=True)
    least = largest[_MOST_BINS - 1] if len(rows) > _MOST_BINS else 0.0
    shown = [each for each in rows if max(each[1:]) >= least]
    others = [each for each in rows if max(each[1:]) < least]
    more = f"<details><summary>{len(others)} more, with smaller shares</summary>{_bins(others, largest[0])}</details>"
    return f"""<section aria-labelledby="f{place}"><h2 id="f{place}">{escape(feature.name)}</h2>
{f"<ul>{items}</ul>" if items else ""}{_bins(shown, largest[0])}{more if others else ""}</section>
"""


def _bins(rows: list[tuple[str, float, float]], most: float) -> str:
    """A table of bins with their shares as bars, the longest of which is that of `most`."""
    parts = []
    for name, before, now in rows:
        widths = (100.0 * share / (most or 1.0) for share in (before, now))
        pairs = zip(("before", "now"), widths, strict=True)
        bars = "".join(f'<i class="{side}" style="width:{width:.1f}%"></i>' for side, width in pairs)
        figures = f"<td>{before:.1%}</td><td>{now:.1%}</td>"
        parts.append(f'<tr><th scope="row">{escape(name)}</th><td aria-hidden="true">{bars}</td>{figures}</tr>\n')
    return f"""<table class="bins"><thead><tr><th scope="col">bin</th><th scope="col">share of the rows</th>
<th scope="col" class="key a">baseline</th><th scope="col" class="key b">current</th></tr></thead>
<tbody>{"".join(parts)}</tbody></table>"""
