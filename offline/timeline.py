"""The timeline: every signal on one uniform grid, with its age; speed smoothed; distance.

Columns, units and their order are in `docs/timeline.md`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offline.errors import InputError
from offline.gears import estimate_gears
from offline.smoothing import smooth_speed
from onboard.signals import KMH_PER_MPS, SIGNALS

RATE_HZ = 5.0
MAX_SPEED_GAP_S = 4.0
"""Longest time between two speed samples that is no gap: two polls of the slowest adapters."""
MAX_AGE_S = 4.0
"""Largest age of a fast signal's sample; slow ones may be three of their periods old."""
ENGINE_ON_RPM = 300.0
"""No engine idles below it; cranking is slower."""
MOVING_KMH = 1.0


SLOW_LOG_S = 1.2
"""Slower logs than this come from phone apps that may repeat rows."""

Series = tuple[NDArray[np.int64], NDArray[np.float64]]
"""Times (ns) and known values of a signal, in order of time."""


class SampleSeries(Protocol):
    """One signal's samples, as `onboard.trip.Samples` has them."""

    @property
    def t_mono_ns(self) -> NDArray[np.int64]: ...

    @property
    def value(self) -> NDArray[np.float64]: ...


class ClockTable(Protocol):
    """Whatever turns monotonic time into UTC, as `onboard.trip.Clock` does."""

    def utc_ns(self, t_mono_ns: NDArray[np.int64]) -> NDArray[np.int64] | None: ...


def max_age_s(signal: str) -> float:
    """Return how old a sample of the signal may be before it says nothing any more."""
    return max(MAX_AGE_S, 3.0 * SIGNALS[signal].period_s)


def build_timeline(
    samples: Mapping[str, SampleSeries],
    clock: ClockTable | None = None,
    *,
    frame_t_mono_ns: NDArray[np.int64] | None = None,
    rate_hz: float = RATE_HZ,
    gear_ratios: NDArray[np.float64] | None = None,
) -> pd.DataFrame:
    """Lay a trip's samples on a uniform grid.

    Parameters
    ----------
    samples : mapping of str to samples
        `t_mono_ns` (int64, any order) and `value` (float64, NaN for missing) by signal name.
        Names that are no signal are ignored.
    clock : optional
        Gives UTC; without it `utc_ns` is missing.
    frame_t_mono_ns : ndarray of int64, optional
        Times of the labelled frames: the timeline starts at the first sample or frame.
    rate_hz : float
        Grid rate.
    gear_ratios : ndarray, optional
        The vehicle's, from its trips (`offline.vehicleprofile`); else learned from this one.

    Returns
    -------
    DataFrame
        The columns of `docs/timeline.md` from `t_s` to `moving`.

    Raises
    ------
    InputError
        If there is neither a sample nor a frame.
    """
    series = {name: _clean(samples[name]) for name in SIGNALS if name in samples}
    series = _without_repeats({name: (t, v) for name, (t, v) in series.items() if t.size})
    ends = [t[[0, -1]] for t, _ in series.values()]
    if frame_t_mono_ns is not None and len(frame_t_mono_ns):
        ends.append(np.array([np.min(frame_t_mono_ns), np.max(frame_t_mono_ns)]))
    if not ends:
        raise InputError("the trip holds no samples and no frames: there is nothing to score")
    start_ns = int(min(pair[0] for pair in ends))
    last_s = (int(max(pair[1] for pair in ends)) - start_ns) / 1e9
    t_s = np.arange(int(np.floor(last_s * rate_hz)) + 1) / rate_hz
    t_mono_ns = start_ns + np.round(t_s * 1e9).astype(np.int64)

    columns: dict[str, object] = {"t_s": t_s, "t_mono_ns": t_mono_ns}
    utc_ns = clock.utc_ns(t_mono_ns) if clock is not None else None
    columns["utc_ns"] = (
        pd.array(np.asarray(utc_ns, dtype=np.int64), dtype="Int64")
        if utc_ns is not None
        else pd.array([pd.NA] * t_s.size, dtype="Int64")
    )
    for name, (t, value) in series.items():
        columns[name], columns[f"{name}_age_s"] = _latest(t, value, t_mono_ns, max_age_s(name))

    nothing = (np.empty(0, np.int64), np.empty(0))
    speed_t, speed = series.get("speed_kmh", nothing)
    smooth = smooth_speed(
        (speed_t - start_ns) / 1e9, speed, t_s, rate_hz=rate_hz, max_gap_s=MAX_SPEED_GAP_S
    )
    columns["speed_smooth_kmh"] = smooth.speed_mps * KMH_PER_MPS
    columns["speed_sd_kmh"] = smooth.speed_sd_mps * KMH_PER_MPS
    columns["accel_mps2"] = smooth.accel_mps2
    columns["accel_sd_mps2"] = smooth.accel_sd_mps2
    # A gap adds no distance: how far the vehicle went in it is not known.
    columns["distance_m"] = np.cumsum(np.nan_to_num(smooth.speed_mps, nan=0.0)) / rate_hz

    rpm = np.asarray(columns.get("rpm", np.full(t_s.size, np.nan)), dtype=np.float64)
    raw_kmh = np.asarray(columns.get("speed_kmh", np.full(t_s.size, np.nan)), dtype=np.float64)
    moving = np.where(np.isnan(raw_kmh), smooth.speed_mps * KMH_PER_MPS, raw_kmh)
    columns["gear"] = estimate_gears(
        rpm, smooth.speed_mps * KMH_PER_MPS, smooth.accel_mps2, gear_ratios
    )
    columns["engine_on"] = nullable_boolean(rpm > ENGINE_ON_RPM, np.isnan(rpm))
    columns["moving"] = nullable_boolean(
        moving >= MOVING_KMH, np.isnan(moving) | np.isnan(smooth.speed_mps)
    )
    return pd.DataFrame(columns)


def nullable_boolean(
    value: NDArray[np.bool_], missing: NDArray[np.bool_]
) -> pd.arrays.BooleanArray:
    """Return a nullable boolean column that is missing where nothing is known."""
    return pd.arrays.BooleanArray(value.astype(bool), missing.astype(bool))


def column(timeline: pd.DataFrame, name: str) -> NDArray[np.float64]:
    """Return a timeline column as float64, all NaN where the trip has no such signal."""
    if name not in timeline:
        return np.full(len(timeline), np.nan)
    return np.asarray(timeline[name].to_numpy(dtype=np.float64, na_value=np.nan))


def is_true(timeline: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    """Return where a nullable boolean column is known and true."""
    return np.asarray(timeline[name].to_numpy(dtype=bool, na_value=False))


def _clean(samples: SampleSeries) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    t = np.asarray(samples.t_mono_ns, dtype=np.int64)
    value = np.asarray(samples.value, dtype=np.float64)
    known = ~np.isnan(value)
    t, value = t[known], value[known]
    order = np.argsort(t, kind="stable")
    return t[order], value[order]


def _without_repeats(series: dict[str, Series]) -> dict[str, Series]:
    """Drop rows of a slow log that repeat the row before instead of a new reading.

    Phone apps write a row at each tick, answered or not. On the move the engine never turns at
    the same quarter of a revolution twice, so a row with the same engine speed and the same
    vehicle speed is the old one again, and would show as a pause before a jump.
    """
    if "rpm" not in series or "speed_kmh" not in series:
        return series
    (t, rpm), (speed_t, speed) = series["rpm"], series["speed_kmh"]
    in_rows = t.size > 1 and np.array_equal(t, speed_t)
    if not in_rows or np.median(np.diff(t)) <= SLOW_LOG_S * 1e9:
        return series
    repeated = np.concatenate([[False], (np.diff(rpm) == 0) & (np.diff(speed) == 0)]) & (speed > 0)
    return {
        **series,
        "rpm": (t[~repeated], rpm[~repeated]),
        "speed_kmh": (t[~repeated], speed[~repeated]),
    }


def _latest(
    t: NDArray[np.int64], value: NDArray[np.float64], grid_ns: NDArray[np.int64], max_age: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    index = np.searchsorted(t, grid_ns, side="right") - 1
    before_first = index < 0
    index = np.maximum(index, 0)
    age = (grid_ns - t[index]) / 1e9
    age[before_first] = np.nan
    latest = value[index].copy()
    latest[~(age <= max_age)] = np.nan
    return latest, age
