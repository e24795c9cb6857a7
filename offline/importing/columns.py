"""Which signal a column of a foreign log holds, and in which unit.

Names as Torque Pro, OBD Fusion, Car Scanner and the carOBD data set write them, and this
project's own. The unit is the last bracket of the header, or the suffix of the name.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from onboard.signals import SIGNALS

Conversion = Callable[[float], float]


@dataclass(frozen=True)
class Column:
    """What one column holds.

    Attributes
    ----------
    signal : str
        Of `onboard.signals`.
    unit : str
        As the log names it; empty where it does not.
    convert : callable
        From the log's unit to the signal's.
    """

    signal: str
    unit: str
    convert: Conversion


NAMES: Final[dict[str, tuple[str, ...]]] = {
    "rpm": ("engine rpm", "rpm", "engine speed", "engine revolutions", "engine speed rpm"),
    "speed_kmh": ("speed obd", "vehicle speed", "speed", "vehicle speed sensor", "obd speed"),
    "coolant_temp_c": (
        "engine coolant temperature",
        "coolant temperature",
        "engine coolant temp",
        "coolant temp",
        "coolant",
        "ect",
    ),
    "load_percent": (
        "engine load",
        "calculated engine load value",
        "calculated engine load",
        "calculated load value",
        "engine load calculated",
        "load",
    ),
    "throttle_percent": (
        "throttle position manifold",
        "absolute throttle position",
        "throttle position",
        "throttle",
    ),
    "maf_g_s": ("mass air flow rate", "maf air flow rate", "maf rate", "air flow rate", "maf"),
    "map_kpa": (
        "intake manifold absolute pressure",
        "intake manifold pressure",
        "manifold absolute pressure",
        "map",
    ),
    "intake_temp_c": ("intake air temperature", "intake air temp", "intake temp", "iat"),
    "ambient_temp_c": ("ambient air temperature", "ambient air temp", "ambient temp"),
    "fuel_level_percent": (
        "fuel level from engine ecu",
        "fuel level input",
        "fuel tank level input",
        "fuel tank level",
        "fuel level",
        "fuel tank",
    ),
    "run_time_s": (
        "run time since engine start",
        "time since engine start",
        "engine run time",
        "engine run tine",
        "run time",
    ),
    "gps_altitude_m": ("altitude", "altitude gps", "gps altitude"),
    "gps_latitude_deg": ("latitude", "gps latitude", "lat"),
    # Car Scanner writes LONGTITUDE.
    "gps_longitude_deg": ("longitude", "longtitude", "gps longitude", "lon", "lng"),
    "baro_pressure_kpa": ("barometer on android device", "baro pressure"),
}
"""Names of every signal, the one to be preferred first."""


def _same(value: float) -> float:
    return value


UNITS: Final[dict[str, dict[str, Conversion]]] = {
    "km/h": {
        "km/h|kmh|kph|kmph": _same,
        "mph|mi/h|miles/h|miles/hour": lambda value: value * 1.609344,
        "m/s|meters/second|mps": lambda value: value * 3.6,
    },
    "°C": {
        "c|°c|degc|ºc|℃|celsius": _same,
        "f|°f|degf|ºf|℉|fahrenheit": lambda value: (value - 32) / 1.8,
        "k|kelvin": lambda value: value - 273.15,
    },
    "kPa": {
        "kpa": _same,
        "hpa|mb|mbar": lambda value: value / 10,
        "psi": lambda value: value * 6.894757,
        "bar": lambda value: value * 100,
        "inhg": lambda value: value * 3.386389,
    },
    "m": {"m|meters|metres": _same, "ft|feet": lambda value: value * 0.3048},
    "g/s": {"g/s|g_s|gps": _same, "kg/h": lambda value: value / 3.6},
    "s": {"s|sec|seconds": _same, "min": lambda value: value * 60},
    "rpm": {"rpm|1/min|min-1|tr/min": _same},
    "%": {"%|percent|pct": _same},
    "°": {"°|deg": _same},
}
"""Units of every native unit, and how to convert them."""


def split_header(header: str) -> tuple[str, str]:
    """A header's plain name and its unit.

    Parameters
    ----------
    header : str
        For instance `Speed (OBD)(km/h)`, `[ECU] Engine RPM (rpm)`, `coolant_temp_c`.

    Returns
    -------
    tuple of str
        Lower case words, such as `speed obd`; unit, empty where the header has none.
    """
    text = re.sub(r"^\s*\[[^\]]*\]\s*", "", header.strip())
    text = re.sub(r"^ECU\([^)]*\):\s*", "", text)
    unit = ""
    bracket = re.search(r"[(\[]([^()\[\]]*)[)\]]\s*$", text)
    if bracket and (not bracket.group(1).strip() or _family(bracket.group(1)) is not None):
        unit = bracket.group(1).strip()
        text = text[: bracket.start()]
    name = " ".join(re.sub(r"[^a-z0-9/%]+", " ", text.lower()).split())
    if not unit and " " in name:
        head, _, tail = name.rpartition(" ")
        if _family(tail) is not None and (head in _SIGNAL_OF or tail in ("kmh", "mph", "pct")):
            name, unit = head, tail
    return name, unit


def recognize(
    header: str, *, unit: str | None = None, overrides: dict[str, str] | None = None
) -> Column | None:
    """Say what a column holds.

    Parameters
    ----------
    header : str
    unit : str, optional
        The unit where the log gives it elsewhere.
    overrides : dict of str to str, optional
        Units that the user gave, by native unit (`{"km/h": "mph"}`); they win.

    Returns
    -------
    Column or None
        None for a column of no use here.
    """
    name, found = split_header(header)
    own = header.strip().lower()
    signal = own if own in SIGNALS else _SIGNAL_OF.get(name)
    if signal is None:
        return None
    native = SIGNALS[signal].unit
    found = "" if own in SIGNALS else found
    found = (overrides or {}).get(native) or (unit if unit is not None else found)
    conversion = _conversion(native, found)
    return None if conversion is None else Column(signal, found, conversion)


def preference(header: str) -> int:
    """Rank among columns of the same signal, lower is better."""
    if header.strip().lower() in SIGNALS:
        return -1
    name, _ = split_header(header)
    return NAMES[_SIGNAL_OF[name]].index(name)


def _conversion(native: str, unit: str) -> Conversion | None:
    if not unit:
        return _same
    for names, conversion in UNITS[native].items():
        if _plain(unit) in names.split("|"):
            return conversion
    return None


def _family(unit: str) -> str | None:
    for native, units in UNITS.items():
        if any(_plain(unit) in names.split("|") for names in units):
            return native
    return None


def _plain(unit: str) -> str:
    # A degree sign read in the wrong encoding leaves its letters before the unit.
    return re.sub(r"[^a-z0-9%/°º℃℉_-]|â|ã|‚", "", unit.strip().lower())


_SIGNAL_OF: Final = {name: signal for signal, names in NAMES.items() for name in names}
