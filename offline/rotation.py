"""How far a camera turned between two pictures, once its direction of travel is known.

Driving moves every point along the line that leads away from the direction of travel; whatever
moves across that line is the camera's own turning. So each tracked corner is one linear equation
in pitch, yaw and roll (the rotational part of Longuet-Higgins and Prazdny's motion field, 1980),
and a robust fit to all of them needs no distances: a gyroscope made of pictures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from offline import corners
from offline.corners import Places, Tracked
from offline.following import Step
from offline.mounting import Mounting

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Rotation:
    """A turn between two pictures.

    Attributes
    ----------
    pitch_deg, yaw_deg, roll_deg : float
        Upward, to the left, and leaning to the right, about the camera's own axes.
    pitch_sd_deg, roll_sd_deg : float
        As the fit sees it; true errors are larger by a fifth, of roll by half (measured on
        rendered roads).
    pitch_per_down_px : float
        Degrees by which `pitch_deg` changes if the direction of travel lies a pixel lower.
    roll_per_bent : float
        Degrees by which `roll_deg` changes if the lens bends lines by 1e-5 per square pixel
        (`offline.uprights`), as driving on and the yaw let expect. What the measured pitch and roll
        would add goes with their own errors, so that a fit would choose the lens that lessens them.
    agreeing : float
        Corners that agree, each counted by how well.
    followed : bool
        Whether pictures between these helped.
    """

    pitch_deg: float
    yaw_deg: float
    roll_deg: float
    pitch_sd_deg: float
    roll_sd_deg: float
    pitch_per_down_px: float
    roll_per_bent: float = 0.0
    agreeing: float = math.inf
    followed: bool = False

    @property
    def sure(self) -> float:
        """From 0 to 1, how far the turn may be trusted."""
        return 1.0 / (1.0 + (DOUBTFUL / self.agreeing) ** 2)


DOUBTFUL: Final = 6.0
"""Of turns that so few corners tell a fifth are off by a degree, of those that 20 tell one in a
hundred (measured on rendered training roads)."""
SCALES_PX: Final = corners.SCALES_PX[2:]
"""The first pass weighs what lies within half a step of `TRIED_RAD` of the start."""
CLEAR_PX: Final = 2.0
"""Nearer to the direction of travel the lines that lead away from it are not known."""
TOGETHER: Final = 32
"""Steps measured at once: one by one, each small matrix costs calls of its own."""
AGAIN: Final = 2
"""Pass before which the direction of travel is placed anew."""
TRIED_RAD: Final = np.radians(
    [(pitch, yaw, 0.0) for pitch in (-2.0, -1.0, 0.0, 1.0, 2.0) for yaw in range(-30, 31, 2)]
)
"""Turns tried for a start: at junctions vehicles turn by some 20 degrees in half a second. Those
of a longer lens are as many pixels."""
SMALL: Final = 1e-3
"""Change of what a turn's dependence on the camera is told by."""
DOWN: Final = np.array([0.0, 1.0])
TIGHTEST_M: Final = 4.0
"""No road vehicle's rear axle turns on a smaller radius; what says so is traffic that crosses."""
NO_TURN_RAD: Final = 0.02
"""A creeping vehicle bounces by as much."""
SUPPORT_PX: Final = 1.5
DOUBT: Final = 0.5 * np.abs(np.degrees(TRIED_RAD[:, 0]))
"""A road pitches a camera by more than a degree only now and then: so many corners must say so."""
MOVING_PX: Final = 0.7
"""Only corners that move speak for a start: those on a windscreen or a vehicle ahead, which stay,
would always speak for none."""
BACKWARDS_PX: Final = 1.0
"""And only those that, but for the turn, do not come towards the direction of travel by more."""
STILL: Final = Rotation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Of a standing vehicle."""


def rotation(step: Step, mounting: Mounting) -> Rotation | None:
    """Measure the turn between two pictures of one drive.

    Parameters
    ----------
    step : Step
        Corners as the camera saw them, not levelled.
    mounting : Mounting

    Returns
    -------
    Rotation or None
        None where too few corners are clear of the direction of travel.
    """
    return rotations([step], mounting)[0]


def rotations(steps: Sequence[Step], mounting: Mounting) -> list[Rotation | None]:
    """Measure the turns of many steps: `rotation` of each, in less time."""
    found: list[Rotation | None] = []
    for first in range(0, len(steps), TOGETHER):
        found += _together(steps[first : first + TOGETHER], mounting)
    return found


def _together(steps: Sequence[Step], mounting: Mounting) -> list[Rotation | None]:
    told = [k for k, step in enumerate(steps) if step.whole is not None]
    tracks = [step.whole for step in steps if step.whole is not None]
    wholes: list[_Fit | None] = [None] * len(steps)
    for k, fit in zip(told, _fitted(tracks, mounting, [None] * len(tracks)), strict=True):
        wholes[k] = fit
    parts, starts = [], []
    for step, whole in zip(steps, wholes, strict=True):
        far_m = sum(part.driven_m for part in step.parts)
        for part in step.parts:
            share = part.driven_m / far_m if far_m > 0.0 else 1.0 / len(step.parts)
            parts.append(part)
            starts.append(None if whole is None else share * whole.turn)
    fits = iter(_fitted(parts, mounting, starts))
    return [
        _turn(whole, [next(fits) for _ in step.parts])
        for step, whole in zip(steps, wholes, strict=True)
    ]


def _turn(whole: _Fit | None, fits: list[_Fit | None]) -> Rotation | None:
    parts = [fit for fit in fits if fit is not None]
    if not parts or len(parts) < len(fits):
        return None if whole is None else whole.rotation()
    return _joined(whole, parts)


def _joined(whole: _Fit | None, parts: list[_Fit]) -> Rotation:
    """One turn of those from picture to picture, and of what was followed all the way."""
    turn, variance = np.zeros(3), np.zeros(3)
    for part in parts:
        # Turns about the camera's own axes, one after another, to the second order (Baker, Campbell
        # and Hausdorff): pitch, yaw and roll are about its right, up and backward axes.
        turn = turn + part.turn + np.cross(turn, part.turn) / 2.0
        variance += np.diag(part.spread)
    agreeing = min(part.agreeing for part in parts)
    if whole is None:
        told = [part.rotation() for part in parts]
        by_down = sum(each.pitch_per_down_px for each in told)
        by_bent = sum(each.roll_per_bent for each in told)
    else:
        told_whole = whole.rotation()
        by_down, by_bent = told_whole.pitch_per_down_px, told_whole.roll_per_bent
        share = np.diag(whole.spread) / (np.diag(whole.spread) + variance)
        turn = share * turn + (1.0 - share) * whole.turn
        variance = np.minimum(variance, np.diag(whole.spread))
        agreeing = max(agreeing, whole.agreeing)
    return _told(turn, variance, by_down, by_bent, agreeing, followed=True)


def _told(
    turn: Array, variance: Array, by_down: float, by_bent: float, agreeing: float, *, followed: bool
) -> Rotation:
    pitch_deg, yaw_deg, left_deg = np.degrees(turn).tolist()
    pitch_sd_deg, _, roll_sd_deg = np.degrees(SCALES_PX[-1] * np.sqrt(variance)).tolist()
    return Rotation(
        pitch_deg, yaw_deg, -left_deg, pitch_sd_deg, roll_sd_deg, by_down, by_bent, agreeing,
        followed,
    )  # fmt: skip


@dataclass(frozen=True)
class _Fit:
    """A turn fitted to corners.

    Attributes
    ----------
    turn : ndarray, shape (3,)
        Pitch upward, yaw to the left and roll to the left, radians.
    spread : ndarray, shape (3, 3)
        Its covariance over the square of the last of `SCALES_PX`.
    weight : ndarray, shape (n,)
        How well each corner agrees.
    """

    tracked: Tracked
    focal_px: float
    travel: Array
    turn: Array
    spread: Array
    seen: _Across
    weight: Array

    @property
    def agreeing(self) -> float:
        return float(self.weight[self.seen.clear].sum())

    def rotation(self) -> Rotation:
        """The turn, and how it depends on what is taken to be known."""
        tracked, travel, turn, seen = self.tracked, self.travel, self.turn, self.seen
        lower = _Across.of(tracked.before, tracked.after, travel + DOWN * SMALL, self.focal_px)
        # As if the camera had only driven on and turned aside, and nothing been measured wrongly.
        midway = (tracked.before + tracked.after) / 2.0
        field = corners.motion_field(midway, self.focal_px)
        away = midway - travel
        away /= np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-3)
        driven = tracked.after - tracked.before - field @ turn
        half = (field[:, :, 1] * turn[1] + away * (driven * away).sum(axis=1, keepdims=True)) / 2.0
        straight = _Across.of(midway - half, midway + half, travel, self.focal_px)
        unbent = _Across.of(
            _unbent(midway - half), _unbent(midway + half), _unbent(travel), self.focal_px
        )
        only = turn * [0.0, 1.0, 0.0]
        changes = [lower.off(turn) - seen.off(turn), unbent.off(only) - straight.off(only)]
        weighted = seen.equations * self.weight[:, None]
        by = np.degrees(self.spread @ (weighted.T @ np.stack(changes, axis=1))) / SMALL
        return _told(
            turn, np.diag(self.spread), float(by[0, 0]), -float(by[2, 1]), self.agreeing,
            followed=False,
        )  # fmt: skip


def _fitted(
    tracks: Sequence[Tracked], mounting: Mounting, starts: Sequence[Array | None]
) -> list[_Fit | None]:
    """Fit a turn to each; by default from that which most corners speak for."""
    if not tracks:
        return []
    focal_px = mounting.focal_px
    prior = np.diag(SCALES_PX[-1] ** 2 / np.radians(corners.TURN_SD_DEG) ** 2)
    counts = np.array([len(each.before) for each in tracks])
    kept = np.arange(counts.max()) < counts[:, None]
    before, after = np.zeros((2, *kept.shape, 2))
    before[kept] = np.concatenate([each.before for each in tracks])
    after[kept] = np.concatenate([each.after for each in tracks])
    driven_m = np.array([each.driven_m for each in tracks])
    turn = np.array([
        _likely(each, mounting) if start is None else start
        for each, start in zip(tracks, starts, strict=True)
    ])  # fmt: skip
    enough = np.full(len(tracks), True)
    for number, scale in enumerate(SCALES_PX):
        if number in (0, AGAIN):
            # The direction of travel depends on the turn.
            right_px = mounting.right_px + focal_px * corners.slip(driven_m, turn[:, 1])
            travel = np.stack([right_px, np.full(len(tracks), mounting.down_px)], axis=1)
            seen = _Across.of(before, after, travel[:, None], focal_px, kept)
            enough &= np.count_nonzero(seen.clear, axis=1) >= corners.FEWEST
        off = seen.off(turn)
        weight = (1.0 + (off / scale) ** 2) ** -2
        weighted = (seen.equations * weight[..., None]).transpose(0, 2, 1)
        normal = weighted @ seen.equations + prior
        pull = weighted @ off[..., None] - prior @ turn[..., None]
        turn = turn + np.linalg.solve(normal, pull)[..., 0]
    spread = np.linalg.inv(normal)
    return [
        _Fit(
            each, focal_px, travel[k], turn[k], spread[k], seen.of_one(k, count), weight[k, :count]
        )
        if enough[k]
        else None
        for k, (each, count) in enumerate(zip(tracks, counts.tolist(), strict=True))
    ]


@dataclass(frozen=True)
class _Across:
    """What corners moved across the lines that lead away from the direction of travel.

    Attributes
    ----------
    clear : ndarray of bool, shape (..., n)
        Corners for which that line is known.
    equations : ndarray, shape (..., n, 3)
        Pixels per radian of pitch, yaw and roll; 0 for the others.
    moved_px : ndarray, shape (..., n)
    """

    clear: NDArray[np.bool_]
    equations: NDArray[np.float64]
    moved_px: NDArray[np.float64]

    @classmethod
    def of(
        cls,
        before: Places,
        after: Places,
        travel: NDArray[np.float64],
        focal_px: float,
        kept: NDArray[np.bool_] | bool = True,
    ) -> _Across:
        midway = (before + after) / 2.0
        moved = after - before
        away = midway - travel
        length = np.maximum(np.hypot(away[..., 0], away[..., 1]), 1e-3)
        clear = (length > CLEAR_PX) & kept
        across_x, across_y = -away[..., 1] * clear / length, away[..., 0] * clear / length
        field = corners.motion_field(midway, focal_px)
        equations = across_x[..., None] * field[..., 0, :] + across_y[..., None] * field[..., 1, :]
        return cls(clear, equations, moved[..., 0] * across_x + moved[..., 1] * across_y)

    def off(self, turn: NDArray[np.float64]) -> NDArray[np.float64]:
        """What a turn, shape (..., 3), leaves of it, shape (..., n)."""
        return np.asarray(self.moved_px - (self.equations @ turn[..., None])[..., 0])

    def of_one(self, k: int, count: int) -> _Across:
        """The first corners of one of several."""
        return _Across(self.clear[k, :count], self.equations[k, :count], self.moved_px[k, :count])


def _unbent(places: Places) -> Places:
    """Places as a lens would show them that bends by `SMALL` times 1e-5 per square pixel less."""
    return np.asarray(places * (1.0 + SMALL * 1e-5 * (places**2).sum(axis=-1, keepdims=True)))


def _likely(tracked: Tracked, mounting: Mounting) -> Array:
    """The turn that most moving corners speak for, of `TRIED_RAD`.

    A fit from no turn at all ends, in a sharp bend, at the few corners that stay in place.
    """
    moved = tracked.after - tracked.before
    moving = tracked.moved_px > MOVING_PX
    if np.count_nonzero(moving) < corners.FEWEST:
        moving[:] = True
    midway = (tracked.before + tracked.after)[moving] / 2.0
    field = corners.motion_field(midway, mounting.focal_px)
    x, y = midway.T
    tried = TRIED_RAD * min(1.0, corners.focal_px() / mounting.focal_px)
    slip_px = mounting.focal_px * tracked.slip(tried[:, 1])
    away_x = x - mounting.right_px - slip_px[:, None]
    away_y = y - mounting.down_px
    length = np.maximum(np.hypot(away_x, away_y), 1e-3)
    turned = tried[:, :2] @ field[:, :, :2].transpose(1, 2, 0)
    driven_x, driven_y = moved[moving].T[:, None] - turned
    along = (away_x * driven_x + away_y * driven_y) / length
    across = (away_x * driven_y - away_y * driven_x) / length
    fits = (length > CLEAR_PX) & (along > -BACKWARDS_PX)
    support = (fits / (1.0 + (across / SUPPORT_PX) ** 2)).sum(axis=1) - DOUBT
    possible = np.abs(tried[:, 1]) <= tracked.driven_m / TIGHTEST_M + NO_TURN_RAD
    return tried[np.where(possible, support, -np.inf).argmax()]
