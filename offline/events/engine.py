"""Events seen in the engine: high speed, long pulls, idling, cold revving, heat, coasting."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offline.eventrules import EventRule
from offline.events.motion import accel_known, grid_rate_hz, severity
from offline.events.stretches import Stretch, stretches
from offline.policy import Policy
from offline.timeline import MOVING_KMH, column, is_true
from offline.verdicts import Event, EventKind


def over_revving(timeline: pd.DataFrame, policy: Policy) -> list[Event]:
    """Engine speed beyond what the vehicle class needs."""
    rule = policy.events.over_revving
    rpm = column(timeline, "rpm")
    found = _stretches(timeline, rule, rpm >= rule.enter_rpm, rpm >= rule.leave_rpm, ~np.isnan(rpm))
    events = []
    for stretch in found:
        peak = _peak(rpm, stretch)
        weight = severity(peak - rule.enter_rpm, rule.severity_step_rpm, rule)
        events.append(
            _event(timeline, EventKind.OVER_REVVING, stretch, peak, rule.enter_rpm, "rpm", weight)
        )
    return events


def cold_engine_revving(timeline: pd.DataFrame, policy: Policy) -> list[Event]:
    """High engine speed on the move before the coolant is warm.

    Standing is left out: a cold engine raises its own idle.
    """
    rule = policy.events.cold_engine_revving
    rpm = column(timeline, "rpm")
    coolant = column(timeline, "coolant_temp_c")
    speed = column(timeline, "speed_smooth_kmh")
    cold = (coolant < rule.max_coolant_c) & (speed >= rule.min_speed_kmh)
    known = ~np.isnan(rpm) & ~np.isnan(coolant) & ~np.isnan(speed)
    found = _stretches(
        timeline, rule, cold & (rpm >= rule.enter_rpm), cold & (rpm >= rule.leave_rpm), known
    )
    events = []
    for stretch in found:
        peak = _peak(rpm, stretch)
        weight = severity(peak - rule.enter_rpm, rule.severity_step_rpm, rule)
        kind = EventKind.COLD_ENGINE_REVVING
        events.append(_event(timeline, kind, stretch, peak, rule.enter_rpm, "rpm", weight))
    return events


def sustained_pull(timeline: pd.DataFrame, policy: Policy) -> list[Event]:
    """Acceleration or full load for many seconds on end.

    The peak is the duration: what makes it an event is that it does not end.
    """
    rule = policy.events.sustained_pull
    accel = column(timeline, "accel_mps2")
    load = column(timeline, "load_percent")
    speed = column(timeline, "speed_smooth_kmh")
    fast = speed >= rule.min_speed_kmh
    known = accel_known(timeline)
    accelerating = fast & known & (accel >= rule.enter_accel_mps2)
    still_accelerating = fast & known & (accel >= rule.leave_accel_mps2)
    loaded = fast & (load >= rule.enter_load_percent)
    still_loaded = fast & (load >= rule.leave_load_percent)
    found = _stretches(
        timeline,
        rule,
        accelerating | loaded,
        still_accelerating | still_loaded,
        ~np.isnan(accel) & ~np.isnan(speed),
    )
    events = []
    for stretch in found:
        part = slice(stretch.first, stretch.last + 1)
        if not _long_enough(accelerating[part] | loaded[part], timeline, rule):
            continue
        seconds = stretch.measured / grid_rate_hz(timeline)
        weight = min(seconds / rule.min_duration_s, rule.max_severity)
        kind = EventKind.SUSTAINED_PULL
        events.append(_event(timeline, kind, stretch, seconds, rule.min_duration_s, "s", weight))
    return events


def idling(timeline: pd.DataFrame, policy: Policy) -> list[Event]:
    """Engine running at a standstill; its severity is its length in shortest idlings."""
    rule = policy.events.idling
    still = is_true(timeline, "engine_on") & (column(timeline, "speed_smooth_kmh") < MOVING_KMH)
    known = np.asarray(
        timeline["engine_on"].notna().to_numpy() & timeline["speed_smooth_kmh"].notna().to_numpy()
    )
    events = []
    for stretch in _stretches(timeline, rule, still, still, known):
        seconds = stretch.measured / grid_rate_hz(timeline)
        weight = min(seconds / rule.min_duration_s, rule.max_severity)
        events.append(
            _event(timeline, EventKind.IDLING, stretch, seconds, rule.min_duration_s, "s", weight)
        )
    return events


def overheating(timeline: pd.DataFrame, policy: Policy) -> list[Event]:
    """Coolant hotter than the engine bears."""
    rule = policy.events.overheating
    coolant = column(timeline, "coolant_temp_c")
    found = _stretches(
        timeline, rule, coolant >= rule.enter_c, coolant >= rule.leave_c, ~np.isnan(coolant)
    )
    events = []
    for stretch in found:
        peak = _peak(coolant, stretch)
        weight = severity(peak - rule.enter_c, rule.severity_step_c, rule)
        events.append(
            _event(timeline, EventKind.OVERHEATING, stretch, peak, rule.enter_c, "°C", weight)
        )
    return events


def coasting(timeline: pd.DataFrame, policy: Policy) -> list[Event]:
    """Rolling at idle speed of the engine, where the gears learned say that none fits.

    Without gears to compare with, idle speed on the move may be the highest gear: nothing is
    claimed.
    """
    rule = policy.events.coasting
    rpm = column(timeline, "rpm")
    speed = column(timeline, "speed_smooth_kmh")
    in_gear = timeline["gear"].notna().to_numpy()
    if not in_gear.any():
        return []
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = rpm / speed
    lowest = float(np.nanmin(ratio[in_gear]))
    out_of_gear = (
        (rpm <= rule.max_rpm)
        & is_true(timeline, "engine_on")
        & (speed >= rule.min_speed_kmh)
        & (ratio < 0.9 * lowest)
    )
    known = ~np.isnan(rpm) & ~np.isnan(speed)
    events = []
    for stretch in _stretches(timeline, rule, out_of_gear, out_of_gear, known):
        seconds = stretch.measured / grid_rate_hz(timeline)
        weight = min(seconds / rule.min_duration_s, rule.max_severity)
        events.append(
            _event(timeline, EventKind.COASTING, stretch, seconds, rule.min_duration_s, "s", weight)
        )
    return events


def _stretches(
    timeline: pd.DataFrame,
    rule: EventRule,
    enter: NDArray[np.bool_],
    stay: NDArray[np.bool_],
    known: NDArray[np.bool_],
) -> list[Stretch]:
    return stretches(
        enter,
        stay,
        known,
        rate_hz=grid_rate_hz(timeline),
        min_duration_s=rule.min_duration_s,
        merge_gap_s=rule.merge_gap_s,
    )


def _long_enough(beyond: NDArray[np.bool_], timeline: pd.DataFrame, rule: EventRule) -> bool:
    """Whether the stronger limit alone was passed for most of the shortest duration."""
    return bool(beyond.sum() >= 0.8 * rule.min_duration_s * grid_rate_hz(timeline))


def _peak(values: NDArray[np.float64], stretch: Stretch) -> float:
    return float(np.nanmax(values[stretch.first : stretch.last + 1]))


def _event(
    timeline: pd.DataFrame,
    kind: EventKind,
    stretch: Stretch,
    peak: float,
    threshold: float,
    unit: str,
    weight: float,
) -> Event:
    rate_hz = grid_rate_hz(timeline)
    return Event(
        kind=kind,
        start_s=stretch.first / rate_hz,
        end_s=(stretch.last + 1) / rate_hz,
        peak=peak,
        threshold=threshold,
        unit=unit,
        severity=float(weight),
    )
