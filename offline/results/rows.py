"""What the store gives back: plain values that know nothing of the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from offline.verdicts import Exposure, Provenance, Score, Verdict

ORDERS = ("started", "score", "distance", "driver", "vehicle", "spared")
"""What a list of trips can be sorted by; a leading `-` reverses it."""


@dataclass(frozen=True, slots=True)
class Period:
    """Days, UTC, both included; None leaves that end open."""

    first: date | None = None
    last: date | None = None

    @classmethod
    def month(cls, year: int, month: int) -> Period:
        """Return a calendar month."""
        after = date(year + month // 12, month % 12 + 1, 1)
        return cls(date(year, month, 1), after - timedelta(days=1))

    @classmethod
    def year(cls, year: int) -> Period:
        """Return a calendar year."""
        return cls(date(year, 1, 1), date(year, 12, 31))

    def utc_ns(self) -> tuple[int | None, int | None]:
        """Return the first instant and the first one after the end."""
        low = None if self.first is None else _midnight_ns(self.first)
        high = None if self.last is None else _midnight_ns(self.last + timedelta(days=1))
        return low, high

    def whole_months(self) -> bool:
        """Tell whether the period cuts no calendar month in two."""
        begins = self.first is None or self.first.day == 1
        return begins and (self.last is None or (self.last + timedelta(days=1)).day == 1)

    def one_month(self) -> bool:
        """Tell whether the period is a calendar month."""
        return self.first is not None and self == Period.month(self.first.year, self.first.month)


ALL_TIME = Period()


def _midnight_ns(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()) * 1_000_000_000


@dataclass(frozen=True, slots=True)
class TripFilter:
    """Which trips are wanted; None does not filter.

    Attributes
    ----------
    text : str or None
        Occurs in the trip's id, vehicle or driver, in either case of letters.
    with_event : str or None
        Has at least one event of that kind.
    scored : bool or None
        Has a score, or has none.
    """

    period: Period = ALL_TIME
    driver: str | None = None
    vehicle: str | None = None
    band: str | None = None
    text: str | None = None
    with_event: str | None = None
    scored: bool | None = None
    variant: str = "standard"


@dataclass(frozen=True, slots=True)
class TripRow:
    """One line of a list of trips. `score` and `band` are those with road context."""

    trip_id: str
    variant: str
    vehicle: str
    driver: str
    started_utc_ns: int | None
    distance_km: float
    score: float | None
    band: str | None
    score_without_context: float | None
    events_kept: int
    events_exonerated: int
    events_undetermined: int
    points: float
    points_spared: float
    road_context: str
    origin: dict[str, str]
    simulated: bool
    scored_utc_ns: int


@dataclass(frozen=True, slots=True)
class StoredTrip:
    """All that is stored of a trip but its events, its timeline and its pictures.

    The attributes that `offline.verdicts.TripResult` has too are named as there.

    Attributes
    ----------
    scored_utc_ns : int
        When this result was made.
    has_timeline, has_labels, has_stills : bool
        False where there never were any, or where a purge took them.
    """

    trip_id: str
    variant: str
    trip_path: str
    vehicle: str
    vehicle_class: str
    driver: str
    started_utc_ns: int | None
    origin: dict[str, str]
    simulated: bool
    road_context: str
    exposure: Exposure
    score: Score
    score_without_context: Score
    provenance: Provenance
    scored_utc_ns: int
    has_timeline: bool
    has_labels: bool
    has_stills: bool


@dataclass(frozen=True, slots=True)
class VehicleEvent:
    """An event in the list of one vehicle."""

    trip_id: str
    driver: str
    number: int
    started_utc_ns: int | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Standing:
    """What a driver or a vehicle did in a period (a month of a year, or all of the period).

    Attributes
    ----------
    name : str
        The driver or the vehicle.
    month : date or None
        First day of the month, where the period is divided into months.
    scored_trips : int
        Trips that have a score of their own.
    score, low, high : float or None
        Of the sums over all trips (`offline.score.score_from_totals`), under the policy of the
        latest one, with its interval; None where there is none.
    reason : str
        Why there is no score; empty where there is one.
    """

    name: str
    month: date | None
    trips: int
    scored_trips: int
    distance_km: float
    score: float | None
    band: str | None
    low: float | None
    high: float | None
    reason: str
    score_without_context: float | None
    duration_s: float
    moving_s: float
    engine_on_s: float
    events_kept: int
    events_exonerated: int
    events_undetermined: int
    points: float
    points_spared: float
    simulated_trips: int

    @property
    def events_per_100_km(self) -> float | None:
        """Kept events by exposure; None where nothing was driven."""
        return 100 * self.events_kept / self.distance_km if self.distance_km > 0 else None


@dataclass(frozen=True, slots=True)
class PastResult:
    """A result that another scoring of the same trip replaced.

    Attributes
    ----------
    changes : list of str
        What the newer scoring changed, one sentence each; empty if only the provenance.
    result : dict
        Scores, verdicts, exposure and provenance as they were.
    """

    trip_id: str
    variant: str
    scored_utc_ns: int
    replaced_utc_ns: int
    changes: list[str]
    result: dict[str, Any]


@dataclass(frozen=True, slots=True)
class KnownResult:
    """What a stored result was made from."""

    trip_id: str
    vehicle_class: str
    provenance: Provenance


@dataclass(frozen=True, slots=True)
class FailedTrip:
    """A trip that could not be scored, set aside with its reason.

    Attributes
    ----------
    kind : str
        `input` (the trip itself), `crash`, `time`, `memory` or `error`.
    fingerprint : str
        Of the trip, model, policy and software that failed: tried again when one changes.
    """

    trip_path: str
    variant: str
    kind: str
    reason: str
    attempts: int
    failed_utc_ns: int
    fingerprint: str
