"""The figures, as Prometheus' own parser reads them."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from device_agent.metrics import BUCKETS_S, Metrics


def _samples(metrics: Metrics) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    families = text_string_to_metric_families(metrics.text().decode())
    return {(sample.name, tuple(sorted(sample.labels.items()))): sample.value for f in families for sample in f.samples}


def test_a_fresh_set_has_every_figure_at_zero() -> None:
    samples = _samples(Metrics("1.2"))
    assert samples[("edgepack_scoring_seconds_count", ())] == 0
    assert samples[("edgepack_script_errors_total", ())] == 0
    assert samples[("edgepack_info", (("version", "1.2"),))] == 1


@given(st.lists(st.floats(0, 100)))
def test_the_histogram_counts_every_duration_in_all_buckets_above_it(durations: list[float]) -> None:
    metrics = Metrics("1")
    for seconds in durations:
        metrics.count_scoring(None, True, seconds)
    samples = _samples(metrics)
    for limit in BUCKETS_S:
        found = samples[("edgepack_scoring_seconds_bucket", (("le", str(limit)),))]
        assert found == sum(seconds <= limit for seconds in durations)
    assert samples[("edgepack_scoring_seconds_bucket", (("le", "+Inf"),))] == len(durations)
    assert samples[("edgepack_scoring_seconds_count", ())] == len(durations)
    assert samples[("edgepack_scoring_seconds_sum", ())] == sum(durations)


def test_requests_and_watched_figures() -> None:
    metrics = Metrics('a "b"\\n')
    metrics.count_request("/score", 200)
    metrics.count_request("/score", 200)
    metrics.count_request("other", 404)
    metrics.script_errors += 1
    metrics.watch("edgepack_x", "A gauge.", lambda: 1.5)
    metrics.watch("edgepack_y_total", "A counter.", lambda: 1_000_000, counts=True)
    samples = _samples(metrics)
    assert samples[("edgepack_requests_total", (("code", "200"), ("route", "/score")))] == 2
    assert samples[("edgepack_requests_total", (("code", "404"), ("route", "other")))] == 1
    assert samples[("edgepack_script_errors_total", ())] == 1
    assert samples[("edgepack_x", ())] == 1.5
    assert samples[("edgepack_y_total", ())] == 1_000_000
    assert samples[("edgepack_info", (("version", 'a "b"\\n'),))] == 1


def test_what_is_counted_of_a_request_follows_from_its_result() -> None:
    metrics = Metrics("1")
    metrics.count_scoring(20.0, False, 9.0)
    metrics.count_scoring(None, False, 9.0)  # refused before it reached the script
    metrics.count_scoring(None, True, 0.5)
    text = metrics.text()
    assert b"edgepack_scoring_seconds_count 2\n" in text
    assert b"edgepack_scoring_seconds_sum 0.52\n" in text
    assert b"edgepack_script_errors_total 1\n" in text


def test_figures_with_a_label_are_counters() -> None:
    metrics = Metrics("1")
    metrics.watch_each("dropped_total", "Dropped.", ("reason",), lambda: {("full",): 2, ('a"b',): 0}, counts=True)
    metrics.watch_each("psi", "Drift.", ("part", "feature"), lambda: {("request", "a\\b"): 0.25})
    text = metrics.text().decode()
    assert "# TYPE dropped_total counter\n" in text
    assert 'dropped_total{reason="full"} 2\n' in text
    assert 'dropped_total{reason="a\\"b"} 0\n' in text
