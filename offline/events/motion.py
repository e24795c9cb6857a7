"""Events seen in the vehicle's motion: harsh acceleration, harsh braking, speeding."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from offline.eventrules import EventRule, HarshRule
from offline.events.stretches import stretches
from offline.policy import Policy
from offline.timeline import column
from offline.verdicts import Event, EventKind

EDGE_S = 1.5
"""So near to a gap the acceleration rests on one side only and proves nothing."""


def accel_known(timeline: pd.DataFrame) -> NDArray[np.bool_]:
    """Return where the acceleration is known from both sides."""
    unknown = np.isnan(column(timeline, "accel_mps2"))
    reach = 2 * int(EDGE_S * grid_rate_hz(timeline)) + 1
    return ~binary_dilation(unknown, np.ones(reach, dtype=bool))


def grid_rate_hz(timeline: pd.DataFrame) -> float:
    """Return the rate of the timeline's grid."""
    if len(timeline) < 2:
        return 1.0
    return 1.0 / float(timeline["t_s"].iloc[1] - timeline["t_s"].iloc[0])


def severity(excess: float, step: float, rule: EventRule) -> float:
    """Return 1 at the limit, one more for each step beyond, up to the policy's largest."""
    return float(min(1.0 + max(excess, 0.0) / step, rule.max_severity))


def harsh_acceleration(timeline: pd.DataFrame, policy: Policy) -> list[Event]:
    """Speed gained faster than the limit, from the smoothed speed: no slope biases it."""
    rule = policy.events.harsh_acceleration
    return _harsh(timeline, rule, EventKind.HARSH_ACCELERATION, sign=1.0)


def harsh_braking(timeline: pd.DataFrame, policy: Policy) -> list[Event]:
    """Speed lost faster than the limit; peak and threshold are negative."""
    return _harsh(timeline, policy.events.harsh_braking, EventKind.HARSH_BRAKING, sign=-1.0)


def _harsh(timeline: pd.DataFrame, rule: HarshRule, kind: EventKind, *, sign: float) -> list[Event]:
    accel = sign * column(timeline, "accel_mps2")
    speed = column(timeline, "speed_smooth_kmh")
    known = accel_known(timeline)
    certain = known & (column(timeline, "accel_sd_mps2") <= rule.max_accel_sd_mps2)
    rate_hz = grid_rate_hz(timeline)
    found = stretches(
        (accel >= rule.enter_mps2) & certain,
        (accel >= rule.leave_mps2) & certain,
        known,
        rate_hz=rate_hz,
        min_duration_s=rule.min_duration_s,
        merge_gap_s=rule.merge_gap_s,
    )
    events = []
    for stretch in found:
        part = slice(stretch.first, stretch.last + 1)
        if np.nanmax(speed[part]) < rule.min_speed_kmh:
            continue
        peak = float(np.nanmax(accel[part]))
        events.append(
            Event(
                kind=kind,
                start_s=stretch.first / rate_hz,
                end_s=(stretch.last + 1) / rate_hz,
                peak=sign * peak,
                threshold=sign * rule.enter_mps2,
                unit="m/s²",
                severity=severity(peak - rule.enter_mps2, rule.severity_step_mps2, rule),
            )
        )
    return events


def speeding(timeline: pd.DataFrame, policy: Policy) -> list[Event]:
    """Speed beyond the limit of the vehicle class or the fleet."""
    rule = policy.events.speeding
    speed = column(timeline, "speed_smooth_kmh")
    enter = rule.limit_kmh + rule.tolerance_kmh
    rate_hz = grid_rate_hz(timeline)
    found = stretches(
        speed >= enter,
        speed >= rule.limit_kmh,
        ~np.isnan(speed),
        rate_hz=rate_hz,
        min_duration_s=rule.min_duration_s,
        merge_gap_s=rule.merge_gap_s,
    )
    events = []
    for stretch in found:
        peak = float(np.nanmax(speed[stretch.first : stretch.last + 1]))
        events.append(
            Event(
                kind=EventKind.SPEEDING,
                start_s=stretch.first / rate_hz,
                end_s=(stretch.last + 1) / rate_hz,
                peak=peak,
                threshold=rule.limit_kmh,
                unit="km/h",
                severity=severity(peak - enter, rule.severity_step_kmh, rule),
            )
        )
    return events
