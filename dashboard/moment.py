"""Everything that is known at one moment of a trip."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import pandas as pd

from offline.results.display import (
    MISSING,
    SCENE_TITLES,
    clock_text,
    column_title,
    number,
    utc_text,
)
from offline.roadscene import COURSES, SLOPES
from offline.verdicts import Verdict

_DIGITS: Final = {
    "speed_kmh": 0, "rpm": 0, "coolant_temp_c": 0, "run_time_s": 0, "gps_latitude_deg": 6,
    "gps_longitude_deg": 6, "yaw_rate_rad_s": 3, "accel_forward_m_s2": 2,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Reading:
    """One line of the panel, worded: a quantity, its value with its unit, a remark."""

    title: str
    value: str
    remark: str = ""


@dataclass(frozen=True, slots=True)
class Belief:
    """Probability of one road class: what the network said and what fusion made of it."""

    title: str
    network: float | None
    fused: float | None


@dataclass(frozen=True, slots=True)
class Moment:
    """One row of the timeline, for people.

    Attributes
    ----------
    signals : tuple of Reading
        Every recorded signal; the remark is its age.
    estimates : tuple of Reading
        What was computed from them, and the ideal beside it.
    slope, course : tuple of Belief
        In the order of the vocabulary; empty for a trip without road context.
    scene : str
        The label's title, empty without road context.
    frame : int or None
        Frame of the video that shows this place.
    events : tuple of Verdict
        Those under way at this moment.
    """

    row: int
    t_s: float
    time: str
    utc: str
    signals: tuple[Reading, ...]
    estimates: tuple[Reading, ...]
    slope: tuple[Belief, ...]
    course: tuple[Belief, ...]
    scene: str
    frame: int | None
    events: tuple[Verdict, ...]


def moment(
    timeline: pd.DataFrame, row: int, labels: pd.DataFrame, verdicts: Sequence[Verdict]
) -> Moment:
    """Gather what is known at a row of the timeline.

    Parameters
    ----------
    timeline : DataFrame
        Columns as in `docs/timeline.md`; signals that were not recorded may be absent.
    row : int
    labels : DataFrame
        The network's own probabilities by frame, as the store gives them; may be empty.
    verdicts : sequence of Verdict

    Raises
    ------
    IndexError
        If the timeline has no such row.
    """
    if not 0 <= row < len(timeline):
        raise IndexError(f"the timeline has {len(timeline)} rows, not row {row}")
    now = timeline.iloc[row]
    t_s = float(now["t_s"])
    frame = _whole(now, "frame")
    spoken: pd.Series | None = None
    if frame is not None and len(labels):
        found = labels[labels["frame"] == frame]
        spoken = found.iloc[0] if len(found) else None
    scene = "" if pd.isna(now.get("scene", "")) else str(now.get("scene", ""))
    half_step_s = 0.5 * _step_s(timeline)
    return Moment(
        row=row,
        t_s=t_s,
        time=clock_text(t_s),
        utc=utc_text(_whole(now, "utc_ns"), seconds=True),
        signals=_signals(timeline, now),
        estimates=_estimates(now),
        slope=_beliefs(now, spoken, SLOPES, "p_"),
        course=_beliefs(now, spoken, COURSES, "p_course_"),
        scene=SCENE_TITLES.get(scene, scene),
        frame=frame,
        events=tuple(
            verdict
            for verdict in verdicts
            # An event's edges lie on the grid: its first and last row belong to it.
            if verdict.event.start_s - half_step_s <= t_s <= verdict.event.end_s + half_step_s
        ),
    )


def row_at(timeline: pd.DataFrame, t_s: float) -> int:
    """Row of the timeline that is nearest to a time; 0 for an empty timeline."""
    times = timeline["t_s"].to_numpy(np.float64)
    return int(np.abs(times - t_s).argmin()) if times.size else 0


def _step_s(timeline: pd.DataFrame) -> float:
    times = timeline["t_s"].to_numpy(np.float64)
    return float(np.median(np.diff(times[:1000]))) if times.size > 1 else 0.0


def _real(now: pd.Series, column: str) -> float | None:
    value = now.get(column)
    return None if value is None or pd.isna(value) else float(value)


def _whole(now: pd.Series, column: str) -> int | None:
    value = now.get(column)
    return None if value is None or pd.isna(value) else int(value)


def _signals(timeline: pd.DataFrame, now: pd.Series) -> tuple[Reading, ...]:
    readings = []
    for age_column in (c for c in timeline.columns if str(c).endswith("_age_s")):
        signal = str(age_column).removesuffix("_age_s")
        title, unit = column_title(signal)
        age_s = _real(now, age_column)
        value = _real(now, signal)
        if age_s is None:
            remark = "not read yet"
        elif value is None:
            # The age goes on growing while the value is held back for being too old.
            remark = f"missing, last read {number(age_s, 1, 's')} ago"
        else:
            remark = f"{number(age_s, 1, 's')} ago"
        readings.append(Reading(title, number(value, _DIGITS.get(signal, 1), unit), remark))
    return tuple(readings)


def _estimates(now: pd.Series) -> tuple[Reading, ...]:
    def give(column: str, digits: int, deviation: str = "") -> Reading:
        title, unit = column_title(column)
        spread = _real(now, deviation) if deviation else None
        remark = "" if spread is None else f"± {number(spread, digits, unit)}"
        return Reading(title, number(_real(now, column), digits, unit), remark)

    low_rpm, high_rpm = _real(now, "ideal_rpm_low"), _real(now, "ideal_rpm_high")
    band = (
        MISSING
        if low_rpm is None or high_rpm is None
        else f"{number(low_rpm)} to {number(high_rpm, 0, 'rpm')}"
    )
    engine = now.get("engine_on")
    return (
        give("speed_smooth_kmh", 1, "speed_sd_kmh"),
        give("accel_mps2", 2, "accel_sd_mps2"),
        _grade(give("grade_percent", 1, "grade_sd_percent"), now),
        give("gear", 0),
        Reading("Engine", MISSING if engine is None or pd.isna(engine) else
                "running" if bool(engine) else "off"),
        give("distance_m", 0),
        give("ideal_speed_kmh", 1),
        give("ideal_accel_mps2", 2),
        Reading("Ideal engine speed", band),
    )  # fmt: skip


def _grade(reading: Reading, now: pd.Series) -> Reading:
    """Say how the grade is known: a driver may doubt one that was only reckoned."""
    measured = now.get("grade_is_measured")
    if not reading.remark or measured is None:
        # Results stored by older software do not say.
        return reading
    how = "measured" if measured else "from the engine"
    return replace(reading, remark=f"{reading.remark}, {how}")


def _beliefs(
    now: pd.Series, spoken: pd.Series | None, classes: Sequence[str], prefix: str
) -> tuple[Belief, ...]:
    fused = [_real(now, prefix + name) for name in classes]
    network = [None if spoken is None else _real(spoken, prefix + name) for name in classes]
    if not any(p is not None and math.isfinite(p) for p in (*fused, *network)):
        return ()
    return tuple(
        Belief(SCENE_TITLES.get(name, "Level"), said, made)
        for name, said, made in zip(classes, network, fused, strict=True)
    )
