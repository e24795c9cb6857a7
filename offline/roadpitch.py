"""The road's pitch along a drive: summed from how the camera turned, held by what knows gravity.

What a camera's pitch changes by is the road's, the vehicle's on its springs, and errors. That a
road begins to climb or ceases to, the sum of it shows. How steep it is all along, two things tell,
roughly but without end: upright edges (`offline.uprights`), and bends, because a camera that looks
up rolls as it turns about the plumb line, and one that leans pitches (rotation of body axes;
Titterton and Weston, "Strapdown inertial navigation technology", 2004, 3.6). So pitch and roll are
estimated together. What lasts over a drive is told apart because each of it goes with something
known: a direction of travel placed too high goes with the road passed, squatting and diving with
acceleration, a focal length taken too long with how far the camera looks up. The road is pulled to
level over a correlation length, and steepens smoothly (`offline.chain`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from offline.chain import Chain, Equations, Rough, Smooth
from offline.mounting import Mounting
from offline.preprocessing import PLANE_WIDTH
from offline.rotation import Rotation
from offline.uprights import Edges, Uprights

STANDING_M: Final = 0.05
"""Pictures that follow each other nearer than this are one place."""
GRADE_SD_DEG: Final = 2.2
"""Spread of grades on hilly roads, 3.8 %."""
SPRINGS_SD_DEG: Final = 0.4
"""Of a vehicle on an uneven road; does not add up from picture to picture."""
ROLL_SD_DEG: Final = 0.8
ROLL_M: Final = 60.0
"""Roads lean to the side, and within such a distance otherwise."""
STEP_SD_DEG: Final = 0.08
SD_FACTOR: Final = 1.2
"""Of a rotation's own standard deviation (measured on rendered roads)."""
TURNING_SD: Final = 0.01
"""Share of a yaw that is taken for pitch."""
TAIL: Final = 8.0
"""Degrees of freedom of a step's error (Student's t): a passing lorry must not make a hill."""
ROLL_STEP_SD_DEG: Final = 0.15
ROLL_SD_FACTOR: Final = 1.5
ROLL_TURNING_SD: Final = 0.01
ROLL_TAIL: Final = 1.0
"""The same of roll, which is measured less exactly and more often wrong."""
SHORTEST_S: Final = 1e-3
MOST_MPS2: Final = 8.0
"""Hardly a road vehicle brakes harder."""
LASTING: Final = ("down_px", "squat", "roll", "body_roll", "climb", "plumb", "shutter", "skew",
                  "turned", "bent", "focal")  # fmt: skip
"""What lasts over a drive: pixels by which the direction of travel lies lower than taken; degrees
of pitch per m/s²; degrees by which the camera leans to the right; the same per m/s² to the left;
degrees by which the whole drive climbs;
degrees by which upright edges show the camera pitched higher than it is, and the same per m/s, as
pictures read out row by row show it; for the same reason, degrees by which they show it leaning to
the right per degree a second to the left; degrees by which turns show it pitched lower than it is;
how far its lens bends lines, in 1e-5 per square pixel; how much longer than taken its focal length
is, as the logarithm, but for what its lens bends."""
EXPECTED: Final = (0.0, 0.3, 0.0, 0.4, 0.0, 0.4, 0.07, 0.02, 0.0, 0.2, 0.0)
"""Cars squat and lean by some 2 to 6 degrees per g (Gillespie, "Fundamentals of vehicle dynamics",
1992, ch. 7); crowns hang over the road (measured on rendered roads). Of a picture read out in 15 ms
an edge leans by 0.02 degrees per degree a second, and posts 20 m away lean as if the camera looked
up by 0.07 degrees more per m/s, nearer ones by more: their feet are seen later, hence nearer."""
EXPECTED_SD: Final = (0.6, 0.15, 0.8, 0.2, 0.6, 0.5, 0.1, 0.015, 0.2, 0.5, 0.0)
"""`turned` differs by 0.36 from trip to trip (rendered training roads); with less expected, what
trips climb as a whole is told best. That of the focal length is the drive's own
(`Standing.focal_sd`)."""
BENT_FOCAL: Final = 1e-5 * (PLANE_WIDTH / 2.0) ** 2
"""Of a lens that bends, the picture's middle has a focal length longer than its edges tell by so
much per unit of `bent`."""
MOST_LONGER: Final = 0.7
"""Cameras see 35 to 105 degrees."""
LEAST_FOCAL_SD: Final = 1e-3
CLIMB_M: Final = 1500.0
"""Drives longer than this climb less as a whole."""
DOUBT_DEG: Final = (2.0, 1.0, 0.5, 0.25, 0.12, 0.0, 0.0, 0.0, 0.0)
"""Added to every step's deviation, pass by pass: what would make a hill of one step is weighed last
(graduated non-convexity)."""
SCALES: Final = (0.1, 0.08, 0.06, 0.05, 0.04, 0.03, 0.03, 0.03, 0.03)
"""The same for the tilts of edges."""
UNKNOWNS: Final = 4
_NOTHING: Final = 1e-6
"""Told by no edge: keeps normal matrices regular."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RoadPitch:
    """Pitch of the road at places of a drive.

    Attributes
    ----------
    place_m : ndarray, shape (k,)
        Distance driven, ascending.
    pitch_deg : ndarray, shape (k,)
    lasting : ndarray, shape (11,)
        What lasts over the drive (`LASTING`).
    lasting_covariance : ndarray, shape (11, 11)
    by_lasting : ndarray, shape (k, 11)
        Degrees by which `pitch_deg` follows what lasts.
    chain : Chain
        What is known of the places beside it.
    """

    place_m: Array
    pitch_deg: Array
    lasting: Array
    lasting_covariance: Array
    by_lasting: Array
    chain: Chain

    @cached_property
    def pitch_sd_deg(self) -> Array:
        """How uncertain the pitch is as the estimate sees it, shape (k,)."""
        by_lasting = self.by_lasting
        shared = np.einsum("ki,ij,kj->k", by_lasting, self.lasting_covariance, by_lasting)
        return np.asarray(np.sqrt(self.chain.variances()[:, 0] + shared))

    @property
    def focal_ratio(self) -> float:
        """The focal length in the picture's middle over that taken."""
        return math.exp(_longer(self.lasting))

    def grade_percent(self, place_m: Array) -> Array:
        """Grade of the road at other places of the drive."""
        pitch = np.interp(place_m, self.place_m, self.pitch_deg)
        return np.asarray(100.0 * np.tan(np.radians(pitch)))


@dataclass(frozen=True)
class Standing:
    """What stands upright along a drive, as its camera saw it.

    Attributes
    ----------
    edges : sequence of Edges, length n
        One a picture.
    mounting : Mounting
    focal_sd : float
        Standard deviation of the mounting's focal length, as a share.
    """

    edges: Sequence[Edges]
    mounting: Mounting
    focal_sd: float

    @property
    def pitch_deg(self) -> float:
        """The camera's pitch against its direction of travel."""
        return float(np.degrees(np.arctan(self.mounting.down_px / self.mounting.focal_px)))

    @property
    def pixel_deg(self) -> float:
        """Degrees of a pixel in the picture's middle."""
        return float(np.degrees(1.0 / self.mounting.focal_px))


def road_pitch(
    t_s: Array,
    driven_m: Array,
    steps: Sequence[Rotation | None],
    length_m: float,
    standing: Standing,
) -> RoadPitch:
    """Estimate the road's pitch along a drive.

    Parameters
    ----------
    t_s, driven_m : ndarray, shape (n,)
    steps : sequence of Rotation or None, length n - 1
        None where a turn could not be measured.
    length_m : float
        Over which a grade is forgotten.
    standing : Standing
    """
    moved = np.flatnonzero(np.diff(driven_m) >= STANDING_M)
    kept = np.concatenate([[0], moved + 1])
    place = driven_m[kept]
    expected, expected_sd = np.asarray(EXPECTED), np.asarray(EXPECTED_SD)
    climb, bent, focal = map(LASTING.index, ("climb", "bent", "focal"))
    expected_sd[focal] = max(standing.focal_sd, LEAST_FOCAL_SD)
    road_itself = Smooth(GRADE_SD_DEG, length_m)
    springs, roll = Rough(SPRINGS_SD_DEG, 0.0), Rough(ROLL_SD_DEG, ROLL_M)
    chain = Chain.drawn_back(np.diff(place), (road_itself, springs, roll))
    by_lasting = np.zeros((place.size, len(LASTING)))
    by_lasting[:, climb] = 1.0
    if moved.size == 0:
        covariance = np.diag(expected_sd**2)
        return RoadPitch(place, np.zeros(1), expected, covariance, by_lasting, chain)
    turns = _Turns.of([steps[k] for k in moved.tolist()])
    apart_s = np.maximum(np.diff(t_s)[moved], SHORTEST_S)
    speed_mps, yaw_rate_deg_s = np.diff(driven_m)[moved] / apart_s, turns.yaw_deg / apart_s
    accel_mps2 = _acceleration(t_s, driven_m)
    known = _Known(
        standing=standing,
        accel_mps2=accel_mps2[kept],
        leaving_mps2=accel_mps2[moved],
        lateral_mps2=_at_places(speed_mps * np.radians(yaw_rate_deg_s)),
        speed_mps=_at_places(speed_mps),
        yaw_rate_deg_s=_at_places(yaw_rate_deg_s),
    )
    expected_sd[climb] /= np.sqrt(1.0 + (place[-1] - place[0]) / CLIMB_M)
    prior = np.diag(expected_sd**-2.0)
    uprights = Uprights([standing.edges[k] for k in kept.tolist()], standing.mounting.focal_px)
    of_steps = known.of_steps(turns)
    # What is not known yet is no error of the steps.
    off = np.zeros_like(turns.variance)
    tail = np.array([TAIL, ROLL_TAIL])
    lasting, road = expected, np.zeros((place.size, UNKNOWNS))
    for doubt, scale in zip(DOUBT_DEG, SCALES, strict=True):
        variance = turns.variance + doubt**2
        weight = turns.measured[:, None] / variance * (tail + 1.0) / (tail + off**2 / variance)
        pairs = of_steps.weighted(weight)
        pitch_deg, roll_deg = known.shown_deg(road, lasting)
        told = uprights.told(pitch_deg, roll_deg, float(lasting[bent]), scale)
        places = known.of_edges(*told, lasting)
        knowing = chain.knowing(pairs, places)
        solved = knowing.solve(pairs, places)
        # What lasts is told by what the places themselves leave of it all (Schur complement).
        normal, pull = prior.copy(), prior @ expected
        for each in (pairs, places):
            seen = each.seen.reshape(-1, each.seen.shape[2])
            left = each.left(solved).reshape(seen.shape)
            normal += seen[:, 1:].T @ left[:, 1:]
            pull += seen[:, 1:].T @ left[:, 0]
        lasting = np.linalg.solve(normal, pull)
        both = np.concatenate([[1.0], -lasting])
        road = solved @ both
        off = of_steps.left(solved) @ both
    pitch_deg = road[:, 0] + lasting[climb]
    by_lasting -= solved[:, 0, 1:]
    covariance = np.asarray(np.linalg.inv(normal), np.float64)
    return RoadPitch(place, pitch_deg, lasting, covariance, by_lasting, knowing)


@dataclass(frozen=True)
class _Turns:
    """Turns between places: degrees, and variances of pitch and roll, shape (m, 2)."""

    pitch_deg: Array
    yaw_deg: Array
    roll_deg: Array
    pitch_per_down_px: Array
    roll_per_bent: Array
    variance: Array
    measured: NDArray[np.bool_]

    @classmethod
    def of(cls, steps: Sequence[Rotation | None]) -> _Turns:
        pitch, yaw, roll, pitch_sd, roll_sd, by_down, by_bent = (
            np.array([getattr(step, name) if step is not None else 0.0 for step in steps])
            for name in ("pitch_deg", "yaw_deg", "roll_deg", "pitch_sd_deg", "roll_sd_deg",
                         "pitch_per_down_px", "roll_per_bent")
        )  # fmt: skip
        of_pitch = STEP_SD_DEG**2 + (SD_FACTOR * pitch_sd) ** 2 + (TURNING_SD * yaw) ** 2
        of_roll = ROLL_STEP_SD_DEG**2 + (ROLL_SD_FACTOR * roll_sd) ** 2
        of_roll += (ROLL_TURNING_SD * yaw) ** 2
        measured = np.array([step is not None for step in steps])
        return cls(
            pitch, yaw, roll, by_down, by_bent,
            np.stack([of_pitch, of_roll], axis=1), measured,
        )  # fmt: skip


@dataclass(frozen=True)
class _Known:
    """What is known of a drive at its places, and the equations it makes.

    The unknowns at each place are the pitch of the road, its change per metre, the pitch of the
    vehicle on its springs, and the roll that does not last, in degrees.
    """

    standing: Standing
    accel_mps2: Array
    leaving_mps2: Array
    """Acceleration at the last picture of each place but the last: a stop begins and ends there."""
    lateral_mps2: Array
    """To the left."""
    speed_mps: Array
    yaw_rate_deg_s: Array

    def _by_lasting(self, **columns: Array | float) -> Array:
        """Degrees per unit of what lasts, shape (k, len(LASTING))."""
        found = np.zeros((self.accel_mps2.size, len(LASTING)))
        for name, values in columns.items():
            found[:, LASTING.index(name)] = values
        return found

    @cached_property
    def _pitch(self) -> Array:
        return self._by_lasting(down_px=self.standing.pixel_deg, squat=self.accel_mps2, climb=1.0)

    @cached_property
    def _roll(self) -> Array:
        return self._by_lasting(roll=1.0, body_roll=self.lateral_mps2)

    def _shown_pitch(self, lasting: Array) -> tuple[float, Array]:
        """The camera's own pitch as edges show it, and degrees per unit of what lasts.

        Of a focal length taken too short uprights lean less, and the mounting more: it shows as
        exp(-2 x), x being the logarithm of how much longer it is, here a line through where it is
        thought to be.
        """
        longer = _longer(lasting)
        shown = self.standing.pitch_deg * math.exp(-2.0 * longer)
        by_focal = -2.0 * shown
        columns = self._pitch + self._by_lasting(
            plumb=1.0, shutter=self.speed_mps, bent=BENT_FOCAL * by_focal, focal=by_focal
        )
        return shown * (1.0 + 2.0 * longer), columns

    @cached_property
    def _shown_roll(self) -> Array:
        return self._roll + self._by_lasting(skew=self.yaw_rate_deg_s)

    def shown_deg(self, road: Array, lasting: Array) -> tuple[Array, Array]:
        """The camera's pitch and roll against gravity, as edges show them."""
        mounted_deg, columns = self._shown_pitch(lasting)
        pitch = mounted_deg + road[:, 0] + road[:, 2] + columns @ lasting
        return pitch, road[:, 3] + self._shown_roll @ lasting

    def of_steps(self, turns: _Turns) -> Equations:
        """Of the measured changes of pitch and roll, not yet weighed."""
        yaw = np.radians(turns.yaw_deg)
        half, one, none = yaw / 2.0, np.ones(yaw.size), np.zeros(yaw.size)
        # A vehicle tipped up on its springs does not travel where its camera looks.
        by_tipped = turns.pitch_per_down_px / self.standing.pixel_deg
        # Of a camera that leans to the right a turn to the left is, in its own axes, a pitch
        # downward; of one that looks up it is a roll to the right.
        of_pitch = [-one, none, -one - by_tipped / 2.0, -half]
        of_pitch += [one, none, one - by_tipped / 2.0, -half]
        of_roll = [half, none, half, -one, half, none, half, one]
        pitch, roll = self._pitch, self._roll
        squat = LASTING.index("squat")
        lasting_pitch = np.diff(pitch, axis=0) - yaw[:, None] * _midway(roll)
        arriving = self.accel_mps2[1:]
        lasting_pitch[:, squat] = arriving - self.leaving_mps2
        lasting_pitch[:, squat] -= by_tipped * (arriving + self.leaving_mps2) / 2.0
        lasting_pitch[:, LASTING.index("down_px")] -= turns.pitch_per_down_px
        lasting_roll = np.diff(roll, axis=0) + yaw[:, None] * _midway(pitch)
        lasting_roll[:, LASTING.index("turned")] -= yaw
        lasting_roll[:, LASTING.index("bent")] -= turns.roll_per_bent
        # Of a focal length taken wrongly the roll in bends tells nothing: yaw and mounting are off
        # by the same ratio, and so is the roll that they make.
        roll_deg = turns.roll_deg - yaw * self.standing.pitch_deg
        return Equations(
            np.stack([np.stack(of_pitch, 1), np.stack(of_roll, 1)], axis=1),
            np.stack(
                [
                    np.column_stack([turns.pitch_deg, lasting_pitch]),
                    np.column_stack([roll_deg, lasting_roll]),
                ],
                axis=1,
            ),
        )

    def of_edges(self, normal: Array, right: Array, lasting: Array) -> Equations:
        """Of what edges tell of roll, pitch and bending (`Uprights.told`)."""
        mounted_deg, columns = self._shown_pitch(lasting)
        lower = np.linalg.cholesky(normal + _NOTHING * np.eye(3))
        root = np.swapaxes(lower, 1, 2)
        seen = np.linalg.solve(lower, right[:, :, None])
        seen -= root[:, :, 1:2] * mounted_deg
        # Roll is the last unknown; pitch the sum of the road's and the springs'.
        of = np.stack([root[:, :, 1], 0.0 * root[:, :, 1], root[:, :, 1], root[:, :, 0]], axis=2)
        shown = np.stack([self._shown_roll, columns, self._by_lasting(bent=1.0)], axis=1)
        return Equations(of, np.concatenate([seen, root @ shown], axis=2))


def _longer(lasting: Array) -> float:
    """Logarithm of how much longer than taken the focal length is in the picture's middle."""
    bent, focal = (float(lasting[LASTING.index(name)]) for name in ("bent", "focal"))
    return min(MOST_LONGER, max(-MOST_LONGER, focal + BENT_FOCAL * bent))


def _midway(values: Array) -> Array:
    return np.asarray((values[:-1] + values[1:]) / 2.0)


def _at_places(between: Array) -> Array:
    """At each place, what lies between it and those beside it."""
    return _midway(np.pad(between, 1, mode="edge"))


def _acceleration(t_s: Array, driven_m: Array) -> Array:
    """At each picture, m/s²; 0 where too few pictures tell."""
    if t_s.size < 3:
        return np.zeros(t_s.size)
    speed = np.diff(driven_m) / np.maximum(np.diff(t_s), SHORTEST_S)
    between_s = np.maximum((t_s[2:] - t_s[:-2]) / 2.0, SHORTEST_S)
    # Over a gap nothing is known of how the speed changed.
    rough = np.where(between_s < 2.0, np.diff(speed) / between_s, 0.0)
    rough = np.clip(np.concatenate([[0.0], rough, [0.0]]), -MOST_MPS2, MOST_MPS2)
    padded = np.pad(rough, 1, mode="edge")
    return np.asarray(0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:])
