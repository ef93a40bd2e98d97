"""What watches the script's requests, if the settings ask for it: drift, and records for later. On the event loop."""

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from device_agent.metrics import Metrics
from device_agent.scorer import Scorer
from device_agent.settings import Settings

if TYPE_CHECKING:
    from device_agent.capture import Capture
    from device_agent.drift_sketch import Baseline
    from device_agent.drift_watch import DriftWatch
    from device_agent.messages.capture_upload import CaptureUpload
    from device_agent.piece_conversion import PieceConversion


_SWITCH_S = 0.0005
"""The event loop gets the interpreter back sooner from the thread that writes records."""


class Monitoring:
    """`way` is the scorer that requests are to be given to. Nothing is imported that the settings do not ask for."""

    def __init__(
        self,
        scorer: Scorer,
        settings: Settings,
        environment: Mapping[str, str],
        baselines: "Sequence[Baseline]",
        metrics: Metrics,
    ) -> None:
        self.way = scorer
        self._drift: DriftWatch | None = None
        self._capture: Capture | None = None
        self._conversion: PieceConversion | None = None
        if baselines:
            self._watch_drift(settings, baselines, metrics)
        if settings.capture_percent:
            self._keep_requests(settings, environment, metrics)

    def _watch_drift(self, settings: Settings, baselines: "Sequence[Baseline]", metrics: Metrics) -> None:
        from device_agent.drift_watch import DriftScorer, DriftWatch

        self._drift = DriftWatch(baselines, rows=settings.drift_window, cost_percent=settings.drift_cost_percent)
        self._drift.show_in(metrics)
        self.way = DriftScorer(self.way, self._drift)

    def _keep_requests(self, settings: Settings, environment: Mapping[str, str], metrics: Metrics) -> None:
        from device_agent.capture import Capture, CapturingScorer
        from device_agent.collected_data import data_folder
        from device_agent.collected_place import REQUESTS, device_place

        sys.setswitchinterval(_SWITCH_S)
        place, folder = device_place(environment, REQUESTS), data_folder(environment)
        percent, body_bytes = settings.capture_percent, settings.capture_body_bytes
        capture = Capture(folder, place, percent=percent, body_bytes=body_bytes)
        if settings.capture_format == "parquet":
            from device_agent.piece_conversion import PieceConversion

            self._conversion = PieceConversion(folder.bounds.root, place, environment, capture.lose)
        name, text = "edgepack_captured_requests_total", "Requests kept with their answers."
        metrics.watch(name, text, lambda: capture.kept, counts=True)
        name, text = "edgepack_capture_lost_total", "Requests that were to be kept, or sent, and could not be."
        metrics.watch(name, text, lambda: capture.lost, counts=True)
        self._capture = capture
        self.way = CapturingScorer(self.way, capture)

    def send_kept(self, make: "Callable[[Callable[[int], None]], CaptureUpload]") -> None:
        """Send what is kept upstream, too: `make` is given whom to tell how many could not be."""
        if self._capture is not None:
            self._capture.upload = make(self._capture.lose)

    def when_changed(self, changed: Callable[[], None]) -> None:
        """Call `changed` when what is reported has changed in a way that somebody may wait for."""
        if self._drift is not None:
            self._drift.when_changed = changed

    def report(self) -> dict[str, Any]:
        """Its part of the reported properties."""
        return {} if self._drift is None else {"drift": self._drift.report()}

    def lose(self, count: int) -> None:
        """So many records that were to be sent will not be."""
        if self._capture is not None:
            self._capture.lose(count)

    def close(self) -> None:
        """Write what waits, and end what turns files, each for a second at most."""
        if self._capture is not None:
            self._capture.close()
        if self._conversion is not None:
            self._conversion.close()
