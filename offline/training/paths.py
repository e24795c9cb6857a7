"""Curves in space whose slope and curvature are known exactly.

A path is built from curvature and grade over distance; position is their integral, so that every
label comes from geometry and never from a drawing. Heading is counter-clockwise from the x axis,
seen from above; positive curvature bends left; z is up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from offline import roadscene

STEP_M: Final = 0.5

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Path:
    """A line on the ground, sampled every `STEP_M`.

    Attributes
    ----------
    x, y, z : ndarray, shape (n,), metres
    heading : ndarray, shape (n,), radians
    curvature : ndarray, shape (n,), 1/m, left positive
    grade : ndarray, shape (n,)
        Rise over run, 0.05 being 5 %.
    """

    x: Array
    y: Array
    z: Array
    heading: Array
    curvature: Array
    grade: Array

    @property
    def length_m(self) -> float:
        return (self.x.size - 1) * STEP_M

    def at(self, s_m: Array, values: Array) -> Array:
        """Interpolate one of the path's arrays at distances along it."""
        return np.interp(s_m, np.arange(self.x.size) * STEP_M, values)

    def part(self, count: int) -> Path:
        """The path up to a sample."""
        held = self.x, self.y, self.z, self.heading, self.curvature, self.grade
        return Path(*(values[:count] for values in held))


@dataclass(frozen=True)
class Geometry:
    """What lies ahead of places on the path; the ground truth of every label.

    Attributes
    ----------
    grade_percent : ndarray, shape (n,)
        Mean over the next `roadscene.LOOK_AHEAD_M`.
    heading_change_deg : ndarray, shape (n,)
        Over the next `roadscene.HEADING_WINDOW_M`, left positive.
    curvature_per_m : ndarray, shape (n,)
        Mean over the next `roadscene.LOOK_AHEAD_M`.
    peak_curvature_per_m : ndarray, shape (n,)
        Largest magnitude within the heading window, from 3 m behind on.
    """

    grade_percent: Array
    heading_change_deg: Array
    curvature_per_m: Array
    peak_curvature_per_m: Array

    def slopes(self) -> list[str]:
        return [roadscene.slope_of_grade(float(grade)) for grade in self.grade_percent]

    def courses(self) -> list[str]:
        names = []
        for heading, curvature, peak in zip(
            self.heading_change_deg, self.curvature_per_m, self.peak_curvature_per_m, strict=True
        ):
            name = roadscene.course_of_heading(float(heading), float(curvature))
            if name.endswith("_turn") and peak < roadscene.TURN_CURVATURE_PER_M:
                name = "curve"
            names.append(name)
        return names


def geometry_ahead(path: Path, s_m: Array) -> Geometry:
    """Measure what lies ahead of places on a path."""
    s_m = np.asarray(s_m, dtype=np.float64)
    rise = path.at(s_m + roadscene.LOOK_AHEAD_M, path.z) - path.at(s_m, path.z)
    here = path.at(s_m, path.heading)
    change = path.at(s_m + roadscene.HEADING_WINDOW_M, path.heading) - here
    bend = path.at(s_m + roadscene.LOOK_AHEAD_M, path.heading) - here
    window = np.arange(-3.0, roadscene.HEADING_WINDOW_M + STEP_M, STEP_M)
    around = path.at((s_m[:, None] + window).ravel(), np.abs(path.curvature))
    return Geometry(
        grade_percent=100.0 * rise / roadscene.LOOK_AHEAD_M,
        heading_change_deg=np.degrees(change),
        curvature_per_m=bend / roadscene.LOOK_AHEAD_M,
        peak_curvature_per_m=around.reshape(s_m.size, window.size).max(axis=1),
    )


def integrate(
    curvature: Array, grade: Array, *, x: float = 0.0, y: float = 0.0, z: float = 0.0,
    heading: float = 0.0,
) -> Path:  # fmt: skip
    """Integrate curvature and grade over distance to a path (trapezoidal rule)."""

    def cumulated(values: Array, start: float) -> Array:
        steps = (values[1:] + values[:-1]) * (STEP_M / 2.0)
        return start + np.concatenate([[0.0], np.cumsum(steps)])

    headings = cumulated(curvature, heading)
    return Path(
        x=cumulated(np.cos(headings), x),
        y=cumulated(np.sin(headings), y),
        z=cumulated(grade, z),
        heading=headings,
        curvature=curvature,
        grade=grade,
    )


def beside(path: Path, lateral_m: Array) -> tuple[Path, Array]:
    """The path of what keeps off another one to the side.

    Parameters
    ----------
    path : Path
    lateral_m : ndarray, shape (n,)
        Left positive, smooth, and less than the path's radius wherever it bends that way.

    Returns
    -------
    tuple of Path and ndarray, shape (m,)
        And where on the other path each of its samples is, metres.
    """
    narrower = 1.0 - path.curvature * lateral_m
    aside = np.gradient(lateral_m, STEP_M)
    made = resampled(
        path.x - np.sin(path.heading) * lateral_m,
        path.y + np.cos(path.heading) * lateral_m,
        path.z,
        path.heading + np.arctan2(aside, narrower),
    )
    step_m = np.hypot(narrower, aside)
    far_m = np.concatenate([[0.0], np.cumsum((step_m[1:] + step_m[:-1]) * (STEP_M / 2.0))])
    place_m = np.interp(np.arange(made.x.size) * STEP_M, far_m, np.arange(path.x.size) * STEP_M)
    return made, place_m


def resampled(x: Array, y: Array, z: Array, heading: Array) -> Path:
    """A path through places in order, however far apart they are."""
    far_m = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    s_m = np.arange(int(far_m[-1] / STEP_M) + 1) * STEP_M
    x, y, z, heading = (np.interp(s_m, far_m, values) for values in (x, y, z, heading))
    return Path(
        x=x,
        y=y,
        z=z,
        heading=heading,
        curvature=np.gradient(heading, STEP_M),
        grade=np.gradient(z, STEP_M),
    )


def meeting(path: Path, a: int, b: int) -> tuple[float, float] | None:
    """Where the lines through two places along their headings cross, None if nearly parallel."""
    ux, uy = math.cos(path.heading[a]), math.sin(path.heading[a])
    vx, vy = math.cos(path.heading[b]), math.sin(path.heading[b])
    cross = ux * vy - uy * vx
    if abs(cross) < 0.3:
        return None
    dx, dy = path.x[b] - path.x[a], path.y[b] - path.y[a]
    t = (dx * vy - dy * vx) / cross
    return float(path.x[a] + t * ux), float(path.y[a] + t * uy)
