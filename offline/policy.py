"""Scoring policies: every threshold, rule and weight of a vehicle class, in one TOML file.

A policy ships for each vehicle class; a fleet writes its own and checks it with
`gradewise-offline policy check`. Unknown keys are refused, so that a misspelt threshold never
falls back to a default in silence: there are no defaults, every key must be present.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from offline.errors import PolicyError
from offline.eventrules import EventRules, NotNegative, Positive, Share, Strict
from offline.verdicts import EventKind

VEHICLE_CLASSES = ("car", "van", "truck", "bus")
"""Classes with a policy of their own in the package."""


class ContextRule(Strict):
    """When the road takes an event off the driver: one row of the table of verdicts.

    There is no verdict that adds a penalty, so no policy can make the camera add one.

    Attributes
    ----------
    context : str
        Road scene asked for; `bend` is a curve or a turn.
    min_probability : float
        Smallest posterior probability of the context over the event's window.
    max_probability_to_keep : float
        At or below it the context is refuted and the event is kept; in between is doubt.
    min_frames_agree : float
        Smallest share of the window's decided frames that show the context.
    ahead_m : float
        How far beyond the event's end the window reaches: a bend is braked for in advance.
    min_accel_mps2, max_accel_mps2 : float
        Range of the mean acceleration over the event: beyond it the driver made the jump in
        speed, whatever the slope.
    max_peak : float or None
        Largest peak, in the unit of the event: beyond it no road is the reason.
    max_load_percent : float or None
        Largest mean engine load: gravity, not the engine, must have done it. Where the load is
        not known the event is at most undetermined, unless the next condition holds.
    max_accel_without_load_mps2 : float or None
        Where the load is not known: mean acceleration up to which an engine that pulled as well
        is ruled out, because on such a road the vehicle would have gained more speed.
    min_load_percent : float or None
        Smallest mean engine load, where it is known: with more strength to spare a higher gear
        would have done, and the road asked for nothing.
    max_level_s : float or None
        Longest time that the same gain of speed, with the same pull, would have taken on the
        level: with more the event would have happened there as well.
    max_gain_kmh : float or None
        Largest gain of speed within the event: an engine that brakes holds the speed. Where this
        or the time on the level is not known the event is at most undetermined.
    blind_min_probability, blind_max_probability_to_keep : float
        Take the places of the other two where no sensor can tell.
    why : str
        The sentence for the driver; `{seconds}`, `{peak}`, `{unit}` are filled in.
    """

    id: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    event: EventKind
    context: Literal["uphill", "downhill", "bend"]
    min_probability: Annotated[float, Field(ge=0.5, le=1)]
    blind_min_probability: Annotated[float, Field(ge=0.5, le=1)]
    max_probability_to_keep: Annotated[float, Field(ge=0, lt=0.5)]
    blind_max_probability_to_keep: Annotated[float, Field(ge=0, lt=0.5)]
    min_frames_agree: Share
    ahead_m: NotNegative
    min_accel_mps2: float
    max_accel_mps2: float
    max_peak: Positive | None = None
    max_load_percent: Positive | None = None
    max_accel_without_load_mps2: float | None = None
    min_load_percent: Positive | None = None
    max_level_s: Positive | None = None
    max_gain_kmh: Positive | None = None
    verdict: Literal["exonerated", "undetermined"]
    why: Annotated[str, Field(min_length=10)]

    @model_validator(mode="after")
    def _sentence(self) -> Self:
        try:
            self.why.format(seconds=0.0, peak=0.0, unit="")
        except (KeyError, IndexError, ValueError):
            raise ValueError(
                "why may only use {seconds}, {peak} and {unit} with a number format"
            ) from None
        return self._ordered("min_accel_mps2", "max_accel_mps2")


class FusionRule(Strict):
    """How the road scene is inferred; lengths in metres of road.

    Attributes
    ----------
    cell_m : float
        Step of the hidden Markov model.
    slope_length_m, course_length_m : float
        Mean length of a stretch of one slope, of one course.
    frame_correlation_m : float
        Over this distance the network repeats its mistakes, so that frames closer together
        count for less.
    sensor_correlation_m : float
        The same for the powertrain's grade.
    camera_trust : float
        Probability that the network's calibrated answer holds at all for this camera.
    """

    cell_m: Annotated[float, Field(ge=2, le=50)]
    slope_length_m: Positive
    course_length_m: Positive
    frame_correlation_m: Positive
    sensor_correlation_m: Positive
    camera_trust: Annotated[float, Field(gt=0.5, le=1)]


class ComfortRule(Strict):
    """Limits of the ideal traces."""

    accel_mps2: Positive
    brake_mps2: Positive
    jerk_window_s: Positive
    ideal_rpm_low: Positive
    ideal_rpm_high: Positive
    uphill_rpm_per_percent: NotNegative
    coolant_low_c: float
    coolant_high_c: float

    @model_validator(mode="after")
    def _bands(self) -> Self:
        self._ordered("ideal_rpm_low", "ideal_rpm_high")
        return self._ordered("coolant_low_c", "coolant_high_c")


class Bands(Strict):
    """Lowest score of each band; below D is E."""

    a: Annotated[float, Field(gt=0, lt=100)]
    b: Annotated[float, Field(gt=0, lt=100)]
    c: Annotated[float, Field(gt=0, lt=100)]
    d: Annotated[float, Field(gt=0, lt=100)]

    @model_validator(mode="after")
    def _falling(self) -> Self:
        if not self.a > self.b > self.c > self.d:
            raise ValueError("bands must fall from a to d")
        return self


class Prior(Strict):
    """What the fleet's driving looks like before a trip is seen (Gamma-Poisson).

    Attributes
    ----------
    severity_rate : dict
        Severity-weighted events per reference exposure, by kind.
    exposure : float
        Weight of the prior, in reference exposures: after as much driving, trip and fleet
        count the same.
    """

    severity_rate: dict[EventKind, NotNegative]
    exposure: Positive

    @model_validator(mode="after")
    def _complete(self) -> Self:
        missing = [kind.value for kind in EventKind if kind not in self.severity_rate]
        if missing:
            raise ValueError(f"severity_rate lacks {', '.join(missing)}")
        return self


class ScoreRule(Strict):
    """From points to a score of 0 to 100; the formula is in `docs/scoring.md`."""

    half_points: Positive
    reference_distance_km: Positive
    reference_time_h: Positive
    reference_engine_time_h: Positive
    interval: Annotated[float, Field(gt=0, lt=1)]
    min_trip_distance_km: NotNegative
    min_period_distance_km: NotNegative
    min_speed_coverage: Share
    min_judged: Share
    bands: Bands
    prior: Prior


class Policy(Strict):
    """A whole policy file."""

    format: Literal[1]
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]+$")]
    vehicle_class: str
    events: EventRules
    rules: tuple[ContextRule, ...]
    fusion: FusionRule
    comfort: ComfortRule
    score: ScoreRule

    @model_validator(mode="after")
    def _unique_rules(self) -> Self:
        ids = [rule.id for rule in self.rules]
        if len(set(ids)) != len(ids):
            raise ValueError("two rules have the same id")
        return self

    @cached_property
    def sha256(self) -> str:
        """Hash of the content: comments and the order of keys do not change it."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    def rules_for(self, kind: EventKind) -> tuple[ContextRule, ...]:
        """Return the rows of the table for a kind of event, in the order of the file."""
        return tuple(rule for rule in self.rules if rule.event is kind)


def load_policy(name: str | Path) -> Policy:
    """Load a policy by the name of a shipped one, or from a TOML file.

    Raises
    ------
    PolicyError
        If there is no such policy, or the file is malformed, holds an unknown key or a value
        out of range.
    """
    if str(name) in VEHICLE_CLASSES:
        text = (resources.files("offline") / "policies" / f"{name}.toml").read_text("utf-8")
        return parse_policy(text, source=f"{name}.toml")
    path = Path(name)
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise PolicyError(
            f"no policy {name}: give one of {', '.join(VEHICLE_CLASSES)} or a TOML file ({problem})"
        ) from problem
    return parse_policy(text, source=str(path))


def parse_policy(text: str, *, source: str) -> Policy:
    """Parse and validate the text of a policy file; `source` names it in errors.

    Raises
    ------
    PolicyError
        As for `load_policy`.
    """
    try:
        return Policy.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as problem:
        raise PolicyError(f"policy {source} is no valid TOML: {problem}") from problem
    except ValidationError as problem:
        first = problem.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "the file"
        more = f" (and {problem.error_count() - 1} more)" if problem.error_count() > 1 else ""
        raise PolicyError(f"policy {source}: {place}: {first['msg']}{more}") from problem


def policy_for_class(vehicle_class: str) -> Policy:
    """Return the shipped policy of a vehicle class.

    Raises
    ------
    PolicyError
        If no policy ships for the class.
    """
    if vehicle_class not in VEHICLE_CLASSES:
        raise PolicyError(
            f"no policy ships for vehicle class {vehicle_class!r}: give one with --policy"
        )
    return load_policy(vehicle_class)
