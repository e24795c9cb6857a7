"""Driving a road: the exact motion and engine of a vehicle under a driver's hands."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_samples.simulator.driver import Mood
from data_samples.simulator.road import STEP_M, Road
from data_samples.simulator.vehicle import AIR_DENSITY_KG_M3, GRAVITY_MPS2, Vehicle

STEP_S = 0.1
PREVIEW_S = 0.5
PEDAL_LAG_S = 0.25
SHIFT_S = 0.4
"""The clutch is open for so long in a change of gear."""
GEAR_DWELL_S = 1.2
LABOURING = 0.25
"""Share of rated speed under which an engine labours."""
FULL = 0.92
"""Share of full load at which a driver takes a lower gear."""
PATIENCE = 0.25
"""Share of the wished acceleration that a driver is content with before changing down."""
EASY = 0.85
"""Share of full load in the next gear up to which a driver takes it."""
ENGINE_BRAKING_GRADE_PERCENT = -5.0
"""Steeper, drivers let the engine brake."""
FUEL_CUT_LOAD_PERCENT = 6.0
MAX_STEPS = 200_000
TRACTION_MPS2 = 5.0


@dataclass(frozen=True)
class Drive:
    """A drive, every `STEP_S`; arrays of shape (n,)."""

    t_s: NDArray[np.float64]
    distance_m: NDArray[np.float64]
    speed_mps: NDArray[np.float64]
    accel_mps2: NDArray[np.float64]
    rpm: NDArray[np.float64]
    gear: NDArray[np.int64]
    """From 1; 0 in neutral and while the clutch is open."""
    load_percent: NDArray[np.float64]
    throttle_percent: NDArray[np.float64]
    coolant_temp_c: NDArray[np.float64]
    grade_percent: NDArray[np.float64]
    curvature_per_m: NDArray[np.float64]


def plan_speed(road: Road, mood: Mood, lateral_mps2: float) -> NDArray[np.float64]:
    """Highest speed (m/s) at every step from which the driver can still slow as he likes."""
    limit = road.limit_kmh / 3.6 * mood.speed_factor
    bend = np.sqrt(lateral_mps2 / np.maximum(np.abs(road.curvature_per_m), 1e-5))
    square = np.minimum(limit, bend) ** 2
    for place, _ in road.stops:
        square[round(place / STEP_M)] = 0.0
    square[-1] = 0.0
    for i in range(square.size - 2, -1, -1):
        reachable = square[i + 1] + 2.0 * mood.brake_mps2[i + 1] * STEP_M
        if square[i] > reachable:
            square[i] = reachable
    return np.sqrt(square)


def drive(
    road: Road,
    vehicle: Vehicle,
    mood: Mood,
    *,
    lateral_mps2: float = 2.2,
    coolant_start_c: float = 80.0,
    ambient_c: float = 15.0,
    spares_cold_engine: bool = True,
    pedal_share: float = 0.8,
    start_speed_mps: float = 0.0,
) -> Drive:
    """Drive a road from end to end; nothing in it is random.

    Parameters
    ----------
    road : Road
        Profile over distance.
    vehicle : Vehicle
        What is driven.
    mood : Mood
        What the driver does where, from `mood_along`.
    lateral_mps2 : float
        Acceleration across that the driver accepts in bends.
    coolant_start_c, ambient_c : float
        Temperatures at the start.
    spares_cold_engine : bool
        Change up early under 60 °C.
    pedal_share : float
        Share of full load that the driver uses to gain speed; to keep it, all there is.
    start_speed_mps : float
        For a drive that begins on the move.

    Returns
    -------
    Drive
    """
    plan = plan_speed(road, mood, lateral_mps2).tolist()
    grade, accel_wish = road.grade_percent.tolist(), mood.accel_mps2.tolist()
    brake_wish, shift_up = mood.brake_mps2.tolist(), mood.shift_up_rpm.tolist()
    stops = [*((place, wait) for place, wait in road.stops), (road.length_m, 3.0)]
    idle = [*mood.idle_s.tolist(), 0.0]
    ratios, top = vehicle.gear_ratios, len(vehicle.gear_ratios) - 1
    rpm_per_mps = [vehicle.rpm_at(1.0, k) for k in range(top + 1)]
    n_steps, dt = len(plan), STEP_S
    m, mass = vehicle.mass_kg, vehicle.mass_kg * vehicle.rotating_mass_factor
    radius, rated = vehicle.wheel_radius_m, vehicle.rated_rpm
    air = 0.5 * AIR_DENSITY_KG_M3 * vehicle.drag_area_m2

    rows: list[tuple[float, ...]] = []
    s, v, a = 0.0, start_speed_mps, 0.0
    gear, dwell, clutch = _first_gear(vehicle, v), 0.0, 0.0
    coolant, rpm = coolant_start_c, vehicle.idle_rpm
    stop, wait = 0, 0.0
    while len(rows) < MAX_STEPS:
        i = min(int(s / STEP_M), n_steps - 1)
        slope = grade[i]
        at_stop = v < 0.3 and stops[stop][0] - s < 4.0
        if at_stop and wait <= 0.0:
            wait = stops[stop][1] + idle[stop] + dt
        if at_stop:
            wait -= dt
            if wait <= 0.0:
                s = max(s, stops[stop][0] + 0.5 * STEP_M)
                stop += 1
                if stop == len(stops):
                    break
        if at_stop and wait > 0.0:
            a = v = 0.0
            gear, rpm = 0, vehicle.idle_rpm * (1.0 + 0.25 * (coolant < 50.0))
            load, force = 22.0 + 8.0 * (coolant < 50.0), 0.0
        else:
            ahead = min(s + v * PREVIEW_S, stops[stop][0]) / STEP_M
            k = min(int(ahead), n_steps - 2)
            planned = plan[k] + (plan[k + 1] - plan[k]) * min(ahead - k, 1.0)
            if v < 2.0 and stops[stop][0] - s > 6.0:
                planned = max(planned, 2.5)
            wish = (planned - v) / PREVIEW_S
            # Nobody asks on a motorway for the acceleration of a start in town.
            most = max(accel_wish[i] - 0.025 * v, 0.3)
            wish = min(max(wish, -(brake_wish[min(i + 2, n_steps - 1)] + 0.6)), most)
            a_wish = a + (wish - a) * min(dt / PEDAL_LAG_S, 1.0)
            resist = m * GRAVITY_MPS2 * (vehicle.rolling_resistance + slope / 100.0) + air * v * v
            needed = mass * a_wish + resist
            dwell -= dt
            clutch -= dt
            up = shift_up[i]
            if spares_cold_engine and coolant < 60.0:
                up = min(up, 0.38 * rated)
            if dwell <= 0.0:
                chosen = _choose_gear(
                    vehicle, rpm_per_mps, v, gear, needed, resist, wish, slope, up
                )
                if chosen != gear:
                    gear, dwell, clutch = chosen, GEAR_DWELL_S, SHIFT_S
            rpm = max(rpm_per_mps[gear] * v, vehicle.idle_rpm)
            drag = vehicle.drag_torque_nm(rpm)
            full = vehicle.full_torque_nm(rpm)
            torque = needed * radius / ratios[gear]
            if clutch > 0.0:
                force, indicated = min(needed, 0.0), 0.3 * drag
            elif torque > -drag:
                enough = (resist + 0.1 * mass) * radius / ratios[gear]
                used = min(torque, full, max(pedal_share * full, enough))
                force, indicated = used * ratios[gear] / radius, used + drag
            else:
                force, indicated = needed, 0.0  # the brakes do the rest
            force = min(force, TRACTION_MPS2 * mass)
            load = 100.0 * indicated / (full + drag)
            if indicated <= 0.0:
                load = FUEL_CUT_LOAD_PERCENT
            a = (force - resist) / mass
        power_share = load / 100.0 * rpm / rated
        coolant += dt * (
            (0.25 + 4.0 * power_share) * 75.0 / vehicle.warm_up_s
            - (coolant - ambient_c) / (4.0 * vehicle.warm_up_s)
        )
        coolant = min(coolant, vehicle.thermostat_c + 4.0 * power_share)
        in_gear = gear + 1 if v > 0.3 and clutch <= 0.0 else 0
        rows.append((s, v, a, rpm, in_gear, load, coolant, slope))
        v = max(v + a * dt, 0.0)
        s += v * dt
    table = np.array(rows)
    step = np.minimum((table[:, 0] / STEP_M).astype(int), n_steps - 1)
    return Drive(
        t_s=np.arange(len(rows), dtype=np.float64) * dt,
        distance_m=table[:, 0],
        speed_mps=table[:, 1],
        accel_mps2=table[:, 2],
        rpm=table[:, 3],
        gear=table[:, 4].astype(np.int64),
        load_percent=table[:, 5],
        throttle_percent=14.0 + 76.0 * (table[:, 5] / 100.0) ** 1.4,
        coolant_temp_c=table[:, 6],
        grade_percent=table[:, 7],
        curvature_per_m=road.curvature_per_m[step],
    )


def _first_gear(vehicle: Vehicle, v: float) -> int:
    for gear in range(len(vehicle.gear_ratios) - 1, 0, -1):
        if vehicle.rpm_at(v, gear) > 0.35 * vehicle.rated_rpm:
            return gear
    return 0


def _choose_gear(
    vehicle: Vehicle,
    rpm_per_mps: list[float],
    v: float,
    gear: int,
    needed_n: float,
    resist_n: float,
    wish_mps2: float,
    grade_percent: float,
    shift_up_rpm: float,
) -> int:
    """Change up by ear where the next gear is strong enough, down where this one is not."""
    rated = vehicle.rated_rpm
    rpm = rpm_per_mps[gear] * v
    top = len(rpm_per_mps) - 1

    def possible_in(k: int, load: float) -> float:
        """Acceleration that a gear gives at a share of full load."""
        torque = load * vehicle.full_torque_nm(max(rpm_per_mps[k] * v, vehicle.idle_rpm))
        force = torque * vehicle.gear_ratios[k] / vehicle.wheel_radius_m
        return (force - resist_n) / (vehicle.mass_kg * vehicle.rotating_mass_factor)

    if gear > 0 and rpm < LABOURING * rated:
        return gear - 1
    dragged = wish_mps2 < 0.4 and needed_n < 0.0
    if grade_percent <= ENGINE_BRAKING_GRADE_PERCENT and dragged:
        lower = rpm_per_mps[gear - 1] * v if gear > 0 else math.inf
        drag = vehicle.drag_torque_nm(rpm) * vehicle.gear_ratios[gear] / vehicle.wheel_radius_m
        if -needed_n > 1.1 * drag and lower < 0.75 * rated and wish_mps2 > -1.0:
            return gear - 1
        return gear + 1 if gear < top and rpm > 0.78 * rated else gear
    # A careful driver is content to gain speed slowly; losing it he changes down.
    if gear > 0 and wish_mps2 > -0.2:
        content = min(PATIENCE * wish_mps2, wish_mps2 - 0.05)
        if possible_in(gear, FULL) < content and rpm_per_mps[gear - 1] * v < 0.85 * rated:
            return gear - 1
    higher = rpm_per_mps[gear + 1] * v if gear < top else 0.0
    if gear < top and higher > LABOURING * rated * 1.12:
        content = min(wish_mps2, max(1.5 * PATIENCE * wish_mps2, 0.1))
        if rpm > shift_up_rpm and possible_in(gear + 1, EASY) > content:
            return gear + 1
        if rpm > 0.98 * rated:
            return gear + 1
    return gear
