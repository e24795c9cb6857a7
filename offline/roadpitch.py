"""The road's pitch along a drive: summed from how the camera turned, held by what stands upright.

What a camera's pitch changes by is the road's, the vehicle's on its springs, and errors. Those that
last are told apart because each goes with something known: a direction of travel placed too high
goes with the road passed, squatting and diving with acceleration, and a camera that leans turns a
yaw into pitch. They are estimated along with the road itself, which is pulled to level over a
correlation length (an Ornstein-Uhlenbeck prior over distance; Rasmussen and Williams, "Gaussian
processes for machine learning", 2006, B.2.1). That a road begins to climb or ceases to, the sum
shows; how steep it is all along, upright edges tell (`offline.uprights`), roughly but without end.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from offline.mounting import Mounting
from offline.preprocessing import PLANE_WIDTH
from offline.rotation import Rotation
from offline.uprights import Edges, Levels, Uprights

STANDING_M: Final = 0.05
"""Pictures nearer than this are one place."""
GRADE_SD_DEG: Final = 1.6
"""Spread of grades on hilly roads, 2.8 %."""
SPRINGS_SD_DEG: Final = 0.25
"""Of a vehicle on an uneven road; does not add up from picture to picture."""
STEP_SD_DEG: Final = 0.08
SD_FACTOR: Final = 2.0
"""Of a rotation's own standard deviation (measured on rendered roads)."""
TURNING_SD: Final = 0.02
"""Share of a yaw that is taken for pitch."""
MOST_MPS2: Final = 8.0
"""Hardly a road vehicle brakes harder."""
TAIL: Final = 4.0
"""Degrees of freedom of a step's error (Student's t): a passing lorry must not make a hill."""
LASTING: Final = ("down_px", "squat", "roll", "body_roll", "climb", "plumb", "shutter", "bent")
"""What lasts over a drive: pixels by which the direction of travel lies lower than taken; degrees
of pitch per m/s²; degrees by which the camera leans to the right; the same per m/s² to the left;
degrees by which the whole drive climbs;
degrees by which upright edges show the camera pitched higher than it is, and the same per m/s, as
pictures read out row by row show it; how far its lens bends lines, in 1e-5 per square pixel."""
EXPECTED: Final = (0.0, 0.3, 0.0, 0.4, 0.0, 0.4, 0.0, 0.2)
"""Cars squat and lean by some 2 to 6 degrees per g (Gillespie, "Fundamentals of vehicle dynamics",
1992, ch. 7); crowns hang over the road (measured on rendered roads)."""
EXPECTED_SD: Final = (0.6, 0.15, 0.8, 0.2, 0.6, 0.5, 0.04, 0.5)
CLIMB_M: Final = 1500.0
"""Drives longer than this climb less as a whole."""
DOUBT_DEG: Final = (2.0, 1.0, 0.5, 0.25, 0.12, 0.0, 0.0, 0.0, 0.0)
"""Added to every step's deviation, pass by pass: what would make a hill of one step is weighed last
(graduated non-convexity)."""
SCALES: Final = (0.1, 0.08, 0.06, 0.05, 0.04, 0.03, 0.03, 0.03, 0.03)
"""The same for the tilts of edges."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RoadPitch:
    """Pitch of the road at places of a drive.

    Attributes
    ----------
    place_m : ndarray, shape (k,)
        Distance driven, ascending.
    pitch_deg : ndarray, shape (k,)
    lasting : ndarray, shape (8,)
        What lasts over the drive (`LASTING`).
    told : ndarray, shape (k,)
        What upright edges tell of the pitch at each place, but for `offset_sd_deg`: one over its
        variance in degrees.
    offset_sd_deg : float
        How uncertain remains by what all of them are off together.
    """

    place_m: Array
    pitch_deg: Array
    lasting: Array
    told: Array
    offset_sd_deg: float

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


def road_pitch(
    t_s: Array,
    driven_m: Array,
    steps: Sequence[Rotation | None],
    length_m: float,
    standing: Standing | None = None,
) -> RoadPitch:
    """Estimate the road's pitch along a drive.

    Parameters
    ----------
    t_s, driven_m : ndarray, shape (n,)
    steps : sequence of Rotation or None, length n - 1
        None where a turn could not be measured.
    length_m : float
        Over which a grade is forgotten.
    standing : Standing, optional
        Without it only changes are known.
    """
    moved = np.flatnonzero(np.diff(driven_m) >= STANDING_M)
    kept = np.concatenate([[0], moved + 1])
    place = driven_m[kept]
    if moved.size == 0:
        return RoadPitch(place, np.zeros(1), np.asarray(EXPECTED), np.zeros(1), np.inf)
    measured = [steps[k] for k in moved.tolist()]
    pitch, yaw, sd, by_down = (
        np.array([getattr(step, name) if step is not None else 0.0 for step in measured])
        for name in ("pitch_deg", "yaw_deg", "pitch_sd_deg", "pitch_per_down_px")
    )
    acceleration = _acceleration(t_s, driven_m)[kept]
    apart_s = np.diff(t_s)[moved]
    yaw_rad = np.radians(yaw)
    lateral = np.diff(driven_m)[moved] / apart_s * yaw_rad / apart_s
    zero = np.zeros(place.size)
    nothing = np.zeros((moved.size, len(LASTING) - 4))
    # Of a camera that leans to the right a turn to the left is, in its own axes, a pitch downward.
    of_steps = np.column_stack(
        [-by_down, np.diff(acceleration), -yaw_rad, -yaw_rad * lateral, nothing]
    )
    error = STEP_SD_DEG**2 + (SD_FACTOR * sd) ** 2 + (TURNING_SD * yaw) ** 2
    was_measured = np.array([step is not None for step in measured])
    expected, expected_sd = np.asarray(EXPECTED), np.asarray(EXPECTED_SD)
    climb, plumb = LASTING.index("climb"), LASTING.index("plumb")
    expected_sd[climb] /= np.sqrt(1.0 + (place[-1] - place[0]) / CLIMB_M)
    mounted_deg, by_px, by_bent, uprights = 0.0, 0.0, 0.0, None
    if standing is not None:
        mounted_deg = standing.pitch_deg
        by_px = float(np.degrees(1.0 / standing.mounting.focal_px))
        uprights = Uprights([standing.edges[k] for k in kept.tolist()], standing.mounting.focal_px)
        # A focal length taken too long makes uprights lean more and the mounting less.
        expected_sd[plumb] = np.hypot(expected_sd[plumb], 2.0 * standing.focal_sd * mounted_deg)
        # In its middle a lens that bends has a longer focal length than its edges tell.
        by_bent = -2e-5 * (PLANE_WIDTH / 2.0) ** 2 * mounted_deg
    speed = np.interp(place, place[:-1] + np.diff(place) / 2.0, np.diff(place) / apart_s)
    of_levels = np.stack(
        [zero + by_px, acceleration, zero, zero, zero + 1.0, zero + 1.0, speed, zero], axis=1
    )
    prior = np.diag(expected_sd**-2.0)
    system = _Road(np.diff(place), length_m)
    lasting, road, lean, off = expected, np.zeros(2 * place.size), zero, pitch
    levels = Levels(zero, zero, zero, 0.0, 0.0)
    for doubt, scale in zip(DOUBT_DEG, SCALES, strict=True):
        variance = error + doubt**2
        weight = was_measured / variance * (TAIL + 1.0) / (TAIL + off**2 / variance)
        if uprights is not None:
            # What the lens bends, the edges' own equations have.
            shown_deg = mounted_deg + system.levels(road) + of_levels[:, :-1] @ lasting[:-1]
            shown_deg += by_bent * lasting[-1]
            levels, lean = uprights.levels(shown_deg, float(lasting[-1]), lean, scale)
            of_levels[:, -1] = levels.by_bent_deg + by_bent
        known = np.concatenate([of_steps, of_levels])
        seen = np.concatenate([pitch, levels.pitch_deg - mounted_deg])
        weights = np.concatenate([weight, levels.weight])
        # What lasts is told by what the road itself leaves of it all (Schur complement).
        solved = system.solve(weight, levels.weight, np.column_stack([seen, known]))
        left = np.column_stack([seen, known]) - system.seen(solved)
        normal = known.T @ (weights[:, None] * left[:, 1:]) + prior
        pull = known.T @ (weights * left[:, 0]) + prior @ expected
        normal[-1, -1] += levels.bent_weight
        pull[-1] += levels.bent_pull
        lasting = np.linalg.solve(normal, pull)
        road = solved[:, 0] - solved[:, 1:] @ lasting
        off = system.steps(road) + of_steps @ lasting - pitch
    offset = np.zeros(len(LASTING))
    offset[[LASTING.index("down_px"), plumb]] = by_px, 1.0
    offset_sd_deg = float(np.sqrt(offset @ np.linalg.solve(normal, offset)))
    return RoadPitch(place, road[0::2] + lasting[climb], lasting, levels.weight, offset_sd_deg)


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
        return np.asarray(np.diff(self.levels(values), axis=0))

    def levels(self, values: Array) -> Array:
        """The camera's pitch against its mounting at each place."""
        return np.asarray(values[0::2] + values[1::2])

    def seen(self, values: Array) -> Array:
        """Both: first the steps, then the levels."""
        return np.concatenate([self.steps(values), self.levels(values)])

    def solve(self, step_weight: Array, level_weight: Array, seen: Array) -> Array:
        """Pitch of road and springs, shape (2 k, m), for m columns of steps and levels."""
        band = self._prior.copy()
        right = np.zeros((band.shape[1], seen.shape[1]))
        steps = step_weight[:, None] * seen[: step_weight.size]
        levels = level_weight[:, None] * seen[step_weight.size :]
        for each in (self._road, self._springs):
            band[3, each] += level_weight
            band[3, each[:-1]] += step_weight
            band[3, each[1:]] += step_weight
            band[1, each[1:]] -= step_weight
            right[each] += levels
            right[each[:-1]] -= steps
            right[each[1:]] += steps
        band[2, self._springs] += level_weight
        band[2, self._springs[:-1]] += step_weight
        band[2, self._springs[1:]] += step_weight
        band[0, self._springs[1:]] -= step_weight
        band[2, self._road[1:]] -= step_weight
        return np.asarray(solveh_banded(band, right))
