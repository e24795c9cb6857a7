"""The surroundings of a road network: ground, houses, trees, cars, fences.

The shape of the ground follows the roads; everything on it is drawn at random per setting. None
of it carries labels.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from offline.training import meshes
from offline.training.looks import ground_color
from offline.training.meshes import Material, Mesh
from offline.training.paths import STEP_M, Path
from offline.training.roads import Junction, RoadNetwork

Array = NDArray[np.float64]

GROUND_CELL_M = 5.0
GROUND_REACH_M = 90.0
MOST_TREES = 2000
CLEAR_M = 1.6
"""On either side of the way of the vehicle with the camera."""
TREE_LEAN_RAD = 0.05
POST_LEAN_RAD = 0.02
"""Nothing that grows or was put up by hand stands quite upright."""


class Terrain:
    """Height of the ground anywhere: the roads' own height, banks beside them, then hills."""

    def __init__(self, rng: np.random.Generator, network: RoadNetwork) -> None:
        self._edge = network.half_width_m
        # Nothing stands where vehicles cut a corner.
        paths = [network.main, network.line, *network.sides]
        every = max(1, round(1.5 / STEP_M))
        self.points = np.concatenate([np.column_stack([p.x, p.y])[::every] for p in paths])
        self._z = np.concatenate([p.z[::every] for p in paths])
        roads = sum(p.x[::every].size for p in paths[:2])
        self._z[roads:] += _rise(network, self.points[roads:])
        self._heading = np.concatenate([p.heading[::every] for p in paths])
        self._tree = cKDTree(self.points)
        built_up = network.setting in ("street", "suburb")
        scale = {"mountain": 9.0, "forest": 4.0, "field": 2.5, "ramp": 3.0, "motorway": 3.0}.get(
            network.setting, 0.6
        )
        # One bank height a side, up (a cutting) or down (an embankment), and how far it reaches.
        self._bank = rng.normal(0.0, scale, 2)
        if rng.random() < (0.7 if built_up else 0.35):
            self._bank[:] = rng.normal(0, 0.2, 2)
        self._bank_start = self._edge + rng.uniform(1.5, 4.0)
        self._bank_width = rng.uniform(4.0, 25.0)
        self._hill_m = rng.uniform(0.0, 0.6 if built_up else 14.0)
        self._waves = rng.normal(0, 1, (6, 2)) * rng.uniform(0.006, 0.03)
        self._phases = rng.uniform(0, 2 * math.pi, 6)

    def distance(self, xy: Array) -> Array:
        """Metres from the nearest centre line."""
        return np.asarray(self._tree.query(xy)[0])

    def height(self, xy: Array) -> Array:
        distance, index = self._tree.query(xy, k=6)
        weight = 1.0 / (distance**3 + 0.05)
        road = (self._z[index] * weight).sum(1) / weight.sum(1)
        d = distance[:, 0]
        nearest = index[:, 0]
        offset = xy - self.points[nearest]
        side = (
            -np.sin(self._heading[nearest]) * offset[:, 0]
            + np.cos(self._heading[nearest]) * offset[:, 1]
        )
        blend = 1.0 / (1.0 + np.exp(-side / 3.0))
        bank = self._bank[0] * blend + self._bank[1] * (1.0 - blend)
        rise = _smoothstep((d - self._bank_start) / self._bank_width)
        hills = np.sin(xy @ self._waves.T + self._phases).mean(1) * self._hill_m
        far = _smoothstep((d - self._edge - 6.0) / 60.0)
        sunk = np.where(d < self._edge + 1.0, -0.45, -0.28)
        return np.asarray(road + sunk + bank * rise + hills * far)


def _smoothstep(t: Array) -> Array:
    t = np.clip(t, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def build(rng: np.random.Generator, network: RoadNetwork, driven: Path) -> tuple[Mesh, Terrain]:
    """Build everything that stands still, none of it in the way of the vehicle with the camera."""
    way = cKDTree(np.column_stack([driven.x, driven.y]))
    mesh = Mesh()
    terrain = Terrain(rng, network)
    ground = ground_color(rng, network.setting)
    _add_ground(mesh, rng, network, terrain, ground)
    for path in network.sides:
        _add_road(mesh, network, path, (1.0, 1.0, 0.4), -0.05)
    for junction in network.junctions:
        _add_disc(mesh, junction, -0.03)
    _add_road(mesh, network, network.main, (1.0, 1.0, 1.0), 0.0)
    taken = _add_houses(mesh, rng, network, terrain)
    _add_trees(mesh, rng, network, terrain, taken, way)
    _add_kerbside(mesh, rng, network, way)
    _add_barriers(mesh, rng, network, terrain)
    return mesh, terrain


def _offset(path: Path, lateral_m: float, lift_m: float = 0.0) -> Array:
    return np.column_stack(
        [
            path.x - np.sin(path.heading) * lateral_m,
            path.y + np.cos(path.heading) * lateral_m,
            path.z + lift_m,
        ]
    )


def _rise(network: RoadNetwork, xy: Array) -> Array:
    """How much higher side roads are at places than their own middle, because of a junction."""
    if not network.junctions or not xy.size:
        return np.zeros(xy.shape[0])
    centres = np.array([[j.x, j.y] for j in network.junctions])
    nearest = cKDTree(centres).query(xy)[1]
    rise = np.zeros(xy.shape[0])
    for k in np.unique(nearest):
        rows = nearest == k
        rise[rows] = network.junctions[k].rise_m(*xy[rows].T)
    return rise


def _add_road(
    mesh: Mesh, network: RoadNetwork, path: Path, color: tuple[float, float, float], lift: float
) -> None:
    half_drawn = network.half_width_m * 1.6
    thin = Path(*(v[::2] for v in (path.x, path.y, path.z, path.heading, path.curvature,
                                   path.grade)))  # fmt: skip
    s = np.arange(thin.x.size) * STEP_M * 2
    outer = half_drawn + 3.0
    # The shoulder dips below the ground at its outer edge, so that no gap shows.
    columns = [(outer, lift - 0.5), (half_drawn + 1.6, lift), (-half_drawn - 1.6, lift),
               (-outer, lift - 0.5)]  # fmt: skip
    for (u_left, z_left), (u_right, z_right) in pairwise(columns):
        left, right = _offset(thin, u_left, z_left), _offset(thin, u_right, z_right)
        if path is not network.main:
            for edge in (left, right):
                edge[:, 2] += _rise(network, edge[:, :2])
        meshes.strip(
            mesh,
            left,
            right,
            np.full(s.size, u_left),
            np.full(s.size, u_right),
            s,
            np.asarray(color),
            Material.ROAD,
        )


def _add_disc(mesh: Mesh, junction: Junction, lift: float) -> None:
    angles = np.linspace(0, 2 * math.pi, 17)
    x = junction.x + junction.radius_m * np.cos(angles)
    y = junction.y + junction.radius_m * np.sin(angles)
    ring = np.column_stack([x, y, junction.z + lift + junction.rise_m(x, y)])
    centre = np.tile([junction.x, junction.y, junction.z + lift], (16, 1))
    corners = np.stack([centre, ring[:-1], ring[1:], centre], 1)
    uv = np.zeros((16, 4, 2))
    meshes.quads(mesh, corners, uv, np.tile([1.0, 1.0, 0.4], (16, 1)), Material.ROAD)


def _add_ground(
    mesh: Mesh, rng: np.random.Generator, network: RoadNetwork, terrain: Terrain, color: Array
) -> None:
    low, high = terrain.points.min(0) - GROUND_REACH_M, terrain.points.max(0) + GROUND_REACH_M
    nx, ny = (np.ceil((high - low) / GROUND_CELL_M).astype(int) + 1).tolist()
    gx, gy = np.meshgrid(low[0] + np.arange(nx) * GROUND_CELL_M,
                         low[1] + np.arange(ny) * GROUND_CELL_M, indexing="ij")  # fmt: skip
    xy = np.column_stack([gx.ravel(), gy.ravel()])
    near = terrain.distance(xy) < GROUND_REACH_M
    z = np.full(xy.shape[0], np.nan)
    z[near] = terrain.height(xy[near])
    grid = np.column_stack([xy, z]).reshape(nx, ny, 3)
    corners = np.stack(
        [grid[:-1, :-1], grid[1:, :-1], grid[1:, 1:], grid[:-1, 1:]], axis=2
    ).reshape(-1, 4, 3)
    corners = corners[~np.isnan(corners).any(axis=(1, 2))]
    n = corners.shape[0]
    meshes.quads(mesh, corners, np.zeros((n, 4, 2)), np.tile(color, (n, 1)), Material.GROUND)
    # An apron to the horizon hides the edge of the near ground.
    reach, level = 3000.0, float(np.nanmin(z)) - 2.0
    cx, cy = (low + high) / 2
    apron = np.array([[[cx - reach, cy - reach, level], [cx + reach, cy - reach, level],
                       [cx + reach, cy + reach, level],
                       [cx - reach, cy + reach, level]]])  # fmt: skip
    meshes.quads(mesh, apron, np.zeros((1, 4, 2)), color[None] * rng.uniform(0.6, 1.1),
                 Material.GROUND)  # fmt: skip


def _alongside(
    rng: np.random.Generator, network: RoadNetwork, spacing: tuple[float, float],
    setback: tuple[float, float],
) -> tuple[Array, Array, Array]:  # fmt: skip
    """Places along both sides of every road: x, y, and the road's heading there."""
    found: list[tuple[float, float, float]] = []
    for path in [network.main, *network.sides]:
        for side in (-1.0, 1.0):
            s = float(rng.uniform(0, spacing[1]))
            beyond = float(rng.uniform(*setback))
            while s < path.length_m:
                i = round(s / STEP_M)
                lateral = side * (network.half_width_m + beyond + float(rng.uniform(0, 1.0)))
                h = float(path.heading[i])
                found.append((float(path.x[i]) - math.sin(h) * lateral,
                              float(path.y[i]) + math.cos(h) * lateral, h))  # fmt: skip
                s += float(rng.uniform(*spacing))
    if not found:
        return np.zeros(0), np.zeros(0), np.zeros(0)
    x, y, heading = np.array(found).T
    return x, y, heading


def _add_houses(
    mesh: Mesh, rng: np.random.Generator, network: RoadNetwork, terrain: Terrain
) -> Array:
    """Add houses; returns their places, shape (n, 2)."""
    density = {"street": 1.0, "suburb": 0.85, "field": 0.12, "forest": 0.05, "motorway": 0.03,
               "ramp": 0.05, "mountain": 0.06}[network.setting]  # fmt: skip
    canyon = network.setting == "street"
    spacing = (9.0, 17.0) if canyon else (14.0, 26.0)
    setback = (6.5, 11.0) if canyon else (9.0, 18.0)
    x, y, heading = _alongside(rng, network, spacing, setback)
    keep = rng.random(x.size) < density
    x, y, heading = x[keep], y[keep], heading[keep]
    n = x.size
    length = rng.uniform(7, 16, n)
    depth = rng.uniform(6, 10, n)
    clearance = network.half_width_m + np.maximum(2.5, 0.4 * np.hypot(length, depth) - 1.0)
    good = terrain.distance(np.column_stack([x, y])) > clearance if n else np.zeros(0, bool)
    chosen: list[int] = []
    for i in np.flatnonzero(good):
        if all(
            math.hypot(x[i] - x[j], y[i] - y[j]) > 0.45 * (length[i] + length[j]) for j in chosen
        ):
            chosen.append(int(i))
    pick = np.array(chosen, dtype=int)
    x, y, heading, length, depth = x[pick], y[pick], heading[pick], length[pick], depth[pick]
    n = x.size
    if n == 0:
        return np.zeros((0, 2))
    z = terrain.height(np.column_stack([x, y])) - 0.8
    storeys = rng.integers(1, 5 if canyon else 3, n)
    height = storeys * 2.8 + 1.2
    shade = rng.uniform(0.2, 0.95, (n, 1)) ** 0.7
    wall = shade * rng.uniform(0.8, 1.0, (n, 3))
    roof = rng.uniform(0.08, 0.4, (n, 1)) * np.array([[1.0, 0.75, 0.65]])
    base = meshes.footprint(x, y, heading, length, depth)
    meshes.boxes(mesh, base, z, height, wall, Material.FACADE, top_color=roof,
                 top_material=Material.PLAIN)  # fmt: skip
    pitched = rng.random(n) < 0.8
    meshes.gables(mesh, base[pitched], (z + height)[pitched], rng.uniform(1.5, 4.0, n)[pitched],
                  roof[pitched], wall[pitched])  # fmt: skip
    return np.column_stack([x, y])


def _add_trees(
    mesh: Mesh, rng: np.random.Generator, network: RoadNetwork, terrain: Terrain, houses: Array,
    way: cKDTree,
) -> None:  # fmt: skip
    per_m = {"forest": 1.6, "mountain": 0.9, "field": 0.15, "suburb": 0.35, "street": 0.18,
             "ramp": 0.6, "motorway": 0.35}[network.setting]  # fmt: skip
    n = int(min(network.main.length_m * per_m * rng.uniform(0.4, 1.4), MOST_TREES))
    points = terrain.points[rng.integers(0, terrain.points.shape[0], n)]
    reach = network.half_width_m + 2.2 + rng.exponential(14.0, n)
    angle = rng.uniform(0, 2 * math.pi, n)
    xy = points + np.column_stack([np.cos(angle), np.sin(angle)]) * reach[:, None]
    if network.setting in ("street", "suburb") and rng.random() < 0.6:
        x, y, _ = _alongside(rng, network, (8.0, 22.0), (0.7, 2.0))
        xy = np.concatenate([xy, np.column_stack([x, y])])
    xy = xy[terrain.distance(xy) > network.half_width_m + 0.6]
    xy = xy[np.asarray(way.query(xy)[0]) > CLEAR_M]
    if houses.shape[0] and xy.shape[0]:
        xy = xy[np.asarray(cKDTree(houses).query(xy)[0]) > 5.5]
    if xy.shape[0] == 0:
        return
    n = xy.shape[0]
    position = np.column_stack([xy, terrain.height(xy)])
    conifers = float(rng.choice([0.05, 0.3, 0.9]))
    bushes = float(rng.uniform(0.0, 0.5))
    height = np.where(rng.random(n) < bushes, rng.uniform(1.0, 3.0, n), rng.uniform(4.5, 17.0, n))
    green = rng.uniform(0.05, 0.3, (n, 1)) * np.array([[0.75, 1.0, 0.45]])
    green *= float(rng.uniform(0.6, 1.4))
    meshes.trees(mesh, rng, position, height, np.clip(green, 0, 1),
                 conifer=np.asarray(rng.random(n) < conifers),
                 lean=np.tan(rng.normal(0.0, TREE_LEAN_RAD, (n, 2))))  # fmt: skip


def _add_kerbside(mesh: Mesh, rng: np.random.Generator, network: RoadNetwork, way: cKDTree) -> None:
    """Parked cars, lamp posts and signs."""
    if network.setting in ("street", "suburb") and rng.random() < 0.85:
        x, y, heading = _alongside(rng, network, (5.4, 13.0), (-0.9, 0.4))
        near_junction = np.zeros(x.size, bool)
        for j in network.junctions:
            near_junction |= np.hypot(x - j.x, y - j.y) < j.radius_m + 5.0
        points = np.column_stack([network.main.x, network.main.y])
        # A car parked on one road must not stand on another.
        clear = np.asarray(cKDTree(points).query(np.column_stack([x, y]))[0]) > (
            network.half_width_m - 1.1
        )
        clear &= np.asarray(way.query(np.column_stack([x, y]))[0]) > CLEAR_M + 0.7
        keep = ~near_junction & clear & (rng.random(x.size) < float(rng.uniform(0.2, 0.9)))
        paths = [network.main, *network.sides]
        all_z = np.concatenate([p.z for p in paths])
        all_xy = np.concatenate([np.column_stack([p.x, p.y]) for p in paths])
        z = all_z[cKDTree(all_xy).query(np.column_stack([x, y]))[1]]
        about = heading + np.pi * (rng.random(x.size) < 0.5) + rng.normal(0, 0.03, x.size)
        meshes.cars(mesh, rng, x[keep], y[keep], z[keep], about[keep])
    if rng.random() < 0.6:
        x, y, heading = _alongside(rng, network, (20.0, 45.0), (0.8, 3.0))
        paths = [network.main, *network.sides]
        all_z = np.concatenate([p.z for p in paths])
        all_xy = np.concatenate([np.column_stack([p.x, p.y]) for p in paths])
        distance, index = cKDTree(all_xy).query(np.column_stack([x, y]))
        keep = np.asarray(distance) > network.half_width_m + 0.5
        keep &= np.asarray(way.query(np.column_stack([x, y]))[0]) > CLEAR_M
        x, y, heading, z = x[keep], y[keep], heading[keep], all_z[index][keep]
        n = x.size
        tall = rng.uniform(6.0, 10.0) if rng.random() < 0.7 else rng.uniform(0.9, 2.5)
        width = np.full(n, 0.12 if tall < 3 else 0.2)
        base = meshes.footprint(x, y, heading, width, width)
        shade = float(rng.uniform(0.12, 0.75))
        lean = np.tan(rng.normal(0.0, POST_LEAN_RAD, (n, 1, 2))) * (tall + 0.5)
        meshes.boxes(mesh, base, z - 0.5, np.full(n, tall + 0.5), np.full((n, 3), shade),
                     Material.GRAIN, top=base + lean)  # fmt: skip
        signs = rng.random(n) < 0.25
        plate = meshes.footprint(x, y, heading + np.pi / 2, np.full(n, 0.7), np.full(n, 0.05))
        meshes.boxes(mesh, plate[signs], (z + min(tall, 2.2))[signs], np.full(n, 0.7)[signs],
                     rng.uniform(0.2, 0.95, (n, 3))[signs], Material.PLAIN)  # fmt: skip


def _add_barriers(
    mesh: Mesh, rng: np.random.Generator, network: RoadNetwork, terrain: Terrain
) -> None:
    """Guard rails, fences, walls and hedges beside the driven road."""
    likely = {"motorway": 0.9, "ramp": 0.7, "mountain": 0.6}.get(network.setting, 0.4)
    path = network.main
    thin = Path(*(v[::4] for v in (path.x, path.y, path.z, path.heading, path.curvature,
                                   path.grade)))  # fmt: skip
    s = np.arange(thin.x.size) * STEP_M * 4
    for side in (-1.0, 1.0):
        if rng.random() > likely:
            continue
        built_up = network.setting in ("street", "suburb")
        shares = [0.1, 0.25, 0.3, 0.35] if built_up else [0.6, 0.2, 0.1, 0.1]
        kind = str(rng.choice(["rail", "fence", "wall", "hedge"], p=shares))
        away = float(rng.uniform(2.6, 4.5) if built_up else rng.uniform(0.9, 3.0))
        lateral = side * (network.half_width_m + away)
        bottom, top = {"rail": (0.4, 0.78), "fence": (0.0, 1.2), "wall": (-0.4, 1.0),
                       "hedge": (-0.4, 1.8)}[kind]  # fmt: skip
        top *= float(rng.uniform(0.7, 1.4))
        foot = _offset(thin, lateral, bottom - 0.1)
        crown = _offset(thin, lateral, top)
        keep = np.ones(thin.x.size - 1, bool)
        for j in network.junctions:
            keep &= np.hypot(foot[:-1, 0] - j.x, foot[:-1, 1] - j.y) > j.radius_m + 4.0
        keep &= terrain.distance(foot[:-1, :2]) > network.half_width_m + 0.5
        # Gaps: barriers come and go.
        gate = np.sin(s[:-1] * float(rng.uniform(0.01, 0.06)) + float(rng.uniform(0, 6)))
        keep &= gate > float(rng.uniform(-1.0, 0.4))
        color = rng.uniform(0.25, 0.8) * np.ones(3)
        material = {"rail": Material.PLAIN, "fence": Material.GRAIN, "wall": Material.PLAIN,
                    "hedge": Material.HEDGE}[kind]  # fmt: skip
        if kind == "hedge":
            color = rng.uniform(0.08, 0.3) * np.array([0.75, 1.0, 0.45])
        upper, lower = np.ones(s.size), np.zeros(s.size)
        if kind != "hedge":
            upper = upper * (top - bottom)
        meshes.strip(mesh, crown, foot, upper, lower, s, color, material, keep=keep)
