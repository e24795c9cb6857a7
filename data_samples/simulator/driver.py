"""Drivers from careful to harsh: habits, and the places where they forget themselves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_samples.simulator.road import STEP_M, Road

STRETCH_M = 250.0
"""A driver's mood holds for a stretch of road this long."""


@dataclass(frozen=True)
class Driver:
    """A driver's habits.

    Attributes
    ----------
    accel_mps2, brake_mps2, lateral_mps2 : float
        Usual acceleration, braking, and acceleration across in bends.
    shift_up_rpm : float
        Engine speed at which the next gear is taken.
    speed_factor : float
        Speed driven over the limit.
    harsh_accel_share, harsh_brake_share, rev_share, idle_share, speeding_share : float
        Shares of stretches (of stops, for idling) with harsh acceleration, with harsh
        braking, with the gears drawn out, of long idling, of speeding on fast roads.
    spares_cold_engine : bool
        Whether gears are changed early while the engine is cold.
    pedal_share : float
        Share of full load used to gain speed.
    """

    accel_mps2: float = 1.15
    brake_mps2: float = 1.4
    lateral_mps2: float = 2.2
    shift_up_rpm: float = 2300.0
    speed_factor: float = 0.97
    harsh_accel_share: float = 0.0
    harsh_brake_share: float = 0.0
    rev_share: float = 0.0
    idle_share: float = 0.0
    speeding_share: float = 0.0
    spares_cold_engine: bool = True
    pedal_share: float = 0.8


def driver_of_harshness(harshness: float, *, rated_rpm: float = 5600.0) -> Driver:
    """Return the driver of a harshness between 0 (careful) and 1 (harsh).

    Parameters
    ----------
    harshness : float
        The truth that a fair score must follow.
    rated_rpm : float
        Of the vehicle: gears are changed by ear, so by the share of it.
    """
    h = float(harshness)
    return Driver(
        accel_mps2=1.05 + 0.35 * h,
        brake_mps2=1.3 + 0.4 * h,
        lateral_mps2=2.0 + 1.0 * h,
        shift_up_rpm=rated_rpm * (0.4 + 0.06 * h),
        speed_factor=0.95 + 0.06 * h,
        harsh_accel_share=0.005 + 0.10 * h,
        harsh_brake_share=0.005 + 0.10 * h,
        rev_share=0.003 + 0.06 * h,
        idle_share=0.01 + 0.10 * h,
        speeding_share=0.02 * h,
        spares_cold_engine=h < 0.7,
        pedal_share=0.72 + 0.28 * h,
    )


@dataclass(frozen=True)
class Mood:
    """What a driver does at each place of a road, whatever its hills; arrays of shape (n,)."""

    accel_mps2: NDArray[np.float64]
    brake_mps2: NDArray[np.float64]
    shift_up_rpm: NDArray[np.float64]
    speed_factor: NDArray[np.float64]
    idle_s: NDArray[np.float64]
    """Further waiting at each stop, shape (stops,)."""


def mood_along(
    driver: Driver, road: Road, rng: np.random.Generator, *, rated_rpm: float = 5600.0
) -> Mood:
    """Draw what the driver does where; equal generators give equal moods on any grade."""
    n = road.grade_percent.size
    per = int(STRETCH_M / STEP_M)
    stretches = -(-n // per)

    def spread(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.repeat(values, per)[:n]

    def drawn(
        share: float, usual: NDArray[np.float64], low: float, high: float
    ) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
        chosen = rng.random(stretches) < share
        return chosen, np.where(chosen, rng.uniform(low, high, stretches), usual)

    accel = rng.normal(driver.accel_mps2, 0.15, stretches).clip(0.7, 1.9)
    brake = rng.normal(driver.brake_mps2, 0.2, stretches).clip(0.9, 2.2)
    shift = rng.normal(driver.shift_up_rpm, 0.02 * rated_rpm, stretches)
    factor = rng.normal(driver.speed_factor, 0.02, stretches)
    stops = len(road.stops)
    idles = rng.random(stops) < driver.idle_share
    hurried, accel = drawn(driver.harsh_accel_share, accel, 3.2, 4.4)
    _, brake = drawn(driver.harsh_brake_share, brake, 3.3, 5.0)
    _, shift = drawn(driver.rev_share, shift, 0.74 * rated_rpm, 0.9 * rated_rpm)
    _, factor = drawn(driver.speeding_share, factor, 1.22, 1.35)
    # Who floors the pedal draws the gears out as well.
    shift = np.where(hurried, np.maximum(shift, 0.75 * rated_rpm), shift)
    return Mood(
        accel_mps2=spread(accel),
        brake_mps2=spread(brake),
        shift_up_rpm=spread(shift),
        speed_factor=spread(factor),
        idle_s=np.where(idles, rng.uniform(60.0, 240.0, stops), 0.0),
    )
