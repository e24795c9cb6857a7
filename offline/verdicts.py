"""What is decided about a trip: events, their verdicts, scores, and the whole result."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

import pandas as pd

from offline.scenelabels import SceneLabels

CAMERA, MEASURED_SLOPE = "camera", "measured slope"
NO_VIDEO, SWITCHED_OFF = "no video", "switched off"


def has_road_context(road_context: str) -> bool:
    """Whether `TripResult.road_context` names where the context is from, or why there is none."""
    return road_context in (CAMERA, MEASURED_SLOPE)


class EventKind(StrEnum):
    """Ways of driving that a policy may cost points for."""

    HARSH_ACCELERATION = "harsh_acceleration"
    HARSH_BRAKING = "harsh_braking"
    OVER_REVVING = "over_revving"
    SUSTAINED_PULL = "sustained_pull"
    IDLING = "idling"
    SPEEDING = "speeding"
    COLD_ENGINE_REVVING = "cold_engine_revving"
    OVERHEATING = "overheating"
    COASTING = "coasting"


class Outcome(StrEnum):
    """What becomes of an event; only `KEPT` costs points."""

    KEPT = "kept"
    EXONERATED = "exonerated"
    UNDETERMINED = "undetermined"


@dataclass(frozen=True, slots=True)
class Event:
    """A stretch of the timeline in which a rule's threshold was passed.

    Attributes
    ----------
    start_s, end_s : float
        Seconds since the trip's first sample.
    peak : float
        The worst value, in `unit` (signed: braking is negative).
    threshold : float
        The policy's limit it passed, in the same unit.
    severity : float
        1.0 at the threshold and growing with the excess; weights the points.
    """

    kind: EventKind
    start_s: float
    end_s: float
    peak: float
    threshold: float
    unit: str
    severity: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Verdict:
    """An event set in its road context.

    Attributes
    ----------
    rule : str
        Identifier of the policy's row that decided; empty where none applied.
    context : str
        Road scene that the rule asks for (`uphill`, `downhill`, `bend`), or empty.
    probability : float or None
        Posterior probability of that context over the event's window.
    frames_agree : float or None
        Share of the window's frames whose own label agrees, 0..1.
    frames : tuple of int
        Frames that show the context best, best first, at most three.
    sensors_agree : bool or None
        Whether the powertrain is consistent with the context; None where it cannot be told.
    points : float
        What the event costs (0 unless kept).
    points_spared : float
        What it would have cost without road context, less `points`.
    sentence : str
        The reason, for the driver.
    """

    event: Event
    outcome: Outcome
    rule: str
    context: str
    probability: float | None
    frames_agree: float | None
    frames: tuple[int, ...]
    sensors_agree: bool | None
    points: float
    points_spared: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Score:
    """A score of 0 to 100 with its interval, or the reason why there is none."""

    value: float | None
    band: str | None
    low: float | None
    high: float | None
    reason: str
    """Why there is no score; empty where there is one."""
    parts: dict[str, float | None] = field(default_factory=dict)
    """Sub-scores: smoothness, engine_care, economy, speed; None where not measured."""


@dataclass(frozen=True, slots=True)
class Exposure:
    """How much was driven and how much of it was seen."""

    distance_km: float
    duration_s: float
    moving_s: float
    engine_on_s: float
    speed_coverage: float
    """Share of the trip with a usable speed, 0..1."""
    scene_coverage: float
    """Share of the moving time with a determined road scene (without video: with a measured slope),
    0..1."""
    judged: float = 1.0
    """Share of the moving time outside events that were left undetermined, 0..1."""
    by_kind: dict[str, float] = field(default_factory=dict)
    """Exposure of each kind of event in the policy's reference exposures (about 100 km); 0
    where the signals it needs were not recorded."""
    coolant_start_c: float | None = None
    """First coolant temperature; a cold start where it is low."""
    cold_s: float = 0.0
    """Time the engine ran below the policy's temperature of a warm engine."""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Everything a result depends on; equal provenance gives an equal result."""

    trip_sha256: str
    model_name: str
    model_sha256: str
    policy_name: str
    policy_sha256: str
    software: str
    profile_sha256: str = ""
    """Of the vehicle's profile; empty where it had none."""


@dataclass(frozen=True)
class TripResult:
    """All that the scoring of one trip produced.

    Attributes
    ----------
    trip_id : str
        `<vehicle>/<folder name>`.
    started_utc_ns : int or None
        None where the trip has no clock.
    origin : dict of str to str
        Where the data came from (`video`, `obd`: measured, simulated, rendered or none; `note`),
        shown wherever the trip is.
    timeline : DataFrame
        One row a grid point; columns in `docs/timeline.md`.
    labels : SceneLabels or None
        What the network said of each frame, before fusion; kept so that a click shows it.
    """

    trip_id: str
    trip_path: str
    vehicle: str
    vehicle_class: str
    driver: str
    started_utc_ns: int | None
    origin: dict[str, str]
    road_context: str
    """`camera`, `measured slope` (altitude or inertia without video), or why there is none:
    `no video`, `switched off`."""
    exposure: Exposure
    verdicts: tuple[Verdict, ...]
    score: Score
    score_without_context: Score
    provenance: Provenance
    timeline: pd.DataFrame
    labels: SceneLabels | None = None
