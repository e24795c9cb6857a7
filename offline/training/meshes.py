"""Triangles for the scene: boxes, walls, trees, cars, in bulk."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.floating]

FLOATS_PER_VERTEX: Final = 11
"""Position (3), normal (3), uv (2), colour (3)."""


class Material(IntEnum):
    """What the fragment shader makes of a surface."""

    ROAD = 0
    GROUND = 1
    FACADE = 2
    PLAIN = 3
    CROWN = 4
    CONIFER = 5
    CAR = 6
    GRAIN = 7
    HEDGE = 8


class Mesh:
    """Collects triangles by material; `vertices` is what the renderer uploads."""

    def __init__(self) -> None:
        self._parts: dict[Material, list[NDArray[np.float32]]] = {}

    def add(
        self, position: Array, normal: Array, uv: Array, color: Array, material: Material
    ) -> None:
        """Append triangles; arrays of shape (n, 3 or 2), three rows a triangle."""
        n = position.shape[0]
        part = np.empty((n, FLOATS_PER_VERTEX), np.float32)
        part[:, 0:3] = position
        part[:, 3:6] = normal
        part[:, 6:8] = uv
        part[:, 8:11] = color
        self._parts.setdefault(material, []).append(part)

    def vertices(self) -> dict[Material, NDArray[np.float32]]:
        """Vertices of each material there is, shape (n, `FLOATS_PER_VERTEX`)."""
        return {material: np.concatenate(parts) for material, parts in self._parts.items()}


def quads(mesh: Mesh, corners: Array, uv: Array, color: Array, material: Material) -> None:
    """Append quads.

    Parameters
    ----------
    corners : ndarray, shape (n, 4, 3)
        Counter-clockwise seen from the front.
    uv : ndarray, shape (n, 4, 2)
    color : ndarray, shape (n, 3)
    """
    if corners.shape[0] == 0:
        return
    order = [0, 1, 2, 0, 2, 3]
    # From the diagonals, so that a quad with two equal corners (a triangle) has a normal too.
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    length = np.linalg.norm(normal, axis=1, keepdims=True)
    normal = normal / np.maximum(length, 1e-9)
    mesh.add(
        corners[:, order].reshape(-1, 3),
        np.repeat(normal, 6, axis=0),
        uv[:, order].reshape(-1, 2),
        np.repeat(np.asarray(color, dtype=np.float64), 6, axis=0),
        material,
    )


def _sized_uv(width: Array, height: Array) -> Array:
    zero = np.zeros_like(width)
    return np.stack(
        [
            np.stack([zero, zero], 1),
            np.stack([width, zero], 1),
            np.stack([width, height], 1),
            np.stack([zero, height], 1),
        ],
        axis=1,
    )


def footprint(x: Array, y: Array, heading: Array, length: Array, width: Array) -> Array:
    """Corners of rectangles on the ground, shape (n, 4, 2), counter-clockwise."""
    ahead = np.stack([np.cos(heading), np.sin(heading)], 1)
    left = np.stack([-np.sin(heading), np.cos(heading)], 1)
    centre = np.stack([x, y], 1)
    signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)
    return np.asarray(
        centre[:, None]
        + 0.5 * length[:, None, None] * signs[None, :, :1] * ahead[:, None]
        + 0.5 * width[:, None, None] * signs[None, :, 1:] * left[:, None]
    )


def boxes(
    mesh: Mesh,
    base: Array,
    z: Array,
    height: Array,
    color: Array,
    material: Material,
    *,
    top: Array | None = None,
    top_color: Array | None = None,
    top_material: Material | None = None,
) -> None:
    """Append boxes standing on the ground.

    Parameters
    ----------
    base : ndarray, shape (n, 4, 2)
        From `footprint`.
    z, height : ndarray, shape (n,)
    color : ndarray, shape (n, 3)
    top : ndarray, shape (n, 4, 2), optional
        Another outline for the top, for tapered boxes.
    """
    top = base if top is None else top
    roof_height = z + height
    for side in range(4):
        following = (side + 1) % 4
        low_a = np.column_stack([base[:, side], z])
        low_b = np.column_stack([base[:, following], z])
        high_a = np.column_stack([top[:, side], roof_height])
        high_b = np.column_stack([top[:, following], roof_height])
        width = np.linalg.norm(low_b - low_a, axis=1)
        quads(
            mesh, np.stack([low_a, low_b, high_b, high_a], 1), _sized_uv(width, height), color,
            material,
        )  # fmt: skip
    roof = np.stack([np.column_stack([top[:, k], roof_height]) for k in range(4)], 1)
    side_a = np.linalg.norm(base[:, 1] - base[:, 0], axis=1)
    side_b = np.linalg.norm(base[:, 3] - base[:, 0], axis=1)
    quads(
        mesh,
        roof,
        _sized_uv(side_a, side_b),
        color if top_color is None else top_color,
        material if top_material is None else top_material,
    )


def gables(mesh: Mesh, base: Array, eaves: Array, rise: Array, roof: Array, wall: Array) -> None:
    """Append pitched roofs whose ridge runs along the footprint's first side."""
    corner = [np.column_stack([base[:, k], eaves]) for k in range(4)]
    ridge_a = np.column_stack([(base[:, 0] + base[:, 3]) / 2, eaves + rise])
    ridge_b = np.column_stack([(base[:, 1] + base[:, 2]) / 2, eaves + rise])
    width = np.linalg.norm(base[:, 1] - base[:, 0], axis=1)
    slope = np.linalg.norm(ridge_a - corner[0], axis=1)
    uv = _sized_uv(width, slope)
    quads(mesh, np.stack([corner[0], corner[1], ridge_b, ridge_a], 1), uv, roof, Material.PLAIN)
    quads(mesh, np.stack([corner[2], corner[3], ridge_a, ridge_b], 1), uv, roof, Material.PLAIN)
    quads(mesh, np.stack([corner[1], corner[2], ridge_b, ridge_b], 1), uv, wall, Material.PLAIN)
    quads(mesh, np.stack([corner[3], corner[0], ridge_a, ridge_a], 1), uv, wall, Material.PLAIN)


def trees(
    mesh: Mesh,
    rng: np.random.Generator,
    position: Array,
    height: Array,
    color: Array,
    *,
    conifer: NDArray[np.bool_],
    lean: Array,
) -> None:
    """Append trees: a trunk and crossed, ragged crowns.

    Parameters
    ----------
    position : ndarray, shape (n, 3)
    height : ndarray, shape (n,), metres
    conifer : ndarray of bool, shape (n,)
    lean : ndarray, shape (n, 2)
        Metres to the side per metre up.
    """
    n = height.size
    if n == 0:
        return
    trunk_width = np.clip(height * 0.035, 0.12, 0.7)
    heading = rng.uniform(0, np.pi, n)
    base = footprint(position[:, 0], position[:, 1], heading, trunk_width, trunk_width)
    bark = np.outer(rng.uniform(0.1, 0.32, n), [1.0, 0.85, 0.7])
    z = position[:, 2]
    trunk = np.where(conifer, 0.25, rng.uniform(0.25, 0.55, n)) * height
    boxes(mesh, base, z - 0.3, trunk + 0.5, bark, Material.GRAIN,
          top=base + (lean * (trunk + 0.5)[:, None])[:, None])  # fmt: skip
    spread = np.where(conifer, rng.uniform(0.3, 0.5, n), rng.uniform(0.6, 1.1, n)) * height
    bottom = np.where(conifer, 0.08 * height, trunk * 0.6)
    for turn in (0.0, np.pi / 3, 2 * np.pi / 3):
        across = np.stack([np.cos(heading + turn), np.sin(heading + turn)], 1) * spread[:, None] / 2
        low, high = z + bottom, z + height
        foot = position[:, :2] + lean * bottom[:, None]
        crest = position[:, :2] + lean * height[:, None]
        corners = np.stack(
            [
                np.column_stack([foot - across, low]),
                np.column_stack([foot + across, low]),
                np.column_stack([crest + across, high]),
                np.column_stack([crest - across, high]),
            ],
            axis=1,
        )
        one = np.ones(n)
        uv = _sized_uv(one, one)
        for kind, chosen in ((Material.CROWN, ~conifer), (Material.CONIFER, conifer)):
            quads(mesh, corners[chosen], uv[chosen], color[chosen], kind)


def cars(
    mesh: Mesh, rng: np.random.Generator, x: Array, y: Array, z: Array, heading: Array
) -> None:
    """Append parked or moving cars, vans and lorries at places, pointing along `heading`."""
    n = x.size
    if n == 0:
        return
    kind = rng.random(n)
    length = np.where(kind < 0.8, rng.uniform(3.7, 4.8, n), rng.uniform(5.0, 8.0, n))
    width = np.where(kind < 0.8, rng.uniform(1.65, 1.9, n), rng.uniform(1.95, 2.4, n))
    body = np.where(kind < 0.8, rng.uniform(0.75, 0.95, n), rng.uniform(1.6, 2.6, n))
    cabin = np.where(kind < 0.8, rng.uniform(0.5, 0.75, n), 0.25)
    paints = np.array(
        [[0.9, 0.9, 0.9], [0.05, 0.05, 0.06], [0.35, 0.36, 0.38], [0.6, 0.62, 0.65],
         [0.45, 0.05, 0.05], [0.07, 0.1, 0.35], [0.1, 0.2, 0.12], [0.5, 0.45, 0.35]]
    )  # fmt: skip
    paint = paints[rng.integers(0, len(paints), n)] * rng.uniform(0.8, 1.1, (n, 1))
    lower = footprint(x, y, heading, length, width)
    boxes(mesh, lower, z + 0.3, body - 0.3, paint, Material.CAR)
    under = footprint(x, y, heading, length * 0.95, width * 0.9)
    boxes(mesh, under, z, np.full(n, 0.32), np.full((n, 3), 0.03), Material.CAR)
    shift = -0.06 * length
    cx, cy = x + np.cos(heading) * shift, y + np.sin(heading) * shift
    glass = footprint(cx, cy, heading, length * 0.62, width * 0.94)
    roof = footprint(cx, cy, heading, length * 0.4, width * 0.78)
    boxes(
        mesh, glass, z + body, cabin, np.full((n, 3), 0.06), Material.CAR,
        top=roof, top_color=paint,
    )  # fmt: skip


def strip(
    mesh: Mesh,
    left: Array,
    right: Array,
    u_left: Array,
    u_right: Array,
    s: Array,
    color: Array,
    material: Material,
    *,
    keep: NDArray[np.bool_] | None = None,
) -> None:
    """Append the band between two lines of equally many points.

    Parameters
    ----------
    left, right : ndarray, shape (n, 3)
    u_left, u_right, s : ndarray, shape (n,)
        Texture coordinates across and along.
    keep : ndarray of bool, shape (n - 1,), optional
        Which pieces of the band to draw.
    """
    corners = np.stack([right[:-1], right[1:], left[1:], left[:-1]], axis=1)
    uv = np.stack(
        [
            np.column_stack([u_right[:-1], s[:-1]]),
            np.column_stack([u_right[1:], s[1:]]),
            np.column_stack([u_left[1:], s[1:]]),
            np.column_stack([u_left[:-1], s[:-1]]),
        ],
        axis=1,
    )
    if keep is not None:
        corners, uv = corners[keep], uv[keep]
    quads(mesh, corners, uv, np.tile(np.asarray(color, float), (corners.shape[0], 1)), material)
