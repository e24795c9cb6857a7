"""The drives of the sample trips: a vehicle model on the road that the video shows."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from data_samples.simulator.drive import Drive, drive
from data_samples.simulator.driver import Mood
from data_samples.simulator.road import STEP_M, Road
from data_samples.simulator.vehicle import CAR, Vehicle

STEERING_RATIO: Final = 14.8
WHEELBASE_M: Final = 2.85
"""Of the vehicle that recorded SR-92: a Lincoln MKZ."""
LOOK_AHEAD_M: Final = 10.0
"""A hill judged by eye in a picture lies about this far ahead of the camera."""
ROUNDS: Final = 8
RUN_OUT_M: Final = 400.0
PACE_SD: Final = 0.04
PACE_LENGTH_M: Final = 60.0
"""Nobody holds a speed: the pace wanders by a few per cent over some hundred metres."""

CITY_CAR: Final = replace(CAR, torque_nm=70.0, mass_kg=1380.0, drag_area_m2=0.64)
"""A one-litre car with four people in it: a hill takes it to its limits."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Stretch:
    """What is special between two moments of a video.

    Attributes
    ----------
    start_s, end_s : float
        Seconds of the video.
    limit_kmh, brake_mps2, shift_up_rpm, accel_mps2 : float or None
        None leaves the usual.
    """

    start_s: float
    end_s: float
    limit_kmh: float | None = None
    brake_mps2: float | None = None
    shift_up_rpm: float | None = None
    accel_mps2: float | None = None


@dataclass(frozen=True)
class Plan:
    """How one video was driven.

    Attributes
    ----------
    lead_m : float
        Level road driven before the video begins: the log starts with the engine.
    wait_s : float
        Standing with the engine on at the start of the lead; 0 to begin on the move.
    grade_percent : float
        Of what the video's labels call uphill.
    """

    vehicle: Vehicle
    lead_m: float
    wait_s: float
    coolant_start_c: float
    limit_kmh: float
    grade_percent: float
    stretches: tuple[Stretch, ...]
    lateral_mps2: float = 2.2
    spares_cold_engine: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Driven:
    """A drive, its road, and when its video begins and ends in it."""

    drive: Drive
    road: Road
    video_start_s: float
    end_s: float


def drive_video(labels_csv: Path, plan: Plan) -> Driven:
    """Drive the road that a video of the SR-92 shows.

    Curvature follows from the steering wheel (kinematic bicycle), grade from the labels. Both are
    known over time and a road is a profile over distance, so speed and road are found together:
    each round lays the road out at the last round's speed and drives it again.

    Parameters
    ----------
    labels_csv : Path
        Columns `t_s, steering_wheel_rad, label`.
    plan : Plan
    """
    table = pd.read_csv(labels_csv)
    t_s = table["t_s"].to_numpy(float)
    wheel_rad = table["steering_wheel_rad"].to_numpy(float)
    curvature = np.tan(gaussian_filter1d(wheel_rad, 5) / STEERING_RATIO) / WHEELBASE_M
    uphill = (table["label"] == "uphill").to_numpy(bool)
    speed = np.full(t_s.size, plan.limit_kmh / 3.6)
    s_m = plan.lead_m + _distance(t_s, speed)
    found = None
    for _ in range(ROUNDS):
        road = _road(plan, t_s, s_m, curvature, uphill)
        found = drive(
            road,
            plan.vehicle,
            _mood(plan, road, t_s, s_m),
            lateral_mps2=plan.lateral_mps2,
            coolant_start_c=plan.coolant_start_c,
            spares_cold_engine=plan.spares_cold_engine,
            start_speed_mps=0.0 if plan.wait_s else plan.limit_kmh / 3.6,
        )
        start_s = float(np.interp(plan.lead_m, found.distance_m, found.t_s))
        s_m = np.interp(start_s + t_s, found.t_s, found.distance_m)
    assert found is not None
    end_s = start_s + float(t_s[-1])
    return Driven(_until(found, end_s), road, start_s, end_s)


def drive_path(curvature_per_m: Array, grade_percent: Array, plan: Plan) -> Driven:
    """Drive a synthetic road, every `STEP_M`, from its start to its end.

    The plan's stretches count metres of the road here, not seconds of a video.
    """
    s_m = np.arange(curvature_per_m.size, dtype=np.float64) * STEP_M
    limit, mood = _profiles(plan, s_m, s_m)
    road = Road(grade_percent, curvature_per_m, limit, ((0.0, plan.wait_s),))
    found = drive(
        road,
        plan.vehicle,
        mood,
        lateral_mps2=plan.lateral_mps2,
        coolant_start_c=plan.coolant_start_c,
        spares_cold_engine=plan.spares_cold_engine,
    )
    return Driven(found, road, 0.0, float(found.t_s[-1]))


def _until(whole: Drive, end_s: float) -> Drive:
    """The drive without what comes after the video."""
    kept = whole.t_s <= end_s
    return replace(whole, **{f.name: getattr(whole, f.name)[kept] for f in fields(whole)})


def _distance(t_s: Array, speed_mps: Array) -> Array:
    middle = 0.5 * (speed_mps[1:] + speed_mps[:-1])
    return np.concatenate([[0.0], np.cumsum(middle * np.diff(t_s))])


def _road(plan: Plan, t_s: Array, s_m: Array, curvature: Array, uphill: NDArray[np.bool_]) -> Road:
    places = np.arange(0.0, s_m[-1] + RUN_OUT_M, STEP_M)
    inside = (places >= plan.lead_m) & (places <= s_m[-1])
    bend = np.where(inside, np.interp(places, s_m, curvature), 0.0)
    climb = np.interp(places - LOOK_AHEAD_M, s_m, uphill.astype(float), left=0.0, right=0.0)
    grade = gaussian_filter1d(plan.grade_percent * (climb > 0.5), 1.5)
    limit, _ = _profiles(plan, places, np.interp(places, s_m, t_s, left=-1.0))
    stops = ((0.0, plan.wait_s),) if plan.wait_s else ()
    return Road(grade, bend, limit, stops)


def _mood(plan: Plan, road: Road, t_s: Array, s_m: Array) -> Mood:
    places = np.arange(road.grade_percent.size, dtype=np.float64) * STEP_M
    _, mood = _profiles(plan, places, np.interp(places, s_m, t_s, left=-1.0))
    return mood


def _profiles(plan: Plan, places: Array, moments: Array) -> tuple[Array, Mood]:
    """Speed limit and mood at every place, whose moment in the video is given."""
    n = places.size
    noise = np.random.default_rng(plan.seed).normal(0.0, 1.0, 4000)
    noise = gaussian_filter1d(noise, PACE_LENGTH_M / STEP_M)
    pace = 1.0 + PACE_SD * (noise / noise.std())[:n]
    limit, brake = np.full(n, plan.limit_kmh), np.full(n, 1.4)
    shift, accel = np.full(n, 0.41 * plan.vehicle.rated_rpm), np.full(n, 1.15)
    for stretch in plan.stretches:
        here = (moments >= stretch.start_s) & (moments < stretch.end_s)
        for values, special in (
            (limit, stretch.limit_kmh),
            (brake, stretch.brake_mps2),
            (shift, stretch.shift_up_rpm),
            (accel, stretch.accel_mps2),
        ):
            if special is not None:
                values[here] = special
    stops = 1 if plan.wait_s else 0
    return limit * pace, Mood(accel, brake, shift, np.ones(n), np.zeros(stops))
