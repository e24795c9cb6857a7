"""What the pictures of one drive say of the camera's own motion.

The camera's turning between pictures, summed over the road, is how the road turns and how it rises
and falls; `offline.motioncodes` tells the network.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from offline import mounting as mountings
from offline.corners import Tracked, track
from offline.following import Follower, Step
from offline.motioncodes import CODES, FOV_UNKNOWN, HILL_M, codes
from offline.mounting import Mounting
from offline.preprocessing import STILLS_HZ, Image, between, recorded_phases
from offline.roadpitch import (
    LASTING,
    STANDING_M,
    RoadPitch,
    Standing,
    road_pitch,
)
from offline.rotation import STILL, Rotation, rotation, rotations
from offline.uprights import NONE, Edges, passing, passing_until, upright_edges
from offline.windscreen import Windscreen
from onboard.stills import BETWEEN

LEAST_APART_S: Final = 0.9 / STILLS_HZ
LEAST_BETWEEN_S: Final = 0.9 / STILLS_HZ / (len(BETWEEN) + 1)
"""Of a dense recording, pictures nearer to each other tell no more (measured on rendered training
roads). Motion stills lie as a camera's own pictures do: at 10 Hz a tenth of a second apart."""
HELD: Final = 2400
"""Steps of a driving vehicle whose corners are kept until the mounting is known: 20 minutes, 21 MB
as a rule with motion stills, 4 MB without."""
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

    A picture sooner after another than a trip's stills are has the codes of that one, and helps to
    follow corners to the next.

    Parameters
    ----------
    fov_deg : float, optional
        Horizontal field of view of the camera's planes, where it is known.
    alone : bool
        False for one of several surveys that `settle` together.
    windscreen : Windscreen, optional
        That of surveys with the same camera, where there are several.
    """

    def __init__(
        self,
        fov_deg: float | None = None,
        *,
        alone: bool = True,
        windscreen: Windscreen | None = None,
    ) -> None:
        self._fov_deg, self._alone = fov_deg, alone
        self._mounting: Mounting | None = None
        self._windscreen = windscreen or Windscreen()
        self._sought = False
        self._step_of: list[int] = []
        self._t_s: list[float] = []
        self._driven_m: list[float] = []
        self._steps: list[Rotation | Step | None] = []
        self._edges: list[Edges] = []
        self._passing: list[Edges] = []
        self._waiting = 0
        self._last: Image | None = None
        self._follower: Follower | None = None
        self._followed_s = 0.0

    def add(self, plane: Image, t_s: float, driven_m: float) -> None:
        """Take the next picture, as the camera saw it."""
        if self._t_s and 0.0 <= t_s - self._t_s[-1] < LEAST_APART_S:
            self._step_of.append(len(self._t_s) - 1)
            if t_s - self._followed_s >= LEAST_BETWEEN_S:
                self.add_between(plane, t_s, driven_m)
            return
        self._step_of.append(len(self._t_s))
        apart_m = driven_m - self._driven_m[-1] if self._driven_m else np.inf
        stands = apart_m < STANDING_M
        self._edges.append(NONE if stands else upright_edges(plane))
        if self._last is not None:
            step: Rotation | Step | None = None
            if stands:
                step = STILL
            elif t_s - self._t_s[-1] <= mountings.MAX_APART_S:
                step = self._followed(self._last, plane, driven_m)
            if isinstance(step, Step) and self._mounting is not None:
                step = self._turn(step, self._mounting)
            self._waiting += isinstance(step, Step)
            self._steps.append(step)
        self._t_s.append(t_s)
        self._driven_m.append(driven_m)
        self._last, self._follower, self._followed_s = plane, None, t_s
        if self._waiting >= HELD and self._alone:
            settle([self], self._fov_deg)
            # A mounting that twenty minutes did not show may be shown by what follows.
            self._sought = self._mounting is not None

    def add_between(self, plane: Image, t_s: float, driven_m: float) -> None:
        """Take a picture that has no codes of its own, between one added and the next."""
        if self._last is None or driven_m - self._driven_m[-1] < STANDING_M:
            return
        if not 0.0 < t_s - self._followed_s <= mountings.MAX_APART_S:
            return
        if self._follower is None:
            self._follower = Follower(self._last, self._driven_m[-1])
        self._follower.follow(plane, driven_m)
        self._follower.renew()
        self._followed_s = t_s

    def _followed(self, last: Image, plane: Image, driven_m: float) -> Step | None:
        """Corners from the last picture added to the next one."""
        if self._follower is not None:
            return self._follower.finish(plane, driven_m)
        whole = track(last, plane, driven_m - self._driven_m[-1])
        return None if whole is None else Step(whole)

    def finish(self, focal_ratio: float | None = None) -> Motion:
        """The motion of all pictures added.

        Parameters
        ----------
        focal_ratio : float, optional
            That of surveys with the same camera, where there are several.
        """
        if not self._sought:
            settle([self], self._fov_deg)
        if self._mounting is None or not self._t_s:
            return Motion(None, np.zeros((len(self._step_of), len(CODES)), np.uint8))
        standing = self._standing(self._mounting)
        t_s, driven_m = np.asarray(self._t_s), np.asarray(self._driven_m)
        found = codes(t_s, driven_m, self.turns, standing, focal_ratio)
        if self._fov_deg is None:
            found[:, CODES.index("levelled")] = FOV_UNKNOWN
        return Motion(self._mounting, found[np.asarray(self._step_of)])

    def ended(self, last: int) -> NDArray[np.uint8]:
        """Codes of the pictures up to the `last`, had the recording ended with it.

        Returns
        -------
        ndarray of uint8, shape (last + 1, len(CODES))
            With the mounting and the windscreen of the whole recording.
        """
        if not self._sought:
            settle([self], self._fov_deg)
        rest = Survey(self._fov_deg)
        count = self._step_of[last] + 1
        rest._step_of = self._step_of[: last + 1]
        rest._t_s, rest._driven_m = self._t_s[:count], self._driven_m[:count]
        rest._steps, rest._edges = self._steps[: count - 1], self._edges[:count]
        rest._mounting, rest._sought = self._mounting, True
        if len(self._passing) == len(self._edges):
            driven_m = np.asarray(rest._driven_m)
            rest._passing = passing_until(rest._edges, driven_m, self._passing)
        return rest.finish().codes

    @property
    def turns(self) -> list[Rotation | None]:
        """From each picture to the next one; None where it was not measured, or not yet."""
        return [None if isinstance(step, Step) else step for step in self._steps]

    def _standing(self, mounting: Mounting) -> Standing:
        told = self._fov_deg is not None
        focal_sd = mountings.TOLD_FOCAL_SD if told else mountings.FOCAL_SD
        if len(self._passing) != len(self._edges):
            self._passing = passing(self._edges, np.asarray(self._driven_m))
        return Standing(self._passing, mounting, focal_sd)

    def useful(self) -> list[Tracked]:
        """Pairs of pictures that may show the mounting."""
        pairs = mountings.useful_pairs(np.asarray(self._t_s), np.asarray(self._driven_m))
        near = frozenset(pairs[:, 0].tolist())
        found = []
        for first, step in enumerate(self._steps):
            if isinstance(step, Step):
                # On a motorway half a second is too far; the pictures between are not.
                pair = step.whole if first in near else step.fast_part(mountings.APART_M[1])
                found += [pair] if pair is not None else []
        return found

    def watch(self, mounting: Mounting) -> None:
        """Learn from what waited what stays on the windscreen."""
        for step in self._steps:
            if isinstance(step, Step):
                self._turn(step, mounting)

    def clear(self) -> None:
        """Leave out corners on the windscreen of what waited."""
        self._steps = [
            step.each(self._windscreen.cleared) if isinstance(step, Step) else step
            for step in self._steps
        ]

    def _turn(self, step: Step, mounting: Mounting) -> Rotation | None:
        """Turn between two pictures by what is not on the windscreen."""
        cleared = step.each(self._windscreen.cleared)
        turn = None if cleared is None else rotation(cleared, mounting)
        if turn is not None and step.whole is not None:
            self._windscreen.watch(step.whole, mounting.focal_px * np.radians(turn.yaw_deg))
        return turn

    def turned(self, mounting: Mounting | None) -> list[Rotation | None]:
        """Turns between pictures as a mounting tells them."""
        waiting = [step for step in self._steps if isinstance(step, Step)]
        turns = iter([] if mounting is None else rotations(waiting, mounting))
        return [next(turns, None) if isinstance(step, Step) else step for step in self._steps]

    def road_pitch(self, mounting: Mounting) -> RoadPitch:
        """The road's pitch as a mounting tells it."""
        t_s, driven_m = np.asarray(self._t_s), np.asarray(self._driven_m)
        return road_pitch(t_s, driven_m, self.turned(mounting), HILL_M, self._standing(mounting))

    def settle(self, mounting: Mounting | None) -> None:
        """Measure what waited for the mounting."""
        self._mounting, self._sought = mounting, True
        self._steps = list(self.turned(mounting))
        self._waiting = 0


def settle(surveys: Sequence[Survey], fov_deg: float | None) -> Mounting | None:
    """Find the mounting of one camera from surveys with it, and have them go on with it."""
    mounting = _mounting_of(surveys, fov_deg)
    if mounting is None:
        # Behind a dirty windscreen most corners stay. Those that move show the mounting roughly,
        # enough to learn in bends what the dirt is.
        mounting = _mounting_of(surveys, fov_deg, mountings.MIN_FLOW_PX)
    if mounting is not None:
        for each in surveys:
            each.watch(mounting)
        for each in surveys:
            each.clear()
        mounting = _mounting_of(surveys, fov_deg)
    if mounting is not None:
        # A short stretch hardly tells: its estimate is drawn to none.
        down = LASTING.index("down_px")
        told = [
            (each.road_pitch(mounting).lasting[down], len(pairs))
            for each in surveys
            if (pairs := each.useful())
        ]
        lower = float(np.average([px for px, _ in told], weights=[count for _, count in told]))
        mounting = replace(mounting, down_px=mounting.down_px + lower)
    for each in surveys:
        each.settle(mounting)
    return mounting


def _mounting_of(
    surveys: Sequence[Survey], fov_deg: float | None, least_px: float = 0.0
) -> Mounting | None:
    """The mounting by corners that move by `least_px` or more."""
    pairs = [pair for each in surveys for pair in each.useful()]
    tracks = [moving for pair in pairs if (moving := pair.only(pair.moved_px >= least_px))]
    if len(tracks) > mountings.MAX_PAIRS:
        spread = np.linspace(0, len(tracks) - 1, mountings.MAX_PAIRS).astype(np.int64)
        tracks = [tracks[k] for k in spread]
    return mountings.mounting_of(tracks, fov_deg)


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


def survey_recorded(
    drives: Sequence[Drive], fov_deg: float | None = None
) -> tuple[Mounting | None, list[NDArray[np.uint8]]]:
    """Measure the motion along drives with one camera, whose pictures may be denser than a trip's.

    Steps are those of a trip's pictures (`preprocessing.recorded_phases`), and corners are followed
    through those between as in a trip, so that what is learnt and measured is what is scored; the
    mounting, which a trip of some minutes shows better than a
    short stretch, is taken from all.

    Parameters
    ----------
    fov_deg : float, optional
        Horizontal field of view of the planes, where it is known.

    Returns
    -------
    tuple of Mounting or None and list of ndarray of uint8, shape (n, len(CODES))
        One array a drive; all zero without a mounting.
    """
    # The phases of a recording show the same moments; one alone is what a trip would have had.
    windscreens: dict[int, Windscreen] = defaultdict(Windscreen)
    parts = [
        (k, rows, Survey(fov_deg, alone=False, windscreen=windscreens[phase]))
        for k, drive in enumerate(drives)
        for phase, rows in enumerate(recorded_phases(drive.t_s))
    ]
    for k, rows, survey in parts:
        drive, stills = drives[k], frozenset(rows.tolist())
        following = between(drive.t_s, rows, mountings.MAX_APART_S)
        for row in np.sort(np.concatenate([rows, following])).tolist():
            take = survey.add if row in stills else survey.add_between
            take(drive.planes[row], float(drive.t_s[row]), float(drive.driven_m[row]))
    mounting = settle([survey for _, _, survey in parts], fov_deg)
    found = [np.zeros((drive.t_s.size, len(CODES)), np.uint8) for drive in drives]
    focal_ratio = None
    if mounting is not None:
        longer = [math.log(survey.road_pitch(mounting).focal_ratio) for _, _, survey in parts]
        sizes = [rows.size for _, rows, _ in parts]
        focal_ratio = math.exp(float(np.average(longer, weights=sizes)))
    for k, rows, survey in parts:
        found[k][rows] = survey.finish(focal_ratio).codes
    return mounting, found
