"""The road's pitch along a drive, summed from how the camera turned from picture to picture.

What a camera's pitch changes by is the road's, the vehicle's on its springs, and errors. Those that
last are told apart because each goes with something known: a direction of travel placed too high
goes with the road passed, squatting and diving with acceleration, and a camera that leans turns a
yaw into pitch. They are estimated along with the road itself, which is pulled to level over a
correlation length (an Ornstein-Uhlenbeck prior over distance; Rasmussen and Williams, "Gaussian
processes for machine learning", 2006, B.2.1). The sum alone cannot know an absolute slope, a road
that begins to climb or ceases to it shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from offline.rotation import Rotation

STANDING_M: Final = 0.05
"""Pictures nearer than this are one place."""
GRADE_SD_DEG: Final = 2.1
"""Spread of grades on hilly roads, 3.7 %."""
SPRINGS_SD_DEG: Final = 0.25
"""Of a vehicle on an uneven road; does not add up from picture to picture."""
STEP_SD_DEG: Final = 0.08
SD_FACTOR: Final = 2.0
"""Of a rotation's own standard deviation (measured on rendered roads)."""
TURNING_SD: Final = 0.02
"""Share of a yaw that is taken for pitch."""
MOST_MPS2: Final = 8.0
"""Hardly a road vehicle brakes harder."""
TAIL: Final = 8.0
"""Degrees of freedom of a step's error (Student's t): a passing lorry must not make a hill."""
LASTING: Final = ("down_px", "squat", "roll", "body_roll")
"""What lasts over a drive: pixels by which the direction of travel lies lower than taken; degrees
of pitch per m/s²; degrees by which the camera leans to the right; the same per m/s² to the left."""
EXPECTED: Final = (0.0, 0.3, 0.0, 0.4)
"""Cars squat and lean by some 2 to 6 degrees per g (Gillespie, "Fundamentals of vehicle dynamics",
1992, ch. 7)."""
EXPECTED_SD: Final = (0.6, 0.15, 0.8, 0.2)
DOUBT_DEG: Final = (2.0, 1.0, 0.5, 0.25, 0.12, 0.0, 0.0)
"""Added to every step's deviation, pass by pass: what would make a hill of one step is weighed last
(graduated non-convexity)."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RoadPitch:
    """Pitch of the road at places of a drive.

    Attributes
    ----------
    place_m : ndarray, shape (k,)
        Distance driven, ascending.
    pitch_deg : ndarray, shape (k,)
    lasting : ndarray, shape (4,)
        What lasts over the drive (`LASTING`).
    """

    place_m: Array
    pitch_deg: Array
    lasting: Array

    def grade_percent(self, place_m: Array) -> Array:
        """Grade of the road at other places of the drive."""
        pitch = np.interp(place_m, self.place_m, self.pitch_deg)
        return np.asarray(100.0 * np.tan(np.radians(pitch)))


def road_pitch(
    t_s: Array, driven_m: Array, steps: Sequence[Rotation | None], length_m: float
) -> RoadPitch:
    """Sum the pitch between pictures.

    Parameters
    ----------
    t_s, driven_m : ndarray, shape (n,)
    steps : sequence of Rotation or None, length n - 1
        None where a turn could not be measured.
    length_m : float
        Over which a grade is forgotten.
    """
    moved = np.flatnonzero(np.diff(driven_m) >= STANDING_M)
    place = driven_m[np.concatenate([[0], moved + 1])]
    if moved.size == 0:
        return RoadPitch(place, np.zeros(1), np.asarray(EXPECTED))
    measured = [steps[k] for k in moved.tolist()]
    pitch, yaw, sd, by_down = (
        np.array([getattr(step, name) if step is not None else 0.0 for step in measured])
        for name in ("pitch_deg", "yaw_deg", "pitch_sd_deg", "pitch_per_down_px")
    )
    acceleration = _acceleration(t_s, driven_m)
    apart_s = np.diff(t_s)[moved]
    yaw_rad = np.radians(yaw)
    lateral = np.diff(driven_m)[moved] / apart_s * yaw_rad / apart_s
    # Of a camera that leans to the right a turn to the left is, in its own axes, a pitch downward.
    known = np.stack(
        [-by_down, acceleration[moved + 1] - acceleration[moved], -yaw_rad, -yaw_rad * lateral],
        axis=1,
    )
    error = STEP_SD_DEG**2 + (SD_FACTOR * sd) ** 2 + (TURNING_SD * yaw) ** 2
    prior = np.diag(np.asarray(EXPECTED_SD) ** -2.0)
    expected = np.asarray(EXPECTED)
    system = _Road(np.diff(place), length_m)
    known_steps = np.array([step is not None for step in measured])
    off = pitch
    for doubt in DOUBT_DEG:
        variance = error + doubt**2
        weight = known_steps / variance * (TAIL + 1.0) / (TAIL + off**2 / variance)
        # What lasts is told by what the road itself leaves of the steps (Schur complement).
        solved = system.solve(weight, np.column_stack([pitch, known]))
        left = known - system.steps(solved[:, 1:])
        normal = known.T @ (weight[:, None] * left) + prior
        pull = known.T @ (weight * (pitch - system.steps(solved[:, 0]))) + prior @ expected
        lasting = np.linalg.solve(normal, pull)
        road = solved[:, 0] - solved[:, 1:] @ lasting
        off = system.steps(road) + known @ lasting - pitch
    return RoadPitch(place, road[0::2], lasting)


def _acceleration(t_s: Array, driven_m: Array) -> Array:
    """At each picture, m/s²; 0 where too few pictures tell."""
    if t_s.size < 3:
        return np.zeros(t_s.size)
    speed = np.diff(driven_m) / np.maximum(np.diff(t_s), 1e-3)
    between_s = np.maximum((t_s[2:] - t_s[:-2]) / 2.0, 1e-3)
    # Over a gap nothing is known of how the speed changed.
    rough = np.where(between_s < 2.0, np.diff(speed) / between_s, 0.0)
    rough = np.clip(np.concatenate([[0.0], rough, [0.0]]), -MOST_MPS2, MOST_MPS2)
    padded = np.pad(rough, 1, mode="edge")
    return np.asarray(0.25 * padded[:-2] + 0.5 * padded[1:-1] + 0.25 * padded[2:])


class _Road:
    """Normal equations of the road's pitch and the springs' at each place, in turns (banded)."""

    def __init__(self, apart_m: Array, length_m: float) -> None:
        count = apart_m.size + 1
        decay = np.exp(-apart_m / length_m)
        stiffness = 1.0 / (GRADE_SD_DEG**2 * (1.0 - decay**2))
        self._road = 2 * np.arange(count)
        self._springs = self._road + 1
        self._prior = np.zeros((4, 2 * count))
        diagonal = self._prior[3]
        diagonal[0] += 1.0 / GRADE_SD_DEG**2
        diagonal[self._road[:-1]] += decay**2 * stiffness
        diagonal[self._road[1:]] += stiffness
        diagonal[self._springs] += 1.0 / SPRINGS_SD_DEG**2
        self._prior[1, self._road[1:]] -= decay * stiffness

    def steps(self, values: Array) -> Array:
        """Change of the camera's pitch from place to place."""
        both = values[0::2] + values[1::2]
        return np.asarray(np.diff(both, axis=0))

    def solve(self, weight: Array, steps: Array) -> Array:
        """Pitch of road and springs, shape (2 k, m), for m columns of steps."""
        band = self._prior.copy()
        right = np.zeros((band.shape[1], steps.shape[1]))
        for each in (self._road, self._springs):
            band[3, each[:-1]] += weight
            band[3, each[1:]] += weight
            band[1, each[1:]] -= weight
            right[each[:-1]] -= weight[:, None] * steps
            right[each[1:]] += weight[:, None] * steps
        band[2, self._springs[:-1]] += weight
        band[2, self._springs[1:]] += weight
        band[0, self._springs[1:]] -= weight
        band[2, self._road[1:]] -= weight
        return np.asarray(solveh_banded(band, right))
