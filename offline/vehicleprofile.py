"""What a vehicle's trips teach about it: its gears and what its engine gives on the level.

One trip is often too short, or too hilly, to learn a vehicle from. A profile is learned from many
and is then known on each: `gradewise-offline profile` writes it, `score` reads it.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from offline.errors import InputError, StoreError
from offline.fusion.powertrain import LearningPoints, Powertrain, learn_powertrain, learning_points
from offline.gears import learn_ratios
from offline.roadscene import SLOPES
from offline.timeline import column

FORMAT = "gradewise-vehicle-profile-2"
MIN_TRIPS = 2
"""One trip is learned from anyway while it is scored."""
POINTS_A_TRIP = 3000
"""Ten minutes of steady pulling at 5 Hz; longer trips are thinned to it."""


@dataclass(frozen=True)
class VehicleProfile:
    """A vehicle as its trips show it.

    Attributes
    ----------
    trips : int
        How many trips taught it.
    ratios : ndarray, shape (g,)
        Engine speed over vehicle speed (rpm per km/h) of each gear, lowest gear first.
    powertrain : Powertrain or None
        None where no trip had engine load, throttle or air flow.
    """

    vehicle: str
    trips: int
    ratios: NDArray[np.float64]
    powertrain: Powertrain | None

    def to_json(self) -> str:
        """Text that `from_json` reads back; equal profiles give equal text."""
        engine = self.powertrain
        return json.dumps(
            {
                "format": FORMAT,
                "vehicle": self.vehicle,
                "trips": self.trips,
                "ratios_rpm_per_kmh": [round(float(r), 6) for r in self.ratios],
                "powertrain": None
                if engine is None
                else {
                    "signal": engine.signal,
                    "coefficients": engine.coefficients.tolist(),
                    "covariance": engine.covariance.tolist(),
                    "noise_mps2": engine.noise_mps2,
                },
            },
            indent=1,
        )

    @property
    def sha256(self) -> str:
        """Hash of the profile's text: results name it."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()


def from_json(text: str, where: str) -> VehicleProfile:
    """Read a profile from its text.

    Raises
    ------
    InputError
        If it is none; `where` says in the message what was read.
    """
    try:
        read = json.loads(text)
        if read["format"] != FORMAT:
            raise ValueError(f"format {read['format']!r}")
        engine = read["powertrain"]
        ratios = _finite(read["ratios_rpm_per_kmh"], -1)
        if (ratios <= 0).any():
            raise ValueError("a ratio is not positive")
        return VehicleProfile(
            vehicle=str(read["vehicle"]),
            trips=int(read["trips"]),
            ratios=ratios,
            powertrain=None
            if engine is None
            else Powertrain(
                _finite(engine["coefficients"], 6),
                _finite(engine["covariance"], 6, 6),
                float(_finite(engine["noise_mps2"], 1)[0]),
                str(engine["signal"]),
            ),
        )
    except (ValueError, KeyError, TypeError, OverflowError) as error:
        raise InputError(
            f"{where}: no vehicle profile ({error}); make it anew with `gradewise-offline profile`"
        ) from error


def _finite(values: object, *shape: int) -> NDArray[np.float64]:
    found = np.array(values, dtype=np.float64).reshape(shape)
    if not np.isfinite(found).all():
        raise ValueError("a value is not finite")
    return found


def read_profile(file: Path) -> VehicleProfile:
    """Read a profile from its file.

    Raises
    ------
    InputError
        If the file cannot be read or holds none.
    """
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file}: cannot be read ({error})") from error
    return from_json(text, str(file))


def learn_profile(vehicle: str, timelines: Iterable[pd.DataFrame]) -> VehicleProfile | None:
    """Learn a vehicle from the timelines of its trips; None where they teach nothing.

    Parameters
    ----------
    vehicle : str
        Its name.
    timelines : iterable of DataFrame
        From `build_timeline`, or better from an earlier scoring: then the camera tells which of
        it was level. One is held in memory at a time.
    """
    motion: list[NDArray[np.float64]] = []
    by_signal: dict[str, list[LearningPoints]] = {}
    trips = 0
    for timeline in timelines:
        trips += 1
        motion.append(
            np.stack([column(timeline, n) for n in ("rpm", "speed_smooth_kmh", "accel_mps2")])
        )
        seen = None
        if "p_level" in timeline:
            seen = np.stack([column(timeline, f"p_{slope}") for slope in SLOPES], axis=1)
        points = learning_points(timeline, seen)
        if points is not None and points.accel_mps2.size:
            by_signal.setdefault(points.signal, []).append(_thinned(points))
    if trips < MIN_TRIPS:
        return None
    ratios = learn_ratios(*np.concatenate(motion, axis=1))
    # The signal most was driven with: vehicles do not change theirs, but adapters do.
    most = max(by_signal.values(), key=lambda trip: sum(p.seconds for p in trip), default=[])
    powertrain = learn_powertrain(most)
    if powertrain is None and not ratios.size:
        return None
    return VehicleProfile(vehicle, trips, ratios, powertrain)


def _thinned(points: LearningPoints) -> LearningPoints:
    step = -(-points.accel_mps2.size // POINTS_A_TRIP)
    # Whole stretches: what differs within one teaches most.
    kept = points.stretch % step == 0
    return LearningPoints(
        points.features[kept],
        points.accel_mps2[kept],
        points.grade_percent[kept],
        points.grade_sd_percent[kept],
        points.stretch[kept],
        points.rate_hz,
        points.signal,
    )


def write_profile(profile: VehicleProfile, folder: Path) -> Path:
    """Write a vehicle's profile into a folder, keeping the one before under its hash.

    Results name the profile that they were made with, and `verify` needs it again. One that is
    there and damaged is replaced.

    Raises
    ------
    StoreError
        If it cannot be written.
    """
    file = _file(folder, profile.vehicle)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            before = read_profile(file)
        except InputError:
            before = None
        if before is not None:
            if before.sha256 == profile.sha256:
                return file
            _write(_kept(folder, profile.vehicle, before.sha256), before)
        _write(file, profile)
    except OSError as error:
        raise StoreError(f"cannot write {file}: {error}") from None
    return file


def _write(file: Path, profile: VehicleProfile) -> None:
    """Write a file whole or not at all."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    with partial.open("w", encoding="utf-8") as opened:
        opened.write(profile.to_json())
        opened.flush()
        os.fsync(opened.fileno())
    partial.replace(file)


def find_profile(folder: Path, vehicle: str, sha256: str | None = None) -> VehicleProfile | None:
    """Find a vehicle's profile in a folder, or None where it has none.

    Parameters
    ----------
    sha256 : str, optional
        Only the profile of this hash, replaced since or not.

    Raises
    ------
    InputError
        If the file is no profile, or the folder holds none of that hash.
    """
    file = _file(folder, vehicle)
    if sha256 is None:
        return read_profile(file) if file.exists() else None
    for candidate in (_kept(folder, vehicle, sha256), file):
        if candidate.exists():
            profile = read_profile(candidate)
            if profile.sha256 == sha256:
                return profile
    raise InputError(
        f"{folder}: holds no profile {sha256[:12]} of {vehicle}, with which the result was made"
    )


def _file(folder: Path, vehicle: str) -> Path:
    return folder / f"{_stem(vehicle)}.json"


def _kept(folder: Path, vehicle: str, sha256: str) -> Path:
    return folder / f"{_stem(vehicle)}.{sha256[:12]}.json"


def _stem(vehicle: str) -> str:
    """Return the vehicle's name where it is a file's name, else one that is and no other's."""
    safe = re.sub(r"[^\w-]", "_", vehicle)[:40]
    if vehicle and safe == vehicle:
        return safe
    return f"{safe}-{hashlib.sha256(vehicle.encode()).hexdigest()[:8]}"
