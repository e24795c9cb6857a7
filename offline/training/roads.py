"""Roads as 3-D curves whose slope and curvature are known exactly.

A road network has one driven path and side roads that meet it at junctions. The path is built
from curvature and grade profiles over distance; position is their integral, so that every label
comes from geometry and never from a drawing. Heading is counter-clockwise from the x axis, seen
from above; positive curvature bends left; z is up.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from offline import roadscene

STEP_M: Final = 0.5
MARGIN_M: Final = 60.0
"""Straight road drawn behind the first and beyond the last driven metre."""
LENGTH_M: Final = (600.0, 1000.0)
"""Driven: a minute or two, so that the camera's mounting, its field of view and a summed slope show
as they do on a trip."""
TRIES: Final = 100
"""A path that crosses itself is drawn again."""

Array = NDArray[np.float64]

SETTINGS: Final = ("field", "forest", "suburb", "street", "motorway", "ramp", "mountain")
_SHARES: Final = (0.16, 0.16, 0.20, 0.22, 0.07, 0.07, 0.12)
_TURN_SHARE: Final = {
    "field": 0.45, "forest": 0.3, "suburb": 0.95, "street": 0.95,
    "motorway": 0.0, "ramp": 0.0, "mountain": 0.1,
}  # fmt: skip
_HILL_SHARE: Final = {
    "field": 0.75, "forest": 0.8, "suburb": 0.75, "street": 0.65,
    "motorway": 0.7, "ramp": 0.7, "mountain": 0.95,
}  # fmt: skip


@dataclass(frozen=True)
class Path:
    """A road's centre line, sampled every `STEP_M`.

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


@dataclass(frozen=True)
class Junction:
    """Where side roads meet the path: centre and radius of the paved area."""

    x: float
    y: float
    z: float
    radius_m: float


@dataclass(frozen=True)
class RoadNetwork:
    """A driven path, its side roads and how the place looks in broad terms."""

    setting: str
    main: Path
    sides: list[Path]
    junctions: list[Junction]
    half_width_m: float
    lanes: int
    left_hand_traffic: bool
    margin_m: float = MARGIN_M
    turn_stretches: list[tuple[float, float]] = field(default_factory=list)


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


def build_network(rng: np.random.Generator) -> RoadNetwork:
    """Draw a road network at random: its setting, path, side roads."""
    setting = str(rng.choice(SETTINGS, p=_SHARES))
    for _ in range(TRIES):
        curvature, turns = _curvature_profile(rng, setting)
        grade = _grade_profile(rng, setting, curvature.size, turns)
        path = integrate(curvature, grade, heading=float(rng.uniform(-math.pi, math.pi)))
        if not _crosses_itself(path):
            break
    lanes = int(rng.integers(2, 5)) if setting == "motorway" else 1 if setting == "ramp" else 2
    lane_m = {"motorway": 3.6, "ramp": 5.0, "street": rng.uniform(2.4, 3.4)}.get(
        setting, rng.uniform(2.6, 3.7)
    )
    half_width = float(lane_m) * lanes / 2.0 + float(rng.uniform(0.1, 0.6))
    sides, junctions = _side_roads(rng, setting, path, turns, half_width)
    return RoadNetwork(
        setting=setting,
        main=path,
        sides=sides,
        junctions=junctions,
        half_width_m=half_width,
        lanes=lanes,
        left_hand_traffic=bool(rng.random() < 0.3),
        turn_stretches=turns,
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


def _samples(length_m: float) -> int:
    return max(2, round(length_m / STEP_M))


def _curvature_profile(
    rng: np.random.Generator, setting: str
) -> tuple[Array, list[tuple[float, float]]]:
    """Curvature over distance, and the stretches (start, end) of junction turns, metres."""
    pieces: list[Array] = [np.zeros(_samples(MARGIN_M))]
    turns: list[tuple[float, float]] = []
    driven = 0.0
    wanted = float(rng.uniform(*LENGTH_M)) * (1.6 if setting == "motorway" else 1.0)
    bend_radius = {
        "field": (35, 160), "forest": (30, 140), "suburb": (30, 120), "street": (30, 150),
        "motorway": (90, 500), "ramp": (20, 60), "mountain": (18, 70),
    }[setting]  # fmt: skip
    turning = rng.random() < _TURN_SHARE[setting]
    while driven < wanted:
        longest = 45 if setting == "mountain" else 65 if turning else 90
        straight = float(rng.uniform(20, longest))
        pieces.append(np.full(_samples(straight), rng.normal(0, 0.0006)))
        driven += straight
        if turning and rng.random() < 0.75:
            radius = float(rng.uniform(6.0, 14.0))
            angle = math.radians(float(np.clip(rng.normal(90, 14), 55, 125)))
            sign = 1.0 if rng.random() < 0.5 else -1.0
            transition = float(rng.uniform(2.0, 6.0))
            arc = max(2.0, angle * radius - transition)
            piece = _eased(sign / radius, arc, transition)
            start = driven + MARGIN_M
            pieces.append(piece)
            driven += piece.size * STEP_M
            turns.append((start, driven + MARGIN_M))
        else:
            # Uniform in curvature, so that tight and wide bends are equally frequent.
            low, high = bend_radius
            curvature = float(rng.uniform(1.0 / high, 1.0 / low))
            curvature *= 1.0 if rng.random() < 0.5 else -1.0
            swing = math.radians(float(rng.uniform(15, 75 if setting != "ramp" else 200)))
            arc = min(swing / abs(curvature), 140.0)
            piece = _eased(curvature, arc, float(rng.uniform(6, 25)))
            pieces.append(piece)
            driven += piece.size * STEP_M
    pieces.append(np.zeros(_samples(MARGIN_M + 40.0)))
    return gaussian_filter1d(np.concatenate(pieces), 1.2 / STEP_M), turns


def _eased(curvature: float, arc_m: float, transition_m: float) -> Array:
    """Curvature that rises linearly (a clothoid), stays, and falls."""
    ramp = np.linspace(0.0, 1.0, _samples(transition_m))
    return curvature * np.concatenate([ramp, np.ones(_samples(arc_m)), ramp[::-1]])


def _grade_profile(
    rng: np.random.Generator, setting: str, samples: int, turns: list[tuple[float, float]]
) -> Array:
    """Grade over distance: level stretches, climbs and descents joined by vertical curves."""
    hilly = rng.random() < _HILL_SHARE[setting]
    grade = np.empty(0)
    sign = 1.0 if rng.random() < 0.5 else -1.0
    steepest = 0.07 if setting == "motorway" else 0.12
    level_next = rng.random() < 0.4
    while grade.size < samples:
        length = float(rng.uniform(40, 150))
        if not hilly or level_next:
            value = float(rng.uniform(-0.012, 0.012))
        else:
            value = sign * float(rng.uniform(0.03, steepest))
            sign = -sign if rng.random() < 0.65 else sign
        level_next = not level_next if rng.random() < 0.7 else level_next
        grade = np.concatenate([grade, np.full(_samples(length), value)])
    smooth = gaussian_filter1d(grade[:samples], float(rng.uniform(5.0, 14.0)) / STEP_M)
    s = np.arange(samples) * STEP_M
    for start, end in turns:
        # Junctions are built nearly level, or the side roads would meet the path at a step.
        centre, half = (start + end) / 2.0, (end - start) / 2.0
        near = np.clip((np.abs(s - centre) - half - 1.0) / 10.0, 0.25, 1.0)
        smooth = smooth * near
    return smooth


def _crosses_itself(path: Path) -> bool:
    points = np.column_stack([path.x, path.y])[::8]
    pairs = cKDTree(points).query_pairs(34.0, output_type="ndarray")
    far = np.abs(pairs[:, 0] - pairs[:, 1]) * 8 * STEP_M > 90.0
    return bool(far.any())


def _side_roads(
    rng: np.random.Generator,
    setting: str,
    path: Path,
    turns: list[tuple[float, float]],
    half_width: float,
) -> tuple[list[Path], list[Junction]]:
    sides: list[Path] = []
    junctions: list[Junction] = []
    arms: list[tuple[float, float, float, float]] = []
    for start, end in turns:
        a, b = round(start / STEP_M), round(end / STEP_M)
        heading_in, heading_out = (
            float(path.heading[a]),
            float(path.heading[min(b, path.x.size - 1)]),
        )
        middle = (a + b) // 2
        cx, cy, cz = float(path.x[middle]), float(path.y[middle]), float(path.z[middle])
        # The legs' lines meet in the corner, outside the arc the car drives.
        corner = _meeting(path, a, min(b, path.x.size - 1))
        if corner is not None:
            cx, cy = corner
        radius = half_width * 1.3 + float(rng.uniform(1.5, 5.0))
        junctions.append(Junction(cx, cy, cz, radius))
        if rng.random() < 0.6:
            arms.append((cx, cy, cz, heading_in))
        if rng.random() < 0.55:
            arms.append((cx, cy, cz, heading_out + math.pi))
    crossing_every = {"street": 70.0, "suburb": 90.0, "field": 220.0}.get(setting, 0.0)
    if crossing_every:
        s = MARGIN_M + float(rng.uniform(10, crossing_every))
        while s < path.length_m - MARGIN_M:
            i = round(s / STEP_M)
            clear = all(abs(s - (a + b) / 2) > (b - a) / 2 + 28.0 for a, b in turns)
            if clear and np.abs(path.curvature[i - 20 : i + 20]).max() < 0.004:
                x, y, z = float(path.x[i]), float(path.y[i]), float(path.z[i])
                junctions.append(Junction(x, y, z, half_width * 1.2 + float(rng.uniform(1.0, 4.0))))
                across = float(path.heading[i]) + math.radians(float(rng.normal(90, 10)))
                if rng.random() < 0.75:
                    arms.append((x, y, z, across))
                if rng.random() < 0.75:
                    arms.append((x, y, z, across + math.pi))
            s += crossing_every * float(rng.uniform(0.7, 1.6))
    points = np.column_stack([path.x, path.y])
    for x, y, z, heading in arms:
        count = _samples(float(rng.uniform(50, 130)))
        curvature = np.full(count, float(rng.normal(0, 0.002)))
        grade = gaussian_filter1d(np.full(count, float(rng.normal(0, 0.015))), 4)
        grade[:24] = 0.0
        arm = integrate(curvature, grade, x=x, y=y, z=z, heading=heading)
        distance, index = cKDTree(points).query(np.column_stack([arm.x, arm.y]))
        near_start = np.hypot(path.x[index] - x, path.y[index] - y) < 40.0
        blocked = np.flatnonzero((distance < 16.0) & ~near_start)
        keep = int(blocked[0]) if blocked.size else count
        if keep * STEP_M > 25.0:
            sides.append(Path(*(v[:keep] for v in _fields(arm))))
    return sides, junctions


def _fields(path: Path) -> tuple[Array, ...]:
    return path.x, path.y, path.z, path.heading, path.curvature, path.grade


def _meeting(path: Path, a: int, b: int) -> tuple[float, float] | None:
    """Where the lines through two places along their headings cross, None if nearly parallel."""
    ux, uy = math.cos(path.heading[a]), math.sin(path.heading[a])
    vx, vy = math.cos(path.heading[b]), math.sin(path.heading[b])
    cross = ux * vy - uy * vx
    if abs(cross) < 0.3:
        return None
    dx, dy = path.x[b] - path.x[a], path.y[b] - path.y[a]
    t = (dx * vy - dy * vx) / cross
    return float(path.x[a] + t * ux), float(path.y[a] + t * uy)
