"""Driving along a road: speed, and where the camera is, looks and moves, twice a second."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import PchipInterpolator
from scipy.ndimage import gaussian_filter1d

from offline.training import springs
from offline.training.paths import STEP_M, Path, beside
from offline.training.roads import RoadNetwork
from onboard.stills import BETWEEN

FRAME_INTERVAL_S: Final = 0.5
WHEELBASE_M: Final = 2.7
REAR_AXLE_M: Final = (1.2, 2.6)
"""Behind the camera: from small cars to vans."""
SQUAT_DEG: Final = (0.2, 0.6)
"""Per m/s²; the same to the side is more (Gillespie, "Fundamentals of vehicle dynamics", 1992,
ch. 7)."""
BODY_ROLL_DEG: Final = (0.2, 0.7)
CROSSFALL_DEG: Final = 0.8
CROSSFALL_M: Final = 15.0
"""Spread of a road's lean to the side, and half of how soon it changes."""
READOUT_S: Final = (0.005, 0.030)
GLOBAL_SHUTTER_SHARE: Final = 0.1
"""Cheap sensors read a picture out row by row, within 5 to 30 ms."""
PASSING_SHARE: Final = 0.35
"""Drives in streets with much to drive round."""
STEADY_M: Final = 15.0
"""So far from a turn drivers weave as elsewhere."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Mounting:
    """How the camera sits in the vehicle."""

    height_m: float
    pitch_rad: float
    yaw_rad: float
    roll_rad: float
    horizontal_fov_rad: float


@dataclass(frozen=True)
class Movement:
    """How the camera moves while a picture is read out, from its top row to its last.

    Attributes
    ----------
    moved_m : ndarray, shape (n, 3)
    turned_rad : ndarray, shape (n, 3)
        Axis of the world about which it turns, times the angle.
    """

    moved_m: Array
    turned_rad: Array

    @classmethod
    def none(cls, count: int) -> Movement:
        """Of a camera that takes all rows at once."""
        return cls(np.zeros((count, 3)), np.zeros((count, 3)))


@dataclass(frozen=True)
class Drive:
    """One pass along a network's line.

    Attributes
    ----------
    path : Path
        What the camera follows over the ground.
    t_s, s_m, speed_mps : ndarray, shape (n,)
        Distance along the path.
    line_m : ndarray, shape (n,)
        Distance along the network's line.
    lane_m : float
        Offset of the lane from the line, left positive.
    eye : ndarray, shape (n, 3), metres
    rotation : ndarray, shape (n, 3, 3)
        Rows are the camera's right, up and backward axes in the world.
    mounting : Mounting
    movement : Movement
    between : Drive or None
        The same pass at the pictures between these (`onboard.stills.BETWEEN` after each but the
        last).
    """

    path: Path
    t_s: Array
    s_m: Array
    speed_mps: Array
    line_m: Array
    lane_m: float
    eye: Array
    rotation: Array
    mounting: Mounting
    movement: Movement
    between: Drive | None = None


def draw_mounting(rng: np.random.Generator) -> Mounting:
    """Draw a camera: car or van, any field of view between a long lens and a dashcam's."""
    fov_deg = float(rng.choice([rng.uniform(46, 56), rng.uniform(56, 75), rng.uniform(75, 115)],
                               p=[0.4, 0.4, 0.2]))  # fmt: skip
    return Mounting(
        height_m=float(np.clip(rng.normal(1.45, 0.25), 0.95, 2.4)),
        # The horizon may stand anywhere between a third and two thirds of the picture.
        pitch_rad=math.radians(float(rng.normal(-1.0, 0.06 * fov_deg))),
        yaw_rad=math.radians(float(rng.normal(0, 1.5))),
        roll_rad=math.radians(float(rng.normal(0, 0.8))),
        horizontal_fov_rad=math.radians(fov_deg),
    )


def draw_drive(
    rng: np.random.Generator, network: RoadNetwork, who: np.random.Generator | None = None
) -> Drive:
    """Drive along the network's line with a drawn driver, vehicle and camera.

    Parameters
    ----------
    who : Generator, optional
        Draws driver, vehicle and camera; `rng` otherwise.
    """
    who = who or rng
    keep = _lane(rng, network)
    path, places_m = beside(network.line, keep + _weave(rng, network))
    s_m, speed = _advance(rng, who, network, path, places_m)
    n = s_m.size
    mounting, rear_axle_m = draw_mounting(who), float(who.uniform(*REAR_AXLE_M))
    roughness = math.radians(float(rng.uniform(0.05, 0.5)))
    squat = math.radians(float(who.uniform(*SQUAT_DEG)))
    pitching = rng.normal(0, 1, n) * roughness
    swaying = np.radians(0.5) * _smooth_noise(rng, n, 3)
    crossfall_m = np.arange(s_m[0], s_m[-1] + CROSSFALL_M, CROSSFALL_M)
    crossfall = math.radians(CROSSFALL_DEG) * _smooth_noise(rng, crossfall_m.size, 2)
    body_roll = math.radians(float(who.uniform(*BODY_ROLL_DEG)))
    rolling = rng.normal(0, 0.4, n) * roughness
    ride = _Ride(
        path=path,
        places_m=places_m,
        lane_m=keep,
        mounting=mounting,
        rear_axle_m=rear_axle_m,
        squat=squat,
        body_roll=body_roll,
        crossfall_m=crossfall_m,
        crossfall=crossfall,
        readout_s=float(who.uniform(*READOUT_S)) * (who.random() >= GLOBAL_SHUTTER_SHARE),
    )
    at = _Moments(
        t_s=np.arange(n, dtype=np.float64) * FRAME_INTERVAL_S,
        s_m=s_m,
        speed_mps=speed,
        accel_mps2=np.gradient(speed, FRAME_INTERVAL_S) if n > 1 else np.zeros(n),
        pitching=pitching,
        swaying=swaying,
        rolling=rolling,
        bouncing=springs.BOUNCE_RAD_S * roughness * rng.normal(0, 1, (2, n, 1)),
    )
    if n == 1:
        return ride.passed(at)
    # Drawn apart, so that the pictures of a road are the same with those between as without.
    between = _between(rng.spawn(1)[0], at, roughness)
    return replace(ride.passed(at), between=ride.passed(between))


@dataclass(frozen=True)
class _Moments:
    """Where a vehicle is at the times of its pictures, and how it sways there, radians.

    Attributes
    ----------
    t_s, s_m, speed_mps, accel_mps2, pitching, swaying, rolling : ndarray, shape (n,)
    bouncing : ndarray, shape (2, n, 1)
        Rates of pitch and roll, rad/s.
    """

    t_s: Array
    s_m: Array
    speed_mps: Array
    accel_mps2: Array
    pitching: Array
    swaying: Array
    rolling: Array
    bouncing: Array


@dataclass(frozen=True)
class _Ride:
    """What stays the same over a pass: path, vehicle and camera; angles in radians."""

    path: Path
    places_m: Array
    lane_m: float
    mounting: Mounting
    rear_axle_m: float
    squat: float
    body_roll: float
    crossfall_m: Array
    crossfall: Array
    readout_s: float

    def passed(self, at: _Moments) -> Drive:
        path, mounting, s_m = self.path, self.mounting, at.s_m
        # The rear axle does not slide sideways, so the vehicle heads where the road led back there.
        heading = path.at(s_m - self.rear_axle_m, path.heading)
        x, y, z = (path.at(s_m, values) for values in (path.x, path.y, path.z))
        rear = path.at(s_m - self.rear_axle_m, path.z)
        front = path.at(s_m - self.rear_axle_m + WHEELBASE_M, path.z)
        pitch = (
            np.arctan((front - rear) / WHEELBASE_M)
            + mounting.pitch_rad
            + self.squat * at.accel_mps2
            + at.pitching
        )
        yaw = heading + mounting.yaw_rad + at.swaying
        lateral_acceleration = at.speed_mps**2 * path.at(s_m, path.curvature)
        roll = (
            mounting.roll_rad
            + self.body_roll * lateral_acceleration
            + np.interp(s_m, self.crossfall_m, self.crossfall)
            + at.rolling
        )
        return Drive(
            path=path,
            t_s=at.t_s,
            s_m=s_m,
            speed_mps=at.speed_mps,
            line_m=path.at(s_m, self.places_m),
            lane_m=self.lane_m,
            eye=np.column_stack([x, y, z + mounting.height_m]),
            rotation=(axes := camera_axes(yaw, pitch, roll)),
            mounting=mounting,
            movement=self._movement(at, axes),
        )

    def _movement(self, at: _Moments, axes: Array) -> Movement:
        """How the camera moves while it reads out a picture."""
        path, speed = self.path, at.speed_mps[:, None]
        right, backward = axes[:, 0], axes[:, 2]
        # The camera, ahead of the axle, moves along the road where it is.
        onward, rising = path.at(at.s_m, path.heading), path.at(at.s_m, path.grade)
        ahead = np.column_stack([np.cos(onward), np.sin(onward), rising])
        yaw_rate = speed * path.at(at.s_m - self.rear_axle_m, path.curvature)[:, None]
        turning = yaw_rate * np.array([0.0, 0.0, 1.0])
        turning += (speed > 0.0) * (at.bouncing[0] * right - 0.4 * at.bouncing[1] * backward)
        return Movement(self.readout_s * speed * ahead, self.readout_s * turning)


def _between(rng: np.random.Generator, at: _Moments, roughness: float) -> _Moments:
    """Draw how a vehicle came from each picture to the next."""
    after_s = FRAME_INTERVAL_S * np.asarray(BETWEEN)
    t_s = (at.t_s[:-1, None] + after_s).ravel()
    return _Moments(
        t_s=t_s,
        s_m=PchipInterpolator(at.t_s, at.s_m)(t_s),
        speed_mps=np.interp(t_s, at.t_s, at.speed_mps),
        accel_mps2=np.interp(t_s, at.t_s, at.accel_mps2),
        pitching=springs.drawn(rng, at.t_s, at.pitching, t_s),
        swaying=PchipInterpolator(at.t_s, at.swaying)(t_s),
        rolling=springs.drawn(rng, at.t_s, at.rolling, t_s),
        bouncing=springs.BOUNCE_RAD_S * roughness * rng.normal(0, 1, (2, t_s.size, 1)),
    )


def _lane(rng: np.random.Generator, network: RoadNetwork) -> float:
    """Offset of the lane that is driven, left positive."""
    lane_m = 2.0 * network.half_width_m / network.lanes
    if network.lanes == 2:
        keep = -0.5 * lane_m
    elif network.lanes == 1:
        keep = 0.0
    else:
        keep = (int(rng.integers(0, network.lanes)) - (network.lanes - 1) / 2.0) * lane_m
    if network.setting in ("street", "suburb"):
        # Narrow streets with parked cars are driven nearer the middle.
        keep *= float(rng.uniform(0.2, 1.0))
    if network.left_hand_traffic:
        keep = -keep
    return keep


def _weave(rng: np.random.Generator, network: RoadNetwork) -> Array:
    """How far a driver strays from the lane's middle, along the line."""
    built_up = network.setting in ("street", "suburb")
    if built_up and rng.random() < PASSING_SHARE:
        most_m, scale_m = float(rng.uniform(0.3, 0.7)), float(rng.uniform(9.0, 16.0))
    else:
        most_m = float(rng.uniform(0.05, 0.3))
        scale_m = float(rng.uniform(8.0, 25.0) if built_up else rng.uniform(20.0, 60.0))
    weave = most_m * _smooth_noise(rng, network.line.x.size, scale_m / STEP_M)
    place_m = np.arange(weave.size) * STEP_M
    for turn in network.turns:
        # Whoever turns has no room to stray.
        beside_m = np.maximum(turn.steer_m - place_m, place_m - turn.end_m)
        weave *= np.sin(np.clip(beside_m / STEADY_M, 0.0, 1.0) * math.pi / 2.0) ** 2
    return weave


def camera_axes(yaw: Array, pitch: Array, roll: Array) -> Array:
    """Axes of a camera that looks along a yaw, raised by a pitch, leaning to the right by a roll.

    Parameters
    ----------
    yaw, pitch, roll : ndarray, shape (n,), radians

    Returns
    -------
    ndarray, shape (n, 3, 3)
        Rows are right, up and backward.
    """
    zero = np.zeros_like(yaw)
    forward = np.stack(
        [np.cos(pitch) * np.cos(yaw), np.cos(pitch) * np.sin(yaw), np.sin(pitch)], axis=1
    )
    right = np.stack([np.sin(yaw), -np.cos(yaw), zero], axis=1)
    up = np.cross(right, forward)
    c, s = np.cos(roll)[:, None], np.sin(roll)[:, None]
    return np.stack([c * right - s * up, s * right + c * up, -forward], axis=1)


def _smooth_noise(rng: np.random.Generator, n: int, frames: float) -> Array:
    noise = gaussian_filter1d(rng.normal(0, 1, n + 32), frames)[16 : 16 + n]
    return noise / max(float(noise.std()), 1e-6)


def _advance(
    rng: np.random.Generator,
    who: np.random.Generator,
    network: RoadNetwork,
    path: Path,
    places_m: Array,
) -> tuple[Array, Array]:
    """Distances and speeds twice a second, limited by curvature, comfort and setting."""
    free_kmh = {
        "field": (45, 90), "forest": (40, 85), "suburb": (22, 48), "street": (18, 42),
        "motorway": (70, 120), "ramp": (30, 55), "mountain": (25, 60),
    }[network.setting]  # fmt: skip
    free = float(rng.uniform(*free_kmh)) / 3.6
    comfort = float(who.uniform(1.5, 3.2))
    braking, gaining = float(who.uniform(1.0, 2.2)), float(who.uniform(0.7, 1.8))
    limit = np.minimum(free, np.sqrt(comfort / np.maximum(np.abs(path.curvature), 1e-4)))
    for i in range(limit.size - 2, -1, -1):
        limit[i] = min(limit[i], math.sqrt(limit[i + 1] ** 2 + 2 * braking * STEP_M))
    first, last = network.margin_m - 20.0, path.length_m - network.margin_m
    for i in range(round(first / STEP_M) + 1, limit.size):
        limit[i] = min(limit[i], math.sqrt(limit[i - 1] ** 2 + 2 * gaining * STEP_M))
    limit = np.maximum(limit, 1.5)
    s, distances, speeds = first + float(rng.uniform(0, 5)), [], []
    starts_m = [turn.steer_m for turn in network.turns]
    # Some drivers wait before a junction: a standing camera shows no motion.
    waits = {
        round(start - float(rng.uniform(4, 9))): int(rng.integers(2, 7))
        for start in np.interp(starts_m, places_m, np.arange(places_m.size) * STEP_M).tolist()
        if rng.random() < 0.12
    }
    while s < last:
        speed = float(path.at(np.array([s]), limit)[0])
        distances.append(s)
        speeds.append(speed)
        ahead = s + speed * FRAME_INTERVAL_S
        for place, frames in waits.items():
            if s < place <= ahead:
                for _ in range(frames):
                    distances.append(float(place))
                    speeds.append(0.0)
        s = ahead
    return np.asarray(distances), np.asarray(speeds)
