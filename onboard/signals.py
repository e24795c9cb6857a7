"""The signal vocabulary: what a sample may be, in which unit, and what it may be worth.

Units are native on disk (km/h, rpm, °C) and are converted once, in the timeline. A value
outside `low..high` was never sent by a vehicle: it is stored as missing, with its status.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

KMH_PER_MPS: Final = 3.6


class Status(StrEnum):
    """Why a sample has a value or has none."""

    OK = "ok"
    NO_DATA = "no_data"
    """The vehicle answered that it has nothing to say."""
    TIMEOUT = "timeout"
    """Nobody answered in time."""
    MALFORMED = "malformed"
    """The reply was truncated, garbled or meant for another question."""
    OUT_OF_RANGE = "out_of_range"
    """The reply was well formed and physically impossible."""


@dataclass(frozen=True, slots=True)
class Signal:
    """One measured quantity.

    Attributes
    ----------
    name : str
        Field term with its unit; the key in `samples` and the column in the timeline.
    unit : str
        As printed for people.
    low, high : float
        Range of possible values, both included.
    pid : int or None
        OBD-II mode 01 parameter (SAE J1979), None for signals from other sensors.
    period_s : float
        How often it is asked for, at most; 0 for as often as possible.
    title : str
        Name for people.
    """

    name: str
    unit: str
    low: float
    high: float
    pid: int | None
    period_s: float
    title: str


SIGNALS: Final[dict[str, Signal]] = {
    signal.name: signal
    for signal in (
        Signal("rpm", "rpm", 0, 16383.75, 0x0C, 0.0, "Engine speed"),
        Signal("speed_kmh", "km/h", 0, 255, 0x0D, 0.0, "Vehicle speed"),
        Signal("coolant_temp_c", "°C", -40, 215, 0x05, 5.0, "Coolant temperature"),
        Signal("load_percent", "%", 0, 100, 0x04, 0.5, "Engine load"),
        Signal("throttle_percent", "%", 0, 100, 0x11, 0.5, "Throttle"),
        Signal("maf_g_s", "g/s", 0, 655.35, 0x10, 0.5, "Air flow"),
        Signal("map_kpa", "kPa", 0, 255, 0x0B, 1.0, "Manifold pressure"),
        Signal("intake_temp_c", "°C", -40, 215, 0x0F, 10.0, "Intake temperature"),
        Signal("ambient_temp_c", "°C", -40, 215, 0x46, 30.0, "Ambient temperature"),
        Signal("fuel_level_percent", "%", 0, 100, 0x2F, 60.0, "Fuel level"),
        Signal("run_time_s", "s", 0, 65535, 0x1F, 10.0, "Run time"),
        Signal("gps_altitude_m", "m", -500, 9000, None, 0.0, "GPS altitude"),
        Signal("gps_latitude_deg", "°", -90, 90, None, 0.0, "GPS latitude"),
        Signal("gps_longitude_deg", "°", -180, 180, None, 0.0, "GPS longitude"),
        Signal("baro_pressure_kpa", "kPa", 20, 120, None, 0.0, "Barometric pressure"),
        Signal("yaw_rate_rad_s", "rad/s", -10, 10, None, 0.0, "Yaw rate"),
        Signal("accel_forward_m_s2", "m/s²", -50, 50, None, 0.0, "Forward acceleration (IMU)"),
    )
}
"""Every signal by its name."""

ALWAYS: Final = ("rpm", "speed_kmh", "coolant_temp_c")
"""Signals without which a trip cannot be scored in full."""


def checked(name: str, value: float | None) -> tuple[float | None, Status]:
    """Return the value if a vehicle can send it, else None and why.

    Raises
    ------
    KeyError
        If `name` is no signal.
    """
    signal = SIGNALS[name]
    if value is None or value != value:
        return None, Status.NO_DATA
    if not signal.low <= value <= signal.high:
        return None, Status.OUT_OF_RANGE
    return value, Status.OK
