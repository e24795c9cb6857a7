"""The traces that a trip is shown by: each raw column beside its ideal one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offline.verdicts import Event, EventKind


@dataclass(frozen=True, slots=True)
class Lane:
    """One plot over time: a raw column of the timeline with its ideal line or band."""

    title: str
    unit: str
    raw: str
    ideal: tuple[str, ...]
    """One column for a line, two for the lower and upper edge of a band."""
    digits: int
    """Decimals that the unit carries."""
    events: tuple[EventKind, ...]
    """Kinds of events that are marked on this trace."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.raw, *self.ideal)


SPEED: Final = Lane(
    "Speed",
    "km/h",
    "speed_kmh",
    ("ideal_speed_kmh",),
    0,
    (EventKind.SPEEDING, EventKind.IDLING, EventKind.COASTING),
)
ENGINE_SPEED: Final = Lane(
    "Engine speed",
    "rpm",
    "rpm",
    ("ideal_rpm_low", "ideal_rpm_high"),
    0,
    (EventKind.OVER_REVVING, EventKind.SUSTAINED_PULL, EventKind.COLD_ENGINE_REVVING),
)
ACCELERATION: Final = Lane(
    "Acceleration",
    "m/s²",
    "accel_mps2",
    ("ideal_accel_mps2",),
    2,
    (EventKind.HARSH_ACCELERATION, EventKind.HARSH_BRAKING),
)
COOLANT: Final = Lane(
    "Coolant",
    "°C",
    "coolant_temp_c",
    ("ideal_coolant_low_c", "ideal_coolant_high_c"),
    0,
    (EventKind.OVERHEATING,),
)
LANES: Final = (SPEED, ENGINE_SPEED, ACCELERATION, COOLANT)


def times(timeline: pd.DataFrame) -> NDArray[np.float64]:
    """Seconds since the start; nothing for a timeline that was purged."""
    return values(timeline, "t_s")


def values(timeline: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """A column as numbers, NaN where missing; all NaN where the trip has no such column."""
    if column not in timeline.columns:
        return np.full(len(timeline), np.nan)
    return timeline[column].to_numpy(np.float64, na_value=np.nan)


def scenes(timeline: pd.DataFrame) -> NDArray[np.object_]:
    """The road scene of every row, empty where there is none."""
    if "scene" not in timeline.columns:
        return np.full(len(timeline), "", dtype=object)
    return timeline["scene"].fillna("").to_numpy(object)


def peak_row(timeline: pd.DataFrame, event: Event) -> int:
    """Row of the timeline at which an event was at its worst; its middle where that is not known.

    Raises
    ------
    ValueError
        If the timeline has no row.
    """
    t_s = times(timeline)
    if t_s.size == 0:
        raise ValueError("an empty timeline has no moment to show")
    first, last = np.searchsorted(t_s, [event.start_s, event.end_s])
    first = min(int(first), t_s.size - 1)
    last = max(min(int(last), t_s.size - 1), first)
    lane = next((lane for lane in LANES if event.kind in lane.events), None)
    if lane is not None:
        # Signed: the worst of a braking is its lowest acceleration.
        depth = values(timeline, lane.raw)[first : last + 1] * (-1 if event.peak < 0 else 1)
        if np.isfinite(depth).any():
            return first + int(np.nanargmax(depth))
    return (first + last) // 2
