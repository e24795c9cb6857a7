"""Verdicts: every event set in its road context by the policy's table of rules.

A rule can take an event off the driver or leave it in doubt; none can add to it. Three things
must agree before an event is exonerated: the posterior of the road, the frames themselves, and
the sensors where they can tell. Where they do not, the event is undetermined and costs nothing.
Where altitude or inertia measured the slope, that decides, with video or without; pictures that
contradict all but a barometer leave the event in doubt.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import ndtr

from offline.events.motion import grid_rate_hz
from offline.fusion.places import COURSE_AHEAD_M, SLOPE_AHEAD_M, points_shown
from offline.fusion.powertrain import GRAVITY_MPS2, engine_load
from offline.policy import ContextRule, Policy
from offline.roadscene import SLOPE_THRESHOLD_PERCENT
from offline.scenelabels import SceneLabels, nothing_seen
from offline.timeline import MOVING_KMH, column
from offline.verdicts import Event, EventKind, Outcome, Verdict

SENSORS_CONFIRM = 0.6
"""Chance of the slope, by the sensors alone, above which they agree with it."""
SENSORS_REFUTE = 0.1
"""Chance below which they contradict it."""
FRAMES_REFUTE = 0.5
"""Share of agreeing frames from which the camera holds on to a context."""
EXACT_SD_PERCENT = 1.0
"""A barometer's grade. GPS wanders by metres within a minute, and the tilt of an inertial sensor's
mounting is only the median of its trip: pictures may contradict these."""
BEST_FRAMES = 3
LOOK_M = 150.0
"""Frames are asked this far before and after an event, as long as it is the same hill: the network
repeats a mistake for tens of metres, so a short window holds a single look, however many frames."""
SAME_HILL = 0.8
"""Posterior from which the road beside an event belongs to the same hill."""
BOUND_BRAKED = 0.5
"""Chance that the brakes are on where the grade is a bound; then the road surely falls."""
LEAST_KNOWN = 0.8
"""Share of an event over which speed, acceleration or load must be known to be judged by."""
LEAST_SEEN = 0.5
"""Share of an event over which the road must be known."""
BRAKED_MPS2 = 0.5
"""Who slows by so much more than the climb takes is braking; drag takes less at most speeds."""
TYPICAL_CLIMB_PERCENT = 4.0
"""Taken for a climb that was seen but could not be measured."""

ROAD_DOES = {"uphill": "climbs", "downhill": "falls", "bend": "bends"}
TITLES = {
    EventKind.HARSH_ACCELERATION: "Speed was gained with {peak:.1f} m/s² (limit {limit:.1f}).",
    EventKind.HARSH_BRAKING: "Braking reached {peak:.1f} m/s² (limit {limit:.1f}).",
    EventKind.OVER_REVVING: "The engine ran at up to {peak:.0f} rpm (limit {limit:.0f}).",
    EventKind.SUSTAINED_PULL: "The engine pulled hard for {peak:.0f} s on end (limit {limit:.0f}).",
    EventKind.IDLING: "The engine idled for {peak:.0f} s (limit {limit:.0f}).",
    EventKind.SPEEDING: "Speed reached {peak:.0f} km/h (limit {limit:.0f}).",
    EventKind.COLD_ENGINE_REVVING: "The cold engine was revved to {peak:.0f} rpm "
    "(limit {limit:.0f}).",
    EventKind.OVERHEATING: "The coolant reached {peak:.0f} °C (limit {limit:.0f}).",
    EventKind.COASTING: "The car rolled out of gear for {peak:.0f} s (limit {limit:.0f}).",
}


@dataclass(frozen=True)
class Evidence:
    """What is known of a rule's context over an event's window."""

    probability: float | None
    frames_agree: float | None
    frames: tuple[int, ...]
    sensors_agree: bool | None


def judge(
    events: list[Event],
    timeline: pd.DataFrame,
    labels: SceneLabels | None,
    policy: Policy,
) -> list[Verdict]:
    """Give every event its verdict.

    Parameters
    ----------
    events : list of Event
        From `offline.events.detect`.
    timeline : DataFrame
        Fused, from `offline.fusion.fuse`.
    labels : SceneLabels or None
        The same labels; without them only a measured slope speaks for the driver.
    policy : Policy
        Its table of rules, and the points of each kind.
    """
    if labels is None and np.isfinite(column(timeline, "p_uphill")).any():
        labels = nothing_seen()
    view = None if labels is None else _View(timeline, labels)
    return [_verdict(event, view, policy) for event in events]


def _verdict(event: Event, view: _View | None, policy: Policy) -> Verdict:
    cost = policy.events.of(event.kind).points * event.severity
    plain = TITLES[event.kind].format(peak=abs(event.peak), limit=abs(event.threshold))
    kept = Verdict(event, Outcome.KEPT, "", "", None, None, (), None, cost, 0.0, plain)
    if view is None:
        return kept
    doubtful: Verdict | None = None
    refuted: Verdict | None = None
    for rule in policy.rules_for(event.kind):
        applies = view.applies(rule, event)
        if applies is False:
            continue
        seen = view.evidence(rule, event)
        measured = not view.has_camera or view.is_measured(rule, event)
        if rule.context != "bend" and measured and seen.probability is not None:
            exact = view.is_exact(rule, event)
            outcome, why = _decide_measured(rule, event, seen.probability, seen, exact=exact)
        elif view.has_camera:
            outcome, why = _decide(rule, event, seen, camera_suffices=view.camera_suffices(rule))
        else:
            continue
        if outcome is Outcome.EXONERATED and applies is None:
            outcome = Outcome.UNDETERMINED
            why = "Too little was recorded to tell whether the road did it: not counted."
        if outcome is Outcome.KEPT:
            refuted = refuted or _set(kept, rule, seen, outcome, cost, f"{plain} {why}")
        elif outcome is Outcome.EXONERATED:
            return _set(kept, rule, seen, outcome, cost, why)
        else:
            doubtful = doubtful or _set(kept, rule, seen, outcome, cost, f"{plain} {why}")
    return doubtful or refuted or kept


def _set(
    kept: Verdict, rule: ContextRule, seen: Evidence, outcome: Outcome, cost: float, why: str
) -> Verdict:
    costs = cost if outcome is Outcome.KEPT else 0.0
    return Verdict(
        event=kept.event,
        outcome=outcome,
        rule=rule.id,
        context=rule.context,
        probability=seen.probability,
        frames_agree=seen.frames_agree,
        frames=seen.frames,
        sensors_agree=seen.sensors_agree,
        points=costs,
        points_spared=cost - costs,
        sentence=why,
    )


def _decide(
    rule: ContextRule, event: Event, seen: Evidence, *, camera_suffices: bool
) -> tuple[Outcome, str]:
    """Apply one row of the table, whose conditions on the driving hold, to what was seen."""
    road = ROAD_DOES[rule.context]
    p, agree = seen.probability, seen.frames_agree
    if p is None:
        return Outcome.UNDETERMINED, f"Whether the road {road} here was not seen: not counted."
    blind = seen.sensors_agree is None
    least = rule.blind_min_probability if blind else rule.min_probability
    most = rule.blind_max_probability_to_keep if blind else rule.max_probability_to_keep
    camera_alone = agree is not None and agree >= FRAMES_REFUTE and seen.sensors_agree is not False
    if p <= most and not camera_alone and seen.sensors_agree is not True:
        return Outcome.KEPT, f"The road does not {road[:-1]} here."
    if seen.sensors_agree is False or (seen.sensors_agree and p <= most):
        reason = f"Camera and engine disagree on whether the road {road} here: not counted."
        return Outcome.UNDETERMINED, reason
    if p < least or agree is None or agree < rule.min_frames_agree:
        reason = f"Whether the road {road} here is not clear enough: not counted."
        return Outcome.UNDETERMINED, reason
    if blind and not camera_suffices:
        reason = f"Only the camera says that the road {road} here: not counted."
        return Outcome.UNDETERMINED, reason
    return Outcome(rule.verdict), _reason(rule, event)


def _decide_measured(
    rule: ContextRule, event: Event, p: float, seen: Evidence, *, exact: bool
) -> tuple[Outcome, str]:
    """Apply a row by what was measured; pictures can only keep it from exonerating."""
    road = ROAD_DOES[rule.context]
    agree = seen.sensors_agree
    if agree is False or (p <= rule.max_probability_to_keep and not agree):
        return Outcome.KEPT, f"The road does not {road[:-1]} here."
    if not agree or p < rule.min_probability:
        reason = f"Whether the road {road} here is not clear enough: not counted."
        return Outcome.UNDETERMINED, reason
    if not exact and seen.frames_agree is not None and seen.frames_agree < FRAMES_REFUTE:
        reason = f"Camera and measured slope disagree on whether the road {road} here: not counted."
        return Outcome.UNDETERMINED, reason
    return Outcome(rule.verdict), _reason(rule, event)


def _reason(rule: ContextRule, event: Event) -> str:
    return rule.why.format(seconds=event.duration_s, peak=abs(event.peak), unit=event.unit)


class _View:
    """A trip's road context, ready to be asked about windows of time."""

    def __init__(self, timeline: pd.DataFrame, labels: SceneLabels) -> None:
        self._rate_hz = grid_rate_hz(timeline)
        self._distance = column(timeline, "distance_m")
        self._accel = column(timeline, "accel_mps2")
        self._speed_kmh = column(timeline, "speed_smooth_kmh")
        self._load = engine_load(timeline)
        self._grade = column(timeline, "grade_percent")
        self._grade_sd = column(timeline, "grade_sd_percent")
        self._bound = timeline["grade_is_bound"].to_numpy(dtype=bool)
        self._measured = timeline["grade_is_measured"].to_numpy(dtype=bool)
        self._posterior = {
            "uphill": column(timeline, "p_uphill"),
            "downhill": column(timeline, "p_downhill"),
            "bend": 1.0 - column(timeline, "p_course_straight"),
        }
        self.has_camera = len(labels) > 0
        self._frame = labels.frame
        self._slope_needs_sensors = labels.slope_needs_sensors
        slope, course = labels.p_slope, labels.p_course
        place_of_slope = points_shown(timeline, labels, SLOPE_AHEAD_M)
        place_of_course = points_shown(timeline, labels, COURSE_AHEAD_M)
        with np.errstate(invalid="ignore"):
            slope_decided = slope.max(axis=1) >= labels.slope_threshold
            course_decided = course.max(axis=1) >= labels.course_threshold
        slope_index, course_index = _argmax(slope), _argmax(course)
        # Point shown, chance of the context, whether the frame decided, whether it agrees.
        self._frames = {
            "uphill": (place_of_slope, slope[:, 1], slope_decided, slope_index == 1),
            "downhill": (place_of_slope, slope[:, 2], slope_decided, slope_index == 2),
            "bend": (place_of_course, 1 - course[:, 0], course_decided, course_index > 0),
        }

    def _window(self, event: Event, ahead_m: float = 0.0) -> tuple[int, int]:
        """First point and the one after the last, at least one point long."""
        first = round(event.start_s * self._rate_hz)
        end = max(round(event.end_s * self._rate_hz), first + 1)
        if ahead_m > 0:
            reach = self._distance[min(end, self._distance.size) - 1] + ahead_m
            end = max(end, int(np.searchsorted(self._distance, reach, side="right")))
        return first, min(end, self._distance.size)

    def camera_suffices(self, rule: ContextRule) -> bool:
        """Whether the network may exonerate where no sensor can tell."""
        return rule.context == "bend" or not self._slope_needs_sensors

    def is_measured(self, rule: ContextRule, event: Event) -> bool:
        """Whether altitude or inertia tells the slope of most of the event's window."""
        first, end = self._window(event, rule.ahead_m)
        return bool(self._measured[first:end].mean() > 0.5)

    def is_exact(self, rule: ContextRule, event: Event) -> bool:
        """Whether the grade was measured so well that no picture can contradict it."""
        first, end = self._window(event, rule.ahead_m)
        spread = _mean(self._grade_sd[first:end])
        return spread is not None and spread <= EXACT_SD_PERCENT

    def applies(self, rule: ContextRule, event: Event) -> bool | None:
        """Whether the driving itself meets the rule's conditions; None where it is unknown."""
        first, end = self._window(event)
        accel = _known(self._accel[first:end], LEAST_KNOWN)
        met: list[bool | None] = [
            None if accel is None else rule.min_accel_mps2 <= accel <= rule.max_accel_mps2,
            rule.max_peak is None or abs(event.peak) <= rule.max_peak,
        ]
        if rule.max_level_s is not None:
            met.append(_within(rule.max_level_s, *self._level_s(first, end)))
        if rule.max_gain_kmh is not None:
            met.append(_within(rule.max_gain_kmh, *self._gain_kmh(first, end)))
        if rule.context != "bend":
            # Whoever stands on a hill is not driving up it.
            speed = _known(self._speed_kmh[first:end], LEAST_KNOWN)
            met.append(None if speed is None else speed >= MOVING_KMH)
        load = _known(self._load[first:end], LEAST_KNOWN)
        if load is None:
            # An engine whose load is not known may have done it itself.
            gentle = rule.max_accel_without_load_mps2
            ruled_out = gentle is not None and accel is not None and accel <= gentle
            met.append(True if rule.max_load_percent is None or ruled_out else None)
        else:
            met.append(rule.min_load_percent is None or load >= rule.min_load_percent)
            met.append(rule.max_load_percent is None or load <= rule.max_load_percent)
        if False in met:
            return False
        return None if None in met else True

    def _level_s(self, first: int, end: int) -> tuple[float, float]:
        """Least and most time that the speed gained in a window would have taken on the level.

        The same pull gives there the acceleration plus what the climb takes, g times the grade.
        Speed is gained where it passes all that it was before: what a hill takes from a vehicle
        and the vehicle makes up for, it would not have lost on the level. What the brakes took
        counts again.
        """
        speed, accel = self._speed_kmh[first:end], self._accel[first:end]
        climbing = self._posterior["uphill"][first:end]
        grade = self._grade[first:end]
        grade = np.where(np.isnan(grade), TYPICAL_CLIMB_PERCENT * climbing, grade).clip(0.0)
        gravity = GRAVITY_MPS2 * grade / 100.0
        braked = accel < -(np.nan_to_num(gravity) + BRAKED_MPS2)
        gaining = np.zeros(speed.size, dtype=bool)
        most_kmh = np.nan
        for k, now in enumerate(speed.tolist()):
            gaining[k] = now > most_kmh
            most_kmh = now if braked[k] else np.fmax(most_kmh, now)
        gaining &= accel > 0.0
        with np.errstate(invalid="ignore", divide="ignore"):
            share = accel / (accel + gravity)
        unknown = np.isnan(speed) | np.isnan(accel) | (gaining & np.isnan(share))
        least_s = float(np.nansum(share[gaining]) / self._rate_hz)
        return least_s, least_s + float(unknown.sum() / self._rate_hz)

    def _gain_kmh(self, first: int, end: int) -> tuple[float, float]:
        """Least and most that a gain of speed within a window can have been."""
        speed = self._speed_kmh[first:end]
        known = np.isfinite(speed)
        if not known.any():
            return 0.0, np.inf
        least_kmh = float(np.nanmax(speed - np.fmin.accumulate(speed)))
        return least_kmh, least_kmh if known.mean() >= LEAST_KNOWN else np.inf

    def evidence(self, rule: ContextRule, event: Event) -> Evidence:
        """Gather what speaks for the rule's context over the event's window."""
        first, end = self._window(event, rule.ahead_m)
        if rule.context == "bend":
            # What counts is the bend that comes, not the straight on which it is braked for.
            last = round(event.end_s * self._rate_hz)
            first = min((first + 3 * last) // 4, end - 1)
        probability = _known(self._posterior[rule.context][first:end], LEAST_SEEN)
        point, p, decided, agrees = self._frames[rule.context]
        if rule.context == "bend":
            inside = (point >= first) & (point < end)
        else:
            inside = self._around(point, rule.context, first, end)
        used = inside & decided
        share = float(agrees[used].mean()) if used.any() else None
        rows = np.flatnonzero(inside & agrees)
        best = rows[np.argsort(-p[rows], kind="stable")][:BEST_FRAMES]
        return Evidence(
            probability,
            share,
            tuple(int(self._frame[row]) for row in best),
            self._sensors(rule.context, first, end),
        )

    def _around(
        self, point: NDArray[np.int64], context: str, first: int, end: int
    ) -> NDArray[np.bool_]:
        """Frames of the window, and of the same hill up to `LOOK_M` before and after it."""
        same = self._posterior[context] >= SAME_HILL  # NaN is no hill
        low, high = self._distance[first] - LOOK_M, self._distance[end - 1] + LOOK_M
        near = same & (self._distance >= low) & (self._distance <= high)
        before = np.flatnonzero(~near[:first])
        after = np.flatnonzero(~near[end:])
        start = int(before[-1]) + 1 if before.size else 0
        stop = end + int(after[0]) if after.size else near.size
        return (point >= start) & (point < stop)

    def _sensors(self, context: str, first: int, end: int) -> bool | None:
        if context == "bend":
            return None
        grade, sd = self._grade[first:end], self._grade_sd[first:end]
        mean, spread = _mean(grade), _mean(sd)
        if mean is None or spread is None:
            return None
        sign = 1.0 if context == "uphill" else -1.0
        chance = float(ndtr((sign * mean - SLOPE_THRESHOLD_PERCENT) / spread))
        bound = self._bound[first:end]
        if context == "downhill" and bound.mean() > 0.5:
            chance = (1.0 - BOUND_BRAKED) * chance + BOUND_BRAKED
        if chance >= SENSORS_CONFIRM:
            return True
        return False if chance <= SENSORS_REFUTE else None


def _argmax(p: NDArray[np.float32]) -> NDArray[np.int64]:
    index = np.asarray(np.nan_to_num(p, nan=-1.0).argmax(axis=1))
    return np.where(np.isnan(p).any(axis=1), -1, index)


def _within(limit: float, least: float, most: float) -> bool | None:
    """Whether what lies between two bounds is within a limit; None where that is not known."""
    if most <= limit:
        return True
    return False if least > limit else None


def _known(values: NDArray[np.float64], least: float) -> float | None:
    """Mean of what is known, if it is at least such a share of all."""
    return _mean(values) if np.isfinite(values).mean() >= least else None


def _mean(values: NDArray[np.float64]) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else None
