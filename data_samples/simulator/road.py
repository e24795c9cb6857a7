"""Roads as profiles over distance: grade, curvature, speed limit, stops."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from offline.roadscene import (
    COURSES,
    CURVE_CURVATURE_PER_M,
    CURVE_HEADING_CHANGE_DEG,
    HEADING_WINDOW_M,
    LOOK_AHEAD_M,
    SLOPE_THRESHOLD_PERCENT,
    SLOPES,
    TURN_CURVATURE_PER_M,
    TURN_HEADING_CHANGE_DEG,
)

STEP_M = 5.0
Terrain = Literal["flat", "hilly", "mountain"]

GRADE_SD_PERCENT = {"flat": 0.5, "hilly": 3.2, "mountain": 5.5}
MAX_GRADE_PERCENT = {"flat": 1.5, "hilly": 8.0, "mountain": 11.0}
"""Steepest public roads outside towns."""
BENDS_PER_KM = {"flat": 2.0, "hilly": 2.5, "mountain": 3.0}


@dataclass(frozen=True)
class Road:
    """A road, every `STEP_M`.

    Attributes
    ----------
    grade_percent, curvature_per_m, limit_kmh : ndarray, shape (n,)
        Uphill and left positive.
    stops : tuple of (float, float)
        Where the vehicle must stop (m, a whole step), and how long it must wait (s).
    """

    grade_percent: NDArray[np.float64]
    curvature_per_m: NDArray[np.float64]
    limit_kmh: NDArray[np.float64]
    stops: tuple[tuple[float, float], ...] = ()

    @property
    def length_m(self) -> float:
        return float(self.grade_percent.size - 1) * STEP_M

    def flat(self) -> Road:
        """Return the same road without its hills."""
        return replace(self, grade_percent=np.zeros_like(self.grade_percent))

    @cached_property
    def altitude_m(self) -> NDArray[np.float64]:
        """Altitude above the start, shape (n,)."""
        rise = self.grade_percent[:-1] / 100.0 * STEP_M
        return np.concatenate([[0.0], np.cumsum(rise)])

    @cached_property
    def slope(self) -> NDArray[np.int64]:
        """Index in `roadscene.SLOPES` of what lies ahead of every step, by the geometry rule."""
        ahead = round(LOOK_AHEAD_M / STEP_M)
        altitude = np.concatenate([self.altitude_m, np.repeat(self.altitude_m[-1], ahead)])
        percent = (altitude[ahead:] - altitude[:-ahead]) / LOOK_AHEAD_M * 100.0
        up, down = SLOPES.index("uphill"), SLOPES.index("downhill")
        index = np.where(percent > SLOPE_THRESHOLD_PERCENT, up, 0)
        return np.where(percent < -SLOPE_THRESHOLD_PERCENT, down, index)

    @cached_property
    def course(self) -> NDArray[np.int64]:
        """Index in `roadscene.COURSES` of what lies ahead of every step."""
        window, near = round(HEADING_WINDOW_M / STEP_M), round(LOOK_AHEAD_M / STEP_M)
        heading = np.concatenate([[0.0], np.cumsum(self.curvature_per_m * STEP_M)])
        heading = np.concatenate([heading, np.repeat(heading[-1], window)])
        n = self.grade_percent.size
        change = np.degrees(heading[window : window + n] - heading[:n])
        curvature = (heading[near : near + n] - heading[:n]) / LOOK_AHEAD_M
        bends = (np.abs(curvature) >= CURVE_CURVATURE_PER_M) | (
            np.abs(change) >= CURVE_HEADING_CHANGE_DEG
        )
        sharp = np.concatenate([np.abs(self.curvature_per_m), np.zeros(window)])
        peak = np.lib.stride_tricks.sliding_window_view(sharp, window + 1).max(axis=1)
        turns = peak >= TURN_CURVATURE_PER_M
        left, right = (turns & (s * change >= TURN_HEADING_CHANGE_DEG) for s in (1.0, -1.0))
        index = np.where(bends, COURSES.index("curve"), 0)
        index = np.where(left, COURSES.index("left_turn"), index)
        return np.where(right, COURSES.index("right_turn"), index)


def make_road(rng: np.random.Generator, terrain: Terrain, length_m: float) -> Road:
    """Draw a country road with villages, a stretch of fast road, bends, junctions and stops.

    Parameters
    ----------
    rng : Generator
        Equal generators give equal roads.
    terrain : str
        How steep and how winding it is; stops and limits are drawn alike everywhere.
    length_m : float
        Length, at least 1000 m.
    """
    n = int(length_m / STEP_M) + 1
    limit = _limits(rng, n)
    stops = _stops(rng, length_m)
    curvature = _bends(rng, n, BENDS_PER_KM[terrain] * length_m / 1000.0, limit)
    for place, _ in stops:
        # Half of the stops are junctions where the road turns off.
        if rng.random() < 0.5:
            at = int(place / STEP_M) + 2
            curvature[at : at + 4] = rng.choice([-1.0, 1.0]) * np.radians(75.0) / 20.0
    return Road(_grades(rng, n, terrain), curvature, limit, stops)


def _limits(rng: np.random.Generator, n: int) -> NDArray[np.float64]:
    limit = np.empty(n)
    i = 0
    while i < n:
        kind = rng.random()
        kmh, length_m = 80.0, rng.uniform(1500.0, 4000.0)
        if kind < 0.35:
            kmh, length_m = 50.0, rng.uniform(600.0, 1800.0)
        elif kind > 0.85:
            kmh, length_m = 110.0, rng.uniform(3000.0, 6000.0)
        steps = int(length_m / STEP_M)
        limit[i : i + steps] = kmh
        i += steps
    return limit


def _stops(rng: np.random.Generator, length_m: float) -> tuple[tuple[float, float], ...]:
    places = []
    at = rng.uniform(300.0, 1200.0)
    while at < length_m - 200.0:
        places.append((round(at / STEP_M) * STEP_M, float(rng.uniform(2.0, 35.0))))
        at += rng.uniform(500.0, 2500.0)
    return tuple(places)


def _bends(
    rng: np.random.Generator, n: int, count: float, limit_kmh: NDArray[np.float64]
) -> NDArray[np.float64]:
    curvature = np.zeros(n)
    for _ in range(rng.poisson(count)):
        at = int(rng.integers(0, n))
        radius_m = rng.uniform(35.0, 250.0) if limit_kmh[at] < 100.0 else rng.uniform(400.0, 900.0)
        angle = rng.uniform(np.radians(15.0), np.radians(70.0))
        steps = max(int(radius_m * angle / STEP_M), 2)
        curvature[at : at + steps] = rng.choice([-1.0, 1.0]) / radius_m
    return gaussian_filter1d(curvature, 1.0)


def _grades(rng: np.random.Generator, n: int, terrain: Terrain) -> NDArray[np.float64]:
    """Stretches of constant grade, joined smoothly; as much up as down on the whole."""
    sd, steepest = GRADE_SD_PERCENT[terrain], MAX_GRADE_PERCENT[terrain]
    grade = np.empty(n)
    i = 0
    while i < n:
        steps = int(rng.uniform(150.0, 900.0) / STEP_M)
        level = terrain != "flat" and rng.random() < 0.35
        grade[i : i + steps] = 0.0 if level else np.clip(rng.normal(0.0, sd), -steepest, steepest)
        i += steps
    return gaussian_filter1d(grade, 4.0)
