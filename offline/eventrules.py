"""The events' part of a scoring policy: each kind's limits, durations and points."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from offline.verdicts import EventKind

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NotNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, le=1)]
Exposed = Literal["distance", "time", "engine_time"]


class Strict(BaseModel):
    """A table of the policy file: no unknown key, no missing one, no later change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def _ordered(self, low: str, high: str) -> Self:
        if not getattr(self, low) < getattr(self, high):
            raise ValueError(f"{low} must be below {high}")
        return self


class EventRule(Strict):
    """What every event has.

    Attributes
    ----------
    points : float
        Penalty points of an event of severity 1.
    exposure : str
        What the events are counted against: distance driven, time driven or engine time.
    max_severity : float
        Where severity stops growing.
    """

    points: Positive
    exposure: Exposed
    min_duration_s: NotNegative
    merge_gap_s: NotNegative
    max_severity: Annotated[float, Field(ge=1, le=10)]


class HarshRule(EventRule):
    """Acceleration or, with its sign turned, braking beyond a limit."""

    enter_mps2: Positive
    leave_mps2: Positive
    min_speed_kmh: NotNegative
    max_accel_sd_mps2: Positive
    severity_step_mps2: Positive

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        return self._ordered("leave_mps2", "enter_mps2")


class OverRevvingRule(EventRule):
    """Engine speed beyond what the vehicle needs."""

    enter_rpm: Positive
    leave_rpm: Positive
    severity_step_rpm: Positive

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        return self._ordered("leave_rpm", "enter_rpm")


class SustainedPullRule(EventRule):
    """Long acceleration, or full load, without a pause."""

    enter_accel_mps2: Positive
    leave_accel_mps2: Positive
    enter_load_percent: Annotated[float, Field(gt=0, le=100)]
    leave_load_percent: Annotated[float, Field(gt=0, le=100)]
    min_speed_kmh: NotNegative

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        self._ordered("leave_load_percent", "enter_load_percent")
        return self._ordered("leave_accel_mps2", "enter_accel_mps2")


class IdlingRule(EventRule):
    """Engine running at a standstill."""


class SpeedingRule(EventRule):
    """Speed over the limit of the vehicle class or the fleet (not of the road)."""

    limit_kmh: Positive
    tolerance_kmh: NotNegative
    severity_step_kmh: Positive


class ColdEngineRevvingRule(EventRule):
    """High engine speed before the engine is warm."""

    max_coolant_c: Annotated[float, Field(gt=0, lt=100)]
    enter_rpm: Positive
    leave_rpm: Positive
    severity_step_rpm: Positive
    min_speed_kmh: NotNegative

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        return self._ordered("leave_rpm", "enter_rpm")


class OverheatingRule(EventRule):
    """Coolant hotter than the engine bears."""

    enter_c: Annotated[float, Field(gt=0, lt=215)]
    leave_c: Annotated[float, Field(gt=0, lt=215)]
    severity_step_c: Positive

    @model_validator(mode="after")
    def _hysteresis(self) -> Self:
        return self._ordered("leave_c", "enter_c")


class CoastingRule(EventRule):
    """Rolling with the engine at idle, out of gear."""

    min_speed_kmh: Positive
    max_rpm: Positive


class EventRules(Strict):
    """One table for each kind of event."""

    harsh_acceleration: HarshRule
    harsh_braking: HarshRule
    over_revving: OverRevvingRule
    sustained_pull: SustainedPullRule
    idling: IdlingRule
    speeding: SpeedingRule
    cold_engine_revving: ColdEngineRevvingRule
    overheating: OverheatingRule
    coasting: CoastingRule

    def of(self, kind: EventKind) -> EventRule:
        """Return the rule of a kind of event."""
        rule: EventRule = getattr(self, kind.value)
        return rule
