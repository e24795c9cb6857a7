"""From verdicts to a score of 0 to 100; the formula and a worked example: `docs/scoring.md`.

Each kind of event has a rate (severity-weighted events over exposure) with a Gamma prior that
is the fleet's. The penalty is the sum of the rates' means times the policy's points; the score
halves with every `half_points` of it. Its interval comes from the Gamma distribution that has
the mean and the variance of that sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import gammaincinv

from offline.events.motion import grid_rate_hz
from offline.policy import Policy
from offline.roadscene import UNDETERMINED
from offline.timeline import column, is_true
from offline.verdicts import EventKind, Exposure, Outcome, Score, Verdict

PARTS: dict[str, tuple[EventKind, ...]] = {
    "smoothness": (EventKind.HARSH_ACCELERATION, EventKind.HARSH_BRAKING),
    "engine_care": (
        EventKind.OVER_REVVING,
        EventKind.COLD_ENGINE_REVVING,
        EventKind.OVERHEATING,
    ),
    "economy": (EventKind.SUSTAINED_PULL, EventKind.IDLING, EventKind.COASTING),
    "speed": (EventKind.SPEEDING,),
}
"""Sub-scores and the kinds of event that make them."""


@dataclass(frozen=True)
class Totals:
    """Sums over trips from which a score is made; the totals of trips may be added.

    Attributes
    ----------
    points, exposure : dict of str to float
        By kind of event: penalty points, and exposure in the policy's reference exposures.
    distance_km, duration_s, speed_known_s, moving_s, judged_s : float
        Driven, recorded, with a usable speed, moving, and moving outside undetermined events.
    """

    points: dict[str, float] = field(default_factory=dict)
    exposure: dict[str, float] = field(default_factory=dict)
    distance_km: float = 0.0
    duration_s: float = 0.0
    speed_known_s: float = 0.0
    moving_s: float = 0.0
    judged_s: float = 0.0

    def __add__(self, other: Totals) -> Totals:
        def joined(mine: dict[str, float], its: dict[str, float]) -> dict[str, float]:
            return {k: mine.get(k, 0.0) + its.get(k, 0.0) for k in sorted({*mine, *its})}

        return Totals(
            joined(self.points, other.points),
            joined(self.exposure, other.exposure),
            self.distance_km + other.distance_km,
            self.duration_s + other.duration_s,
            self.speed_known_s + other.speed_known_s,
            self.moving_s + other.moving_s,
            self.judged_s + other.judged_s,
        )


def measure_exposure(
    timeline: pd.DataFrame, verdicts: Iterable[Verdict], policy: Policy
) -> Exposure:
    """Measure how much was driven, and how much of it could be judged.

    Parameters
    ----------
    timeline : DataFrame
        Fused.
    verdicts : iterable of Verdict
        The undetermined ones count in the coverage.
    policy : Policy
        Reference exposures.
    """
    dt = 1.0 / grid_rate_hz(timeline)
    speed_mps = column(timeline, "speed_smooth_kmh") / 3.6
    rpm, coolant = column(timeline, "rpm"), column(timeline, "coolant_temp_c")
    speed_known, rpm_known = np.isfinite(speed_mps), np.isfinite(rpm)
    moving, engine_on = is_true(timeline, "moving"), is_true(timeline, "engine_on")
    # A vehicle that moves has its engine on unless something says otherwise.
    known_gears = bool(timeline["gear"].notna().any())
    known: dict[EventKind, NDArray[np.bool_]] = {
        EventKind.HARSH_ACCELERATION: speed_known,
        EventKind.HARSH_BRAKING: speed_known,
        EventKind.OVER_REVVING: rpm_known,
        EventKind.SUSTAINED_PULL: speed_known,
        EventKind.IDLING: speed_known & rpm_known,
        EventKind.SPEEDING: speed_known,
        EventKind.COLD_ENGINE_REVVING: speed_known & rpm_known & np.isfinite(coolant),
        EventKind.OVERHEATING: np.isfinite(coolant),
        EventKind.COASTING: speed_known & rpm_known & known_gears,
    }
    metres = np.nan_to_num(speed_mps) * dt
    by_kind = {}
    rule = policy.score
    for kind, where in known.items():
        match policy.events.of(kind).exposure:
            case "distance":
                amount = float(metres[where].sum()) / 1000.0 / rule.reference_distance_km
            case "time":
                amount = float(where.sum()) * dt / 3600.0 / rule.reference_time_h
            case _:
                amount = float((where & engine_on).sum()) * dt / 3600.0
                amount /= rule.reference_engine_time_h
        by_kind[kind.value] = amount
    doubt = np.zeros(len(timeline), dtype=bool)
    for verdict in verdicts:
        if verdict.outcome is Outcome.UNDETERMINED:
            doubt[round(verdict.event.start_s / dt) : round(verdict.event.end_s / dt)] = True
    moving_s = float(moving.sum()) * dt
    scene = timeline["scene"].to_numpy(dtype=object)
    if timeline["frame"].notna().any():
        seen = moving & (scene != "") & (scene != UNDETERMINED)
    else:
        seen = moving & np.isfinite(column(timeline, "p_level"))
    warm = policy.events.cold_engine_revving.max_coolant_c
    first_coolant = coolant[np.isfinite(coolant)]
    return Exposure(
        distance_km=float(metres.sum()) / 1000.0,
        duration_s=len(timeline) * dt,
        moving_s=moving_s,
        engine_on_s=float(engine_on.sum()) * dt,
        speed_coverage=float(speed_known.mean()) if len(timeline) else 0.0,
        scene_coverage=float(seen.sum()) * dt / moving_s if moving_s else 0.0,
        judged=1.0 - float((doubt & moving).sum()) * dt / moving_s if moving_s else 1.0,
        by_kind=by_kind,
        coolant_start_c=float(first_coolant[0]) if first_coolant.size else None,
        cold_s=float((engine_on & (coolant < warm)).sum()) * dt,
    )


def trip_totals(
    verdicts: Iterable[Verdict], exposure: Exposure, *, road_context: bool = True
) -> Totals:
    """Sum a trip's points by kind; without road context every event costs its full points."""
    points = {kind.value: 0.0 for kind in EventKind}
    for verdict in verdicts:
        spared = 0.0 if road_context else verdict.points_spared
        points[verdict.event.kind.value] += verdict.points + spared
    judged = exposure.judged if road_context else 1.0
    return Totals(
        points=points,
        exposure=dict(exposure.by_kind),
        distance_km=exposure.distance_km,
        duration_s=exposure.duration_s,
        speed_known_s=exposure.speed_coverage * exposure.duration_s,
        moving_s=exposure.moving_s,
        judged_s=judged * exposure.moving_s,
    )


def score(
    verdicts: Iterable[Verdict], exposure: Exposure, policy: Policy, *, road_context: bool = True
) -> Score:
    """Score one trip.

    Parameters
    ----------
    verdicts : iterable of Verdict
        From `offline.context.judge`.
    exposure : Exposure
        From `measure_exposure`.
    policy : Policy
        Points, prior, bands and minimums.
    road_context : bool
        False for the counterfactual in which no event is exonerated or in doubt.
    """
    totals = trip_totals(verdicts, exposure, road_context=road_context)
    least = policy.score.min_trip_distance_km
    return score_from_totals(totals, policy, min_distance_km=least)


def score_from_totals(
    totals: Totals, policy: Policy, *, min_distance_km: float | None = None
) -> Score:
    """Score the sums of any number of trips: a driver's period, a vehicle.

    Splitting a trip changes no sum, so the parts score together what the whole scores.

    Parameters
    ----------
    totals : Totals
        Sums over the trips.
    policy : Policy
        Points, prior, bands and minimums.
    min_distance_km : float, optional
        Least distance for a score; the policy's for a period by default.
    """
    rule = policy.score
    if min_distance_km is None:
        min_distance_km = rule.min_period_distance_km
    reason = _why_no_score(totals, policy, min_distance_km)
    if reason:
        return Score(None, None, None, None, reason, dict.fromkeys(PARTS))
    penalty, variance = 0.0, 0.0
    parts: dict[str, float | None] = {}
    for part, kinds in PARTS.items():
        part_penalty = 0.0
        for kind in kinds:
            mean, spread = _rate(kind, totals, policy)
            points = policy.events.of(kind).points
            part_penalty += points * mean
            variance += points**2 * spread
        penalty += part_penalty
        measured = any(totals.exposure.get(kind.value, 0.0) > 0 for kind in kinds)
        parts[part] = _value(part_penalty, policy) if measured else None
    value = _value(penalty, policy)
    low, high = value, value
    if penalty > 0 and variance > 0:
        shape, scale = penalty**2 / variance, variance / penalty
        tail = (1.0 - rule.interval) / 2.0
        high = _value(float(gammaincinv(shape, tail)) * scale, policy)
        low = _value(float(gammaincinv(shape, 1.0 - tail)) * scale, policy)
    return Score(value, band(value, policy), low, high, "", parts)


def band(value: float, policy: Policy) -> str:
    """Return the letter of a score."""
    bands = policy.score.bands
    for letter, least in (("A", bands.a), ("B", bands.b), ("C", bands.c), ("D", bands.d)):
        if value >= least:
            return letter
    return "E"


def fit_prior(
    trips: Iterable[Mapping[str, tuple[float, float]]],
) -> tuple[dict[str, float], float]:
    """Fit the prior of a fleet from its trips, by the method of moments.

    Parameters
    ----------
    trips : iterable of mapping
        Per trip and kind: severity-weighted events (points over the policy's points) and
        exposure in reference exposures.

    Returns
    -------
    tuple of dict and float
        Mean rate by kind, and the prior's exposure: the median over the kinds of mean over
        variance of the trips' true rates (what the rates vary beyond Poisson noise).
    """
    rows = list(trips)
    rates: dict[str, float] = {}
    weights: list[float] = []
    for kind in sorted({kind for row in rows for kind in row}):
        pairs = [row[kind] for row in rows if kind in row and row[kind][1] > 0]
        if not pairs:
            continue
        events = np.array([pair[0] for pair in pairs])
        exposure = np.array([pair[1] for pair in pairs])
        mean = float(events.sum() / exposure.sum())
        rates[kind] = mean
        if len(pairs) > 1 and mean > 0:
            # Weighted sum of squares less its Poisson part (Buehlmann and Straub 1970).
            squares = float((exposure * (events / exposure - mean) ** 2).sum())
            spread = squares - (len(pairs) - 1) * mean
            scale = float(exposure.sum() - (exposure**2).sum() / exposure.sum())
            if spread > 0 and scale > 0:
                weights.append(mean / (spread / scale))
    return rates, float(np.median(weights)) if weights else 1.0


def _rate(kind: EventKind, totals: Totals, policy: Policy) -> tuple[float, float]:
    """Mean and variance of the Gamma posterior of a kind's rate."""
    prior = policy.score.prior
    events = totals.points.get(kind.value, 0.0) / policy.events.of(kind).points
    exposure = prior.exposure + totals.exposure.get(kind.value, 0.0)
    shape = prior.severity_rate[kind] * prior.exposure + events
    return shape / exposure, shape / exposure**2


def _value(penalty: float, policy: Policy) -> float:
    return float(100.0 * 2.0 ** (-penalty / policy.score.half_points))


def _why_no_score(totals: Totals, policy: Policy, min_distance_km: float) -> str:
    rule = policy.score
    if totals.speed_known_s <= 0:
        return "no vehicle speed was recorded"
    if totals.distance_km < min_distance_km:
        return f"only {totals.distance_km:.1f} km driven, at least {min_distance_km:g} km needed"
    coverage = totals.speed_known_s / totals.duration_s if totals.duration_s else 0.0
    if coverage < rule.min_speed_coverage:
        return f"speed known for {coverage:.0%} of the time, {rule.min_speed_coverage:.0%} needed"
    judged = totals.judged_s / totals.moving_s if totals.moving_s else 1.0
    if judged < rule.min_judged:
        return f"only {judged:.0%} of the driving could be judged, {rule.min_judged:.0%} needed"
    return ""
