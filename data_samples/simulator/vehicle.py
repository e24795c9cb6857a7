"""Longitudinal model of a vehicle: engine map, gears, mass, air and rolling resistance.

Textbook vehicle dynamics (Gillespie, Fundamentals of Vehicle Dynamics, 1992, chapters 2 and
4); the numbers are those of ordinary vehicles, and vary from one simulated vehicle to the next.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

GRAVITY_MPS2 = 9.80665
AIR_DENSITY_KG_M3 = 1.2


@dataclass(frozen=True)
class Vehicle:
    """A vehicle.

    Attributes
    ----------
    rotating_mass_factor : float
        Mass that must be accelerated over mass that weighs: wheels and engine turn faster too.
    torque_nm : float
        Largest torque of the engine at full load.
    torque_curve : tuple of (float, float)
        Share of it over the share of `rated_rpm`.
    drag_torque_share : float
        Torque that a dragged engine takes, as a share of `torque_nm`, at rated speed.
    gear_ratios : tuple of float
        Overall ratio engine to wheel, lowest gear first.
    """

    vehicle_class: str
    mass_kg: float
    rotating_mass_factor: float
    torque_nm: float
    torque_curve: tuple[tuple[float, float], ...]
    rated_rpm: float
    idle_rpm: float
    drag_torque_share: float
    gear_ratios: tuple[float, ...]
    wheel_radius_m: float
    drag_area_m2: float
    rolling_resistance: float
    warm_up_s: float = 420.0
    """Time constant of the coolant at moderate load."""
    thermostat_c: float = 90.0

    def full_torque_nm(self, rpm: float) -> float:
        """Torque at full load at an engine speed."""
        share = rpm / self.rated_rpm
        last_x, last_y = self.torque_curve[0]
        if share <= last_x:
            return self.torque_nm * last_y
        for x, y in self.torque_curve[1:]:
            if share <= x:
                return self.torque_nm * (last_y + (y - last_y) * (share - last_x) / (x - last_x))
            last_x, last_y = x, y
        return self.torque_nm * last_y

    def drag_torque_nm(self, rpm: float) -> float:
        """Torque that the engine takes with the throttle closed."""
        return self.torque_nm * self.drag_torque_share * (0.4 + 0.6 * rpm / self.rated_rpm)

    def rpm_at(self, speed_mps: float, gear: int) -> float:
        """Engine speed with the clutch closed; gears count from 0."""
        return float(
            speed_mps / self.wheel_radius_m * self.gear_ratios[gear] * 60.0 / (2.0 * np.pi)
        )


PETROL = ((0.13, 0.55), (0.3, 0.82), (0.6, 1.0), (0.8, 0.98), (1.0, 0.87), (1.1, 0.7))
DIESEL = ((0.18, 0.45), (0.38, 1.0), (0.68, 1.0), (1.0, 0.75), (1.1, 0.4))

CAR = Vehicle(
    vehicle_class="car",
    mass_kg=1350.0,
    rotating_mass_factor=1.06,
    torque_nm=150.0,
    torque_curve=PETROL,
    rated_rpm=5600.0,
    idle_rpm=800.0,
    drag_torque_share=0.16,
    gear_ratios=(14.6, 7.9, 5.3, 3.95, 3.15),
    wheel_radius_m=0.3,
    drag_area_m2=0.68,
    rolling_resistance=0.011,
)
VAN = Vehicle(
    vehicle_class="van",
    mass_kg=2700.0,
    rotating_mass_factor=1.06,
    torque_nm=300.0,
    torque_curve=DIESEL,
    rated_rpm=3900.0,
    idle_rpm=780.0,
    drag_torque_share=0.14,
    gear_ratios=(16.0, 8.6, 5.4, 3.9, 3.0, 2.5),
    wheel_radius_m=0.34,
    drag_area_m2=1.6,
    rolling_resistance=0.011,
    warm_up_s=600.0,
)


def vary(vehicle: Vehicle, rng: np.random.Generator) -> Vehicle:
    """Draw one of the vehicles that are sold, laden by chance, like the given one."""
    return replace(
        vehicle,
        mass_kg=vehicle.mass_kg * rng.uniform(0.9, 1.2),
        torque_nm=vehicle.torque_nm * rng.uniform(0.85, 1.25),
        gear_ratios=tuple(ratio * rng.uniform(0.97, 1.03) for ratio in vehicle.gear_ratios),
        drag_area_m2=vehicle.drag_area_m2 * rng.uniform(0.85, 1.15),
        rolling_resistance=vehicle.rolling_resistance * rng.uniform(0.85, 1.25),
        drag_torque_share=vehicle.drag_torque_share * rng.uniform(0.8, 1.2),
    )
