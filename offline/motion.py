"""What the pictures of one drive say of the camera's own motion, coded for the network.

The camera's turning between pictures, summed over the road, is how the road turns and how it rises
and falls. The yaw gives the heading's change. The pitch gives the grade up to a constant and a
drift: steps are summed by a smoother that pulls the grade to level over a correlation length, once
over a hill's and once over a valley's (an Ornstein-Uhlenbeck prior over distance; Rasmussen and
Williams, "Gaussian processes for machine learning", 2006, B.2.1). Absolute slopes the network must
see; that a road begins to climb or ceases to, it is told here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded

from offline import mounting as mountings
from offline.corners import Places, track
from offline.mounting import Mounting
from offline.preprocessing import STILLS_HZ, Image, recorded_phases
from offline.roadscene import HEADING_WINDOW_M, LOOK_AHEAD_M
from offline.rotation import STILL, Rotation, rotation

CODES: Final = ("levelled", "heading_known", "heading", "curvature", "peak_curvature",
                "slope_known", "near_grade", "far_grade", "grade_change")  # fmt: skip
"""One byte each a frame, all 0 where the mounting is not known. Where it is, the shares (in 1/255)
say how much of the road was measured; signed ones are 128 for nothing."""
SIGNED: Final = {"heading": 1.0, "curvature": 1000.0, "near_grade": 8.0, "far_grade": 8.0,
                 "grade_change": 16.0}  # fmt: skip
"""Steps of a byte per degree, 1/m, percent."""
PEAK_CODE: Final = 2000.0
"""Steps of a byte per 1/m."""
MIRRORED: Final = ("heading", "curvature")
HILL_M: Final = 60.0
VALLEY_M: Final = 300.0
GRADE_SD_DEG: Final = 2.1
"""Spread of grades on hilly roads, 3.7 %."""
STEP_SD_DEG: Final = 0.15
SD_FACTOR: Final = 3.0
"""Of a rotation's own standard deviation (measured on rendered roads)."""
SCALE_SD: Final = 0.15
"""Share of a step that is unknown because the field of view is."""
TAIL: Final = 4.0
"""Degrees of freedom of a step's error (Student's t): a passing lorry must not make a hill."""
STANDING_M: Final = 0.05
LEAST_APART_S: Final = 0.9 / STILLS_HZ
HELD: Final = 2400
"""Steps of a driving vehicle whose corners are kept until the mounting is known: 20 minutes, 12 MB
as a rule."""
CURVATURE_M: Final = 6.0
NEARBY_M: Final = 100.0

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Motion:
    """The camera's motion along one drive.

    Attributes
    ----------
    mounting : Mounting or None
        None where it could not be told; then nothing else is known.
    codes : ndarray of uint8, shape (n, len(CODES))
    """

    mounting: Mounting | None
    codes: NDArray[np.uint8]


class Survey:
    """Measures the motion along one drive, picture by picture in order of time.

    Of pictures denser than a trip's only as many a second as a trip has are tracked; those between
    have the codes of the one before.

    Parameters
    ----------
    mounting : Mounting, optional
        Where it is known already.
    """

    def __init__(self, mounting: Mounting | None = None) -> None:
        self._mounting = mounting
        self._sought = mounting is not None
        self._step_of: list[int] = []
        self._t_s: list[float] = []
        self._driven_m: list[float] = []
        self._steps: list[Rotation | None] = []
        self._held: dict[int, tuple[Places, Places]] = {}
        self._last: Image | None = None

    def add(self, plane: Image, t_s: float, driven_m: float) -> None:
        """Take the next picture, as the camera saw it."""
        if self._t_s and 0.0 <= t_s - self._t_s[-1] < LEAST_APART_S:
            self._step_of.append(len(self._t_s) - 1)
            return
        self._step_of.append(len(self._t_s))
        if self._last is not None:
            step: Rotation | None = None
            near = t_s - self._t_s[-1] <= mountings.MAX_APART_S
            if driven_m - self._driven_m[-1] < STANDING_M:
                step = STILL
            elif near and (self._mounting is not None or not self._sought):
                tracked = track(self._last, plane)
                if tracked is not None and self._mounting is not None:
                    step = rotation(tracked, self._mounting)
                elif tracked is not None:
                    self._held[len(self._steps)] = tracked
            self._steps.append(step)
        self._t_s.append(t_s)
        self._driven_m.append(driven_m)
        self._last = plane
        if len(self._held) >= HELD:
            self._settle()
            # A mounting that twenty minutes did not show may be shown by what follows.
            self._sought = self._mounting is not None

    def finish(self) -> Motion:
        """The motion of all pictures added."""
        if not self._sought:
            self._settle()
        if self._mounting is None or not self._t_s:
            return Motion(None, np.zeros((len(self._step_of), len(CODES)), np.uint8))
        found = codes(np.asarray(self._driven_m), self._steps)
        return Motion(self._mounting, found[np.asarray(self._step_of)])

    def _settle(self) -> None:
        """Find the mounting and measure what waited for it."""
        self._sought = True
        pairs = mountings.useful_pairs(np.asarray(self._t_s), np.asarray(self._driven_m))
        useful = [self._held[first] for first in pairs[:, 0].tolist() if first in self._held]
        self._mounting = mountings.mounting_of(useful)
        if self._mounting is not None:
            for index, tracked in self._held.items():
                self._steps[index] = rotation(tracked, self._mounting)
        self._held.clear()


@dataclass(frozen=True)
class Drive:
    """Pictures of one drive, in order of time.

    Attributes
    ----------
    planes : ndarray of uint8, shape (n, 96, 160)
    t_s, driven_m : ndarray, shape (n,)
    """

    planes: Image
    t_s: Array
    driven_m: Array


def survey(drive: Drive, mounting: Mounting) -> NDArray[np.uint8]:
    """Codes of a drive whose pictures are all at hand and whose camera's mounting is known."""
    running = Survey(mounting)
    for plane, t, s in zip(drive.planes, drive.t_s, drive.driven_m, strict=True):
        running.add(plane, float(t), float(s))
    return running.finish().codes


def survey_recorded(drives: Sequence[Drive]) -> tuple[Mounting | None, list[NDArray[np.uint8]]]:
    """Measure the motion along drives with one camera, whose pictures may be denser than a trip's.

    Steps are those of a trip's pictures (`preprocessing.recorded_phases`), so that what is learnt
    and measured is what is scored; the mounting, which a trip of some minutes shows better than a
    short stretch, is taken from all.

    Returns
    -------
    tuple of Mounting or None and list of ndarray of uint8, shape (n, len(CODES))
        One array a drive; all zero without a mounting.
    """
    phases = [recorded_phases(drive.t_s) for drive in drives]
    pairs = [
        (drive, *rows[pair])
        for drive, each in zip(drives, phases, strict=True)
        for rows in each
        for pair in mountings.useful_pairs(drive.t_s[rows], drive.driven_m[rows])
    ]
    if len(pairs) > mountings.MAX_PAIRS:
        spread = np.linspace(0, len(pairs) - 1, mountings.MAX_PAIRS).astype(np.int64)
        pairs = [pairs[k] for k in spread]
    tracks = (track(drive.planes[first], drive.planes[second]) for drive, first, second in pairs)
    mounting = mountings.mounting_of([each for each in tracks if each is not None])
    found = [np.zeros((drive.t_s.size, len(CODES)), np.uint8) for drive in drives]
    if mounting is not None:
        for drive, each, result in zip(drives, phases, found, strict=True):
            for rows in each:
                one = Drive(drive.planes[rows], drive.t_s[rows], drive.driven_m[rows])
                result[rows] = survey(one, mounting)
    return mounting, found


def codes(driven_m: Array, steps: list[Rotation | None]) -> NDArray[np.uint8]:
    """Code the turns between pictures.

    Parameters
    ----------
    driven_m : ndarray, shape (n,)
    steps : list of Rotation or None, length n - 1
        None where a turn could not be measured.

    Returns
    -------
    ndarray of uint8, shape (n, len(CODES))
    """
    s = np.asarray(driven_m, np.float64)
    apart = np.diff(s)
    known = np.array([step is not None for step in steps], np.bool_)
    pitch, yaw, sd = (
        np.array([getattr(step, name) if step is not None else 0.0 for step in steps])
        for name in ("pitch_deg", "yaw_deg", "pitch_sd_deg")
    )
    heading = np.concatenate([[0.0], np.cumsum(yaw)])
    known_m = np.concatenate([[0.0], np.cumsum(apart * known)])
    end = s + HEADING_WINDOW_M
    values: dict[str, Array] = {}
    values["heading"] = np.interp(end, s, heading) - heading
    values["curvature"] = np.radians(
        np.interp(s + CURVATURE_M, s, heading) - np.interp(s - CURVATURE_M, s, heading)
    ) / (2.0 * CURVATURE_M)
    places = s[:, None] + np.arange(-3.0, HEADING_WINDOW_M - CURVATURE_M, 3.0)
    arcs = np.interp(places + CURVATURE_M, s, heading) - np.interp(places, s, heading)
    peak = np.radians(np.abs(arcs).max(axis=1)) / CURVATURE_M
    for name, length_m in (("near_grade", HILL_M), ("far_grade", VALLEY_M)):
        angle = _smoothed_deg(apart, pitch, sd, known, length_m)
        ahead = np.interp(s + LOOK_AHEAD_M / 2.0, s, angle)
        values[name] = 100.0 * np.tan(np.radians(ahead))
        if name == "near_grade":
            values["grade_change"] = values[name] - 100.0 * np.tan(np.radians(angle))
    shares = {
        "levelled": np.ones(s.size),
        "heading_known": (np.interp(end, s, known_m) - known_m) / HEADING_WINDOW_M,
        "slope_known": (np.interp(s + NEARBY_M, s, known_m) - np.interp(s - NEARBY_M, s, known_m))
        / (2.0 * NEARBY_M),
    }
    columns = []
    for name in CODES:
        if name in shares:
            columns.append(255.0 * shares[name])
        elif name == "peak_curvature":
            columns.append(np.clip(PEAK_CODE * peak, 0.0, 255.0))
        else:
            columns.append(np.clip(128.0 + SIGNED[name] * values[name], 1.0, 255.0))
    return np.round(np.stack(columns, axis=1)).astype(np.uint8)


def _smoothed_deg(
    apart_m: Array, pitch_deg: Array, sd_deg: Array, known: NDArray[np.bool_], length_m: float
) -> Array:
    """Pitch of the road at each picture, pulled to level over a correlation length."""
    n = apart_m.size + 1
    if n == 1:
        return np.zeros(1)
    decay = np.exp(-np.maximum(apart_m, 2.0 * STANDING_M) / length_m)
    stiffness = 1.0 / (GRADE_SD_DEG**2 * (1.0 - decay**2))
    base = np.zeros((2, n))
    base[0, 1:] = -decay * stiffness
    base[1] = 1.0 / GRADE_SD_DEG**2
    base[1, :-1] += decay**2 * stiffness
    base[1, 1:] += stiffness - 1.0 / GRADE_SD_DEG**2
    variance = STEP_SD_DEG**2 + (SD_FACTOR * sd_deg) ** 2 + (SCALE_SD * pitch_deg) ** 2
    weight = known / variance
    angle = np.zeros(n)
    for _ in range(4):
        banded = base.copy()
        banded[0, 1:] -= weight
        banded[1, :-1] += weight
        banded[1, 1:] += weight
        pull = np.zeros(n)
        pull[:-1] -= weight * pitch_deg
        pull[1:] += weight * pitch_deg
        angle = solveh_banded(banded, pull)
        off = np.diff(angle) - pitch_deg
        weight = known / variance * (TAIL + 1.0) / (TAIL + off**2 / variance)
    return np.asarray(angle)
