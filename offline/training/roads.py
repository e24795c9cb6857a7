"""Road networks drawn at random: a road, the line that is driven along it, side roads.

Where a vehicle turns at a junction its line is not the road's: it swings out, cuts the corner and
unwinds over a longer way than it turned in. Vehicles keep beside the line, in their lane.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d
from scipy.spatial import cKDTree

from offline.training.paths import STEP_M, Path, integrate, meeting, resampled

MARGIN_M: Final = 60.0
"""Straight road drawn behind the first and beyond the last driven metre."""
LENGTH_M: Final = (600.0, 1000.0)
"""Driven: a minute or two, so that the camera's mounting, its field of view and a summed slope show
as they do on a trip."""
PLANE_FADES_M: Final = 20.0
"""Side roads leave a sloping junction in its plane and are level across so far from it."""
STEEPEST: Final = 0.125
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
class Junction:
    """Where side roads meet the path: a paved plane, as steep as the road there.

    Attributes
    ----------
    x, y, z, radius_m : float
        Centre and radius of the paved area.
    slope_x, slope_y : float
        Rise over run along the axes.
    """

    x: float
    y: float
    z: float
    radius_m: float
    slope_x: float = 0.0
    slope_y: float = 0.0

    @classmethod
    def on(cls, path: Path, sample: int, centre: tuple[float, float], radius_m: float) -> Junction:
        """A junction as high and as steep as a path at one of its samples."""
        heading, grade = float(path.heading[sample]), float(path.grade[sample])
        return cls(
            *centre,
            float(path.z[sample]),
            radius_m,
            grade * math.cos(heading),
            grade * math.sin(heading),
        )

    def rise_m(self, x: Array, y: Array) -> Array:
        """How much higher than its centre the plane is; fades out beyond the paved area."""
        away = np.hypot(x - self.x, y - self.y)
        share = np.clip((self.radius_m + PLANE_FADES_M - away) / PLANE_FADES_M, 0.0, 1.0)
        return np.asarray(share * (self.slope_x * (x - self.x) + self.slope_y * (y - self.y)))


@dataclass(frozen=True)
class Turn:
    """Where on a network's line a junction is turned at, metres.

    Attributes
    ----------
    start_m, end_m : float
        The line is the road's middle again.
    steer_m : float
        Where the turn itself begins; before it some drivers swing out.
    """

    start_m: float
    steer_m: float
    end_m: float


@dataclass(frozen=True)
class RoadNetwork:
    """A road, its side roads and how the place looks in broad terms.

    Attributes
    ----------
    main : Path
        The road's centre line, as it is drawn.
    line : Path
        What vehicles follow, each beside it in its lane: the centre line, but for junctions.
    turns : list of Turn
    """

    setting: str
    main: Path
    line: Path
    sides: list[Path]
    junctions: list[Junction]
    half_width_m: float
    lanes: int
    left_hand_traffic: bool
    margin_m: float = MARGIN_M
    turns: list[Turn] = field(default_factory=list)


def build_network(
    rng: np.random.Generator, country: np.random.Generator | None = None, climb: float = 0.0
) -> RoadNetwork:
    """Draw a road network at random: its setting, path, side roads.

    Parameters
    ----------
    country : Generator, optional
        Draws on which side people drive there; `rng` otherwise.
    climb : float
        Added to every grade, rise over run.
    """
    setting = str(rng.choice(SETTINGS, p=_SHARES))
    for _ in range(TRIES):
        curvature, turns = _curvature_profile(rng, setting)
        grade = _grade_profile(rng, setting, curvature.size, turns, climb)
        line = integrate(curvature, grade, heading=float(rng.uniform(-math.pi, math.pi)))
        if not _crosses_itself(line):
            break
    lanes = int(rng.integers(2, 5)) if setting == "motorway" else 1 if setting == "ramp" else 2
    lane_m = {"motorway": 3.6, "ramp": 5.0, "street": rng.uniform(2.4, 3.4)}.get(
        setting, rng.uniform(2.6, 3.7)
    )
    half_width = float(lane_m) * lanes / 2.0 + float(rng.uniform(0.1, 0.6))
    sides, junctions = _side_roads(rng, setting, line, turns, half_width)
    return RoadNetwork(
        setting=setting,
        main=_cornered(rng, line, turns, half_width),
        line=line,
        sides=sides,
        junctions=junctions,
        half_width_m=half_width,
        lanes=lanes,
        left_hand_traffic=bool((country or rng).random() < 0.3),
        turns=turns,
    )


def _samples(length_m: float) -> int:
    return max(2, round(length_m / STEP_M))


def _curvature_profile(rng: np.random.Generator, setting: str) -> tuple[Array, list[Turn]]:
    """Curvature of the line over distance, and the turns at junctions."""
    pieces: list[Array] = [np.zeros(_samples(MARGIN_M))]
    turns: list[Turn] = []
    driven = 0.0
    wanted = float(rng.uniform(*LENGTH_M)) * (1.6 if setting == "motorway" else 1.0)
    bend_radius = {
        "field": (35, 160), "forest": (30, 140), "suburb": (30, 120), "street": (30, 150),
        "motorway": (90, 500), "ramp": (20, 60), "mountain": (20, 70),
    }[setting]  # fmt: skip
    turning = rng.random() < _TURN_SHARE[setting]
    while driven < wanted:
        longest = 45 if setting == "mountain" else 65 if turning else 90
        straight = float(rng.uniform(20, longest))
        pieces.append(np.full(_samples(straight), rng.normal(0, 0.0006)))
        driven += straight
        if turning and rng.random() < 0.75:
            swing, turned = _turn(rng)
            start = driven + MARGIN_M
            pieces += [swing, turned]
            driven += (swing.size + turned.size) * STEP_M
            turns.append(Turn(start, start + swing.size * STEP_M, driven + MARGIN_M))
        else:
            # Uniform in curvature, so that tight and wide bends are equally frequent.
            low, high = bend_radius
            curvature = float(rng.uniform(1.0 / high, 1.0 / low))
            curvature *= 1.0 if rng.random() < 0.5 else -1.0
            angle = math.radians(float(rng.uniform(15, 75 if setting != "ramp" else 200)))
            arc = min(angle / abs(curvature), 140.0)
            entry_m, exit_m = float(rng.uniform(6, 25)), float(rng.uniform(6, 25))
            piece = _eased(curvature, arc, entry_m, exit_m)
            pieces.append(piece)
            driven += piece.size * STEP_M
    pieces.append(np.zeros(_samples(MARGIN_M + 40.0)))
    return gaussian_filter1d(np.concatenate(pieces), 1.2 / STEP_M), turns


def _turn(rng: np.random.Generator) -> tuple[Array, Array]:
    """Curvature of a junction turn as it is driven: of the swing before it, if any, and after.

    Drivers steer in within a few metres, most unwind over more, and some swing out first or turn
    too far and straighten up.
    """
    radius = float(rng.uniform(7.0, 14.0))
    angle = math.radians(float(np.clip(rng.normal(90, 14), 55, 125)))
    sign = 1.0 if rng.random() < 0.5 else -1.0
    before, after = (
        math.radians(float(rng.uniform(2.0, most))) * (rng.random() < 0.3) for most in (9.0, 6.0)
    )
    angle += before + after
    entry_m, exit_m = float(rng.uniform(2.0, 8.0)), float(rng.uniform(2.0, 15.0))
    # Short turns have no room for long transitions.
    share = min(1.0, 1.6 * angle * radius / (entry_m + exit_m))
    entry_m, exit_m = share * entry_m, share * exit_m
    arc_m = angle * radius - (entry_m + exit_m) / 2.0
    swing, straightening = np.zeros(0), np.zeros(0)
    if before:
        swing = -_swing(before, float(rng.uniform(10.0, 18.0)))
    if after:
        straightening = -_swing(after, float(rng.uniform(8.0, 15.0)))
    eased = _eased(1.0 / radius, arc_m, entry_m, exit_m)
    return sign * swing, sign * np.concatenate([eased, straightening])


def _swing(angle: float, length_m: float) -> Array:
    """Curvature that comes and goes smoothly and turns by an angle."""
    shape = np.sin(np.linspace(0.0, math.pi, _samples(length_m))) ** 2
    return np.asarray(shape * angle / (shape.sum() * STEP_M))


def _eased(curvature: float, arc_m: float, entry_m: float, exit_m: float) -> Array:
    """Curvature that rises linearly (a clothoid), stays, and falls."""
    rising, falling = (np.linspace(0.0, 1.0, _samples(length)) for length in (entry_m, exit_m))
    return curvature * np.concatenate([rising, np.ones(_samples(arc_m)), falling[::-1]])


def _cornered(rng: np.random.Generator, line: Path, turns: list[Turn], half_width: float) -> Path:
    """The road that a line is driven along: at junctions its legs meet in a rounded corner."""
    parts: list[tuple[Array, ...]] = []
    done = 0
    for turn in turns:
        a, b = round(turn.start_m / STEP_M), min(round(turn.end_m / STEP_M), line.x.size - 1)
        corner = _corner(rng, line, a, b, half_width)
        if corner is not None:
            parts += [
                (line.x[done:a], line.y[done:a], line.z[done:a], line.heading[done:a]),
                corner,
            ]
            done = b
    parts.append((line.x[done:], line.y[done:], line.z[done:], line.heading[done:]))
    return resampled(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _corner(
    rng: np.random.Generator, line: Path, a: int, b: int, half_width: float
) -> tuple[Array, ...] | None:
    """Places and headings of two legs and the arc between them, None where they do not meet."""
    met = meeting(line, a, b)
    if met is None:
        return None
    x, y = met
    before, after = float(line.heading[a]), float(line.heading[b])
    ux, uy, vx, vy = math.cos(before), math.sin(before), math.cos(after), math.sin(after)
    legs_m = (
        ux * (x - line.x[a]) + uy * (y - line.y[a]),
        vx * (line.x[b] - x) + vy * (line.y[b] - y),
    )
    half = (after - before) / 2.0
    nearest_m = float(np.hypot(line.x[a:b] - x, line.y[a:b] - y).min())
    # As far from where the legs meet as the line passes, or nearer, because lines cut corners; but
    # a road has no inner edge that is tighter than itself is wide.
    radius = nearest_m * float(rng.uniform(0.6, 1.0)) / (1.0 / math.cos(half) - 1.0)
    radius = max(radius, 1.5 * half_width + 0.5)
    radius = min(radius, 0.9 * min(legs_m) / abs(math.tan(half)))
    if radius <= 1.0:
        return None
    tangent_m = radius * abs(math.tan(half))
    side = math.copysign(radius, half)
    turned = np.linspace(0.0, 2.0 * half, max(3, _samples(2.0 * abs(half) * radius)))
    from_x, from_y = x - ux * tangent_m, y - uy * tangent_m
    heading = before + turned
    arc_x = from_x + side * (np.sin(heading) - math.sin(before))
    arc_y = from_y + side * (math.cos(before) - np.cos(heading))
    placed_x = np.concatenate([[line.x[a]], arc_x, [line.x[b - 1]]])
    placed_y = np.concatenate([[line.y[a]], arc_y, [line.y[b - 1]]])
    headings = np.concatenate([[before], heading, [after]])
    far_m = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(placed_x), np.diff(placed_y)))])
    share = far_m / far_m[-1] * (b - 1 - a)
    z = np.interp(share, np.arange(b - a), line.z[a:b])
    return placed_x, placed_y, z, headings


def _grade_profile(
    rng: np.random.Generator, setting: str, samples: int, turns: list[Turn], climb: float
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
    grade = np.clip(grade + climb, -STEEPEST, STEEPEST)
    smooth = gaussian_filter1d(grade[:samples], float(rng.uniform(5.0, 14.0)) / STEP_M)
    s = np.arange(samples) * STEP_M
    for turn in turns:
        # Junctions are built nearly level, or the side roads would meet the path at a step.
        centre, half = (turn.steer_m + turn.end_m) / 2.0, (turn.end_m - turn.steer_m) / 2.0
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
    turns: list[Turn],
    half_width: float,
) -> tuple[list[Path], list[Junction]]:
    sides: list[Path] = []
    junctions: list[Junction] = []
    arms: list[tuple[float, float, float, float]] = []
    for turn in turns:
        a, b = round(turn.start_m / STEP_M), round(turn.end_m / STEP_M)
        heading_in, heading_out = (
            float(path.heading[a]),
            float(path.heading[min(b, path.x.size - 1)]),
        )
        middle = round((turn.steer_m + turn.end_m) / 2.0 / STEP_M)
        cx, cy, cz = float(path.x[middle]), float(path.y[middle]), float(path.z[middle])
        # The legs' lines meet in the corner, outside the arc the car drives.
        corner = meeting(path, a, min(b, path.x.size - 1))
        if corner is not None:
            cx, cy = corner
        radius = half_width * 1.3 + float(rng.uniform(1.5, 5.0))
        # Paved as far as vehicles cut the corner.
        nearest_m = float(np.hypot(path.x[a:b] - cx, path.y[a:b] - cy).min())
        radius = max(radius, nearest_m + 0.6 * half_width + 1.5)
        junctions.append(Junction.on(path, middle, (cx, cy), radius))
        if rng.random() < 0.6:
            arms.append((cx, cy, cz, heading_in))
        if rng.random() < 0.55:
            arms.append((cx, cy, cz, heading_out + math.pi))
    crossing_every = {"street": 70.0, "suburb": 90.0, "field": 220.0}.get(setting, 0.0)
    if crossing_every:
        s = MARGIN_M + float(rng.uniform(10, crossing_every))
        while s < path.length_m - MARGIN_M:
            i = round(s / STEP_M)
            clear = all(not t.start_m - 28.0 < s < t.end_m + 28.0 for t in turns)
            if clear and np.abs(path.curvature[i - 20 : i + 20]).max() < 0.004:
                x, y, z = float(path.x[i]), float(path.y[i]), float(path.z[i])
                radius = half_width * 1.2 + float(rng.uniform(1.0, 4.0))
                junctions.append(Junction.on(path, i, (x, y), radius))
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
            sides.append(arm.part(keep))
    return sides, junctions
