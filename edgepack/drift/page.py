"""The report as one HTML page: tables and plots, nothing loaded from elsewhere, no script. Pure."""

from collections.abc import Sequence
from html import escape

from edgepack.drift.comparing import DriftReport, FeatureReport

_BAR, _GAP, _HEIGHT = 26, 14, 120
_STYLE = """
:root { color-scheme: light dark; --before: #5b7ea6; --now: #d1711c; --line: #8886; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .25rem .6rem; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child, td:last-child, th:last-child { text-align: left; }
.wide { overflow-x: auto; } section { margin-top: 2.5rem; } svg { max-width: 100%; height: auto; }
.verdict { font-weight: 600; } .before { fill: var(--before); } .now { fill: var(--now); }
text { fill: currentColor; font-size: 11px; } .key::before { content: "\\25a0 "; }
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
<thead><tr><th scope="col">feature</th><th scope="col">PSI</th><th scope="col">KS</th><th scope="col">Wasserstein</th>
<th scope="col">chi-square p</th><th scope="col">missing before</th><th scope="col">missing now</th>
<th scope="col">verdict</th></tr></thead><tbody>{rows}</tbody></table></div>
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
    return f"<tr>{link}{figures}{missing}{verdict}</tr>"


def _section(place: int, feature: FeatureReport) -> str:
    said = [*(f"drift: {reason}" for reason in feature.reasons), *feature.notes]
    items = "".join(f"<li>{escape(text)}</li>" for text in said)
    return f"""<section aria-labelledby="f{place}"><h2 id="f{place}">{escape(feature.name)}</h2>
{f"<ul>{items}</ul>" if items else ""}{_plot(feature)}
<p><span class="key a">baseline</span> <span class="key b">current</span>, share of the rows a bin</p>
<details><summary>Figures</summary><table><thead><tr><th scope="col">bin</th><th scope="col">baseline</th>
<th scope="col">current</th></tr></thead><tbody>{"".join(_bin_rows(feature))}</tbody></table></details></section>
"""


def _bin_rows(feature: FeatureReport) -> Sequence[str]:
    bins = zip(feature.bins, feature.baseline_shares, feature.current_shares, strict=True)
    return [
        f"<tr><th scope='row'>{escape(name)}</th><td>{before:.1%}</td><td>{now:.1%}</td></tr>"
        for name, before, now in bins
    ]


def _plot(feature: FeatureReport) -> str:
    """Pairs of bars, a bin each; the table below it says the same in figures."""
    most = max((*feature.baseline_shares, *feature.current_shares, 1e-9))
    width = len(feature.bins) * (2 * _BAR + _GAP) + 2 * _GAP
    parts = []
    for place, (name, before, now) in enumerate(
        zip(feature.bins, feature.baseline_shares, feature.current_shares, strict=True)
    ):
        left = _GAP + place * (2 * _BAR + _GAP)
        for number, (share, kind) in enumerate(((before, "before"), (now, "now"))):
            height = share / most * _HEIGHT
            x, y = left + number * _BAR, 20 + _HEIGHT - height
            parts.append(f'<rect class="{kind}" x="{x}" y="{y:.1f}" width="{_BAR - 2}" height="{height:.1f}"/>')
        short = name if len(name) <= 11 else f"{name[:10]}…"
        label = short.removeprefix("up to ").partition(" to ")[0] if feature.kind == "number" else short
        label = f"≤ {label}" if name.startswith("up to") and feature.kind == "number" else label
        parts.append(f'<text x="{left}" y="{_HEIGHT + 36}">{escape(label)}</text>')
    title = escape(f"Shares of the bins of {feature.name}, baseline beside current")
    return (
        f'<svg role="img" aria-label="{title}" viewBox="0 0 {width} {_HEIGHT + 44}" width="{width}">'
        f"{''.join(parts)}</svg>"
    )
