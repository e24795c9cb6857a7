"""Truth about a simulated trip: which events there were, and whether the road caused them.

An event is the road's if the same driver, in the same mood at the same places, would not have
had it on the same road made flat. A harsh acceleration is the driver's wherever it happens: no
slope presses the pedal. Where the flat drive misses the limit by a hair, the hill made the
difference between two drives that are much the same: such events are the road's by that rule, and
are marked.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from data_samples.simulator.drive import Drive, drive
from data_samples.simulator.driver import Driver, driver_of_harshness, mood_along
from data_samples.simulator.road import Road
from data_samples.simulator.vehicle import Vehicle
from offline.events import detect
from offline.policy import Policy
from offline.timeline import ENGINE_ON_RPM, RATE_HZ, nullable_boolean
from offline.verdicts import Event, EventKind

NEAR_LIMIT, NEAR_DURATION = 0.95, 0.75
"""A flat drive that passes this share of a limit for this share of its time only just misses it."""
SAME_PLACE_M = 100.0
"""Without its hills a road is driven in other gears: the same habit shows a little elsewhere."""


@dataclass(frozen=True)
class TrueEvent:
    """An event as it was, and whose it was."""

    event: Event
    road_caused: bool
    """It does not happen on the same road made flat."""
    nearly_on_flat: bool
    """The road's, but made flat the road has it all but for a hair."""
    spares_nobody: bool
    """It happens to a careful driver on the same road as well."""


@dataclass(frozen=True)
class TrueTrip:
    """A drive with its truth."""

    drive: Drive
    events: tuple[TrueEvent, ...]


def drive_with_truth(
    road: Road,
    vehicle: Vehicle,
    driver: Driver,
    policy: Policy,
    *,
    seed: int,
    coolant_start_c: float = 80.0,
) -> TrueTrip:
    """Drive a road, and drive it again made flat, to learn whose each event is."""

    def driven(on: Road, by: Driver) -> Drive:
        mood = mood_along(by, on, np.random.default_rng(seed), rated_rpm=vehicle.rated_rpm)
        return drive(
            on,
            vehicle,
            mood,
            lateral_mps2=by.lateral_mps2,
            coolant_start_c=coolant_start_c,
            spares_cold_engine=by.spares_cold_engine,
            pedal_share=by.pedal_share,
        )

    careful = driver_of_harshness(0.0, rated_rpm=vehicle.rated_rpm)
    real, flat, calm = driven(road, driver), driven(road.flat(), driver), driven(road, careful)
    events = detect(true_timeline(real), policy)
    flat_timeline = true_timeline(flat)
    on_flat = _places(detect(flat_timeline, policy), flat)
    nearly = _places(detect(flat_timeline, _tightened(policy)), flat)
    by_careful = _places(detect(true_timeline(calm), policy), calm)
    found = []
    for event in events:
        place = _place(event, real)
        road_caused = event.kind is not EventKind.HARSH_ACCELERATION and not _repeated(
            event.kind, place, on_flat
        )
        nearly_on_flat = road_caused and _repeated(event.kind, place, nearly)
        spares_nobody = _repeated(event.kind, place, by_careful)
        found.append(TrueEvent(event, road_caused, nearly_on_flat, spares_nobody))
    return TrueTrip(real, tuple(found))


def true_timeline(drive: Drive) -> pd.DataFrame:
    """Lay the exact drive on the grid that the event detectors read."""
    t_s = np.arange(int(drive.t_s[-1] * RATE_HZ) + 1) / RATE_HZ
    columns: dict[str, object] = {"t_s": t_s}
    for name, values in (
        ("rpm", drive.rpm),
        ("load_percent", drive.load_percent),
        ("coolant_temp_c", drive.coolant_temp_c),
        ("speed_smooth_kmh", drive.speed_mps * 3.6),
        ("accel_mps2", drive.accel_mps2),
        ("distance_m", drive.distance_m),
    ):
        columns[name] = np.interp(t_s, drive.t_s, values)
    nearest = np.minimum(np.searchsorted(drive.t_s, t_s), drive.t_s.size - 1)
    gear = drive.gear[nearest]
    columns["accel_sd_mps2"] = np.zeros(t_s.size)
    columns["gear"] = pd.arrays.IntegerArray(gear.astype(np.int64), gear == 0)
    nothing = np.zeros(t_s.size, dtype=bool)
    columns["engine_on"] = nullable_boolean(np.asarray(columns["rpm"]) > ENGINE_ON_RPM, nothing)
    return pd.DataFrame(columns)


def _tightened(policy: Policy) -> Policy:
    """Make every limit a little narrower, so that near misses become events."""
    rules = {}
    for kind in EventKind:
        rule = policy.events.of(kind)
        limits = {
            name: value * NEAR_LIMIT
            for name, value in rule.model_dump().items()
            if name.startswith(("enter_", "leave_"))
        }
        shorter = {"min_duration_s": rule.min_duration_s * NEAR_DURATION}
        rules[kind.value] = rule.model_copy(update=limits | shorter)
    return policy.model_copy(update={"events": policy.events.model_copy(update=rules)})


def _place(event: Event, drive: Drive) -> tuple[float, float]:
    first, last = np.interp([event.start_s, event.end_s], drive.t_s, drive.distance_m)
    return float(first), float(last)


def _places(events: list[Event], drive: Drive) -> list[tuple[EventKind, float, float]]:
    return [(event.kind, *_place(event, drive)) for event in events]


def _repeated(
    kind: EventKind, place: tuple[float, float], others: list[tuple[EventKind, float, float]]
) -> bool:
    first, last = place
    return any(
        other is kind and low - SAME_PLACE_M <= last and first <= high + SAME_PLACE_M
        for other, low, high in others
    )
