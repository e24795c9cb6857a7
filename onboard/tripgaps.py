"""Where a trip lacks what it should have: stretches with no frame, no reading, no clock."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from onboard.signals import ALWAYS, SIGNALS
from onboard.trip import Samples, Trip

FRAME_GAP_S: Final = 0.5
SAMPLE_GAP_S: Final = 2.0
"""A signal asked for as often as possible that is silent for longer than this has a gap; one
polled slowly has a gap beyond two and a half of its periods."""
CLOCK_GAP_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without data, in seconds since the first row of the trip."""

    what: str
    start_s: float
    end_s: float


def find_gaps(trip: Trip) -> list[Gap]:
    """Every gap of a trip, in order of time.

    A trip lasts from its first to its last row of any kind; a signal that was never read, and is
    one of those without which no trip can be scored in full, is one gap as long as the trip.
    """
    samples = trip.samples()
    frames = trip.frames().t_mono_ns
    clock = trip.clock().t_mono_ns
    first, last = _extent([frames, clock, *(s.t_mono_ns for s in samples.values())])
    gaps = []
    if frames.size:
        gaps += _gaps("frames", frames, FRAME_GAP_S, first, last)
    if clock.size:
        gaps += _gaps("clock", clock, CLOCK_GAP_S, first, last)
    for name, signal in SIGNALS.items():
        limit = max(SAMPLE_GAP_S, 2.5 * signal.period_s)
        if name in samples:
            gaps += _gaps(name, _good_times(samples[name]), limit, first, last)
        elif name in ALWAYS and samples:
            gaps.append(Gap(name, 0.0, (last - first) / 1e9))
    return sorted(gaps, key=lambda gap: (gap.start_s, gap.what))


def summary(trip: Trip) -> dict[str, Any]:
    """What a trip holds, as plain data for JSON."""
    samples = trip.samples()
    frames = trip.frames()
    clock = trip.clock()
    first, last = _extent(
        [frames.t_mono_ns, clock.t_mono_ns, *(s.t_mono_ns for s in samples.values())]
    )
    return {
        "path": str(trip.path),
        **asdict(trip.info),
        "duration_s": (last - first) / 1e9,
        "sha256": trip.sha256(),
        "frames": int(frames.t_mono_ns.size),
        "video_files": [
            {"name": file.name, "bytes": file.stat().st_size} for file in trip.video_files()
        ],
        "stills": sum(1 for _ in trip.stills()),
        "motion_stills": sum(1 for _ in trip.motion_stills()),
        "clock_rows": int(clock.t_mono_ns.size),
        "signals": {name: _signal_summary(s) for name, s in samples.items()},
        "gaps": [asdict(gap) for gap in find_gaps(trip)],
        "journal": [
            {
                "t_s": max(0.0, (entry.t_mono_ns - first) / 1e9),
                "source": entry.source,
                "message": entry.message,
            }
            for entry in trip.journal()
        ],
    }


def _signal_summary(samples: Samples) -> dict[str, Any]:
    good = np.isfinite(samples.value)
    span_s = (samples.t_mono_ns[-1] - samples.t_mono_ns[0]) / 1e9
    missing: dict[str, int] = {}
    for status, ok in zip(samples.status, good, strict=True):
        if not ok:
            missing[status] = missing.get(status, 0) + 1
    return {
        "readings": int(good.sum()),
        "missing": missing,
        "rate_hz": float(good.sum() / span_s) if span_s > 0 else None,
        "lowest": float(samples.value[good].min()) if good.any() else None,
        "highest": float(samples.value[good].max()) if good.any() else None,
    }


def _good_times(samples: Samples) -> NDArray[np.int64]:
    return samples.t_mono_ns[np.isfinite(samples.value)]


def _extent(times: list[NDArray[np.int64]]) -> tuple[int, int]:
    filled = [t for t in times if t.size]
    if not filled:
        return 0, 0
    return min(int(t.min()) for t in filled), max(int(t.max()) for t in filled)


def _gaps(what: str, times: NDArray[np.int64], limit_s: float, first: int, last: int) -> list[Gap]:
    edges = np.concatenate([[first], np.sort(times), [last]])
    steps = np.diff(edges)
    return [
        Gap(what, float((edges[i] - first) / 1e9), float((edges[i + 1] - first) / 1e9))
        for i in np.flatnonzero(steps > limit_s * 1e9)
    ]
