"""Upright edges: what stands upright in a picture tells how the camera is pitched against gravity.

Houses, posts and trunks stand upright, and seen by a camera that looks up or down they lean towards
each other, the more the farther to the side they stand (their vanishing point is the zenith;
Hartley and Zisserman, "Multiple view geometry", 2003, 8.6). Nothing else in a picture knows an
absolute slope. An edge here is a run of pixels across which the picture changes most, from row to
row; its tilt is a line fitted to their places to a fraction of a pixel, because a post seen under a
slope of 4 % is out of plumb by half a pixel over its whole height.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from offline.corners import MIDDLE_PX
from offline.preprocessing import PADDING_ROWS, Image

BLUR_PX: Final = 0.7
LEAST_CONTRAST: Final = 60.0
"""Of Scharr's filter, which shows 32 for a grey level a pixel."""
MOST_ALONG: Final = 0.8
"""Change along the column against that across it."""
MOST_TILT: Final = 0.5
"""Twice what a camera pitched by 10 degrees sees a post at its side lean: what is left out on one
side of the truth only would pull to the other."""
LEAST_ROWS: Final = 8
MOST_CROOKED_PX: Final = 0.4
TILT_SD_PX: Final = 3.0
"""A tilt's standard deviation times the rows to the power of 1.5, as a line's through points that
err each for itself. (Together with `LEAST_TILT_SD` chosen on rendered roads.)"""
LEAST_TILT_SD: Final = 0.01
SAME_PX: Final = (1.0, 8.0)
SAME_TILT: Final = 0.03
AROUND: Final = 20
PASSED_M: Final = 8.0
RECURRING: Final = 4
"""An edge that was at about the same place of so many of the pictures around it, but for those
within a few metres, is no part of the scenery."""
REPEATED: Final = 1.5
"""Pictures in which one and the same edge is seen, with one and the same lean."""
_MARGIN_PX: Final = 3
"""The filter sees no edge at the picture's own."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Edges:
    """Edges of one picture that may stand upright.

    Attributes
    ----------
    x, y : ndarray, shape (n,)
        Their middle, in pixels right of and below the middle of the plane.
    tilt : ndarray, shape (n,)
        Pixels to the right per pixel down.
    sd : ndarray, shape (n,)
        Of `tilt`.
    """

    x: Array
    y: Array
    tilt: Array
    sd: Array


NONE: Final = Edges(*(np.zeros(0) for _ in range(4)))


def passing(edges: Sequence[Edges], driven_m: Array) -> list[Edges]:
    """Edges that pass by, without those that stay where they are in the picture.

    A toll tag, a telephone's holder or a black border is seen at one place however far one drives.

    Parameters
    ----------
    edges : sequence of Edges, length n
        One a picture of a drive.
    driven_m : ndarray, shape (n,)
    """
    count = np.array([each.x.size for each in edges], np.int64)
    owner = np.repeat(np.arange(count.size), count)
    if owner.size == 0:
        return list(edges)
    x, y, tilt = (np.concatenate([getattr(e, name) for e in edges]) for name in ("x", "y", "tilt"))
    place = np.stack([x / SAME_PX[0], y / SAME_PX[1], tilt / SAME_TILT], axis=1)
    # Standing pictures have no edges, so that what follows each other has moved.
    order = np.cumsum(count > 0)[owner]
    seen, at_once = (
        cKDTree(np.column_stack([place, apart])).query_ball_point(
            np.column_stack([place, apart]), 1.0, p=np.inf, return_length=True
        )
        for apart in (order / AROUND, np.asarray(driven_m, np.float64)[owner] / PASSED_M)
    )
    stays = seen - at_once >= RECURRING
    bounds = np.cumsum(count)[:-1]
    return [
        Edges(e.x[kept], e.y[kept], e.tilt[kept], e.sd[kept])
        for e, kept in zip(edges, np.split(~stays, bounds), strict=True)
    ]


def passing_until(edges: Sequence[Edges], driven_m: Array, whole: Sequence[Edges]) -> list[Edges]:
    """What `passing` leaves of the first pictures of a drive, as if it had ended with them.

    Parameters
    ----------
    edges : sequence of Edges, length n
        Those of the first pictures.
    driven_m : ndarray, shape (n,)
    whole : sequence of Edges, at least n long
        What `passing` leaves of the whole drive: what comes later matters to few pictures only.
    """
    edged = np.flatnonzero([each.x.size > 0 for each in edges])
    if edged.size <= 2 * (AROUND + 1):
        return passing(edges, driven_m)
    begin, kept = int(edged[-2 * (AROUND + 1)]), int(edged[-(AROUND + 1)])
    rest = passing(edges[begin:], np.asarray(driven_m)[begin:])
    return [*whole[:kept], *rest[kept - begin :]]


class Uprights:
    """Edges at the places of a drive, weighed by how well they fit what else is known.

    Parameters
    ----------
    edges : sequence of Edges, length k
    focal_px : float
    """

    def __init__(self, edges: Sequence[Edges], focal_px: float) -> None:
        self._places = len(edges)
        self._owner = np.repeat(np.arange(len(edges)), [each.x.size for each in edges])
        x, y, self._tilt, self._sd = (
            np.concatenate([np.zeros(0), *(getattr(each, name) for each in edges)])
            for name in ("x", "y", "tilt", "sd")
        )
        self._aside, self._below = x / focal_px, y / focal_px
        # Brown's first radial term: a lens that bends pulls the ends of an edge to the middle.
        self._bending = -2e-5 * x * y

    def told(
        self, pitch_deg: Array, roll_deg: Array, bent: float, scale: float
    ) -> tuple[Array, Array]:
        """Weigh the edges and have them tell the camera's roll and pitch against gravity.

        Parameters
        ----------
        pitch_deg, roll_deg : ndarray, shape (k,)
            Upward, and the camera's lean to the right, as taken so far.
        bent : float
            How far its lens bends lines, in 1e-5 per square pixel.
        scale : float
            Tilts farther off than this weigh little (Geman-McClure): what does not stand upright
            drops out.

        Returns
        -------
        tuple of ndarray, shape (k, 3, 3), and ndarray, shape (k, 3)
            Normal matrix and right side for roll and pitch in degrees and what the lens bends; all
            zero where no edge tells.
        """
        pitch = np.radians(pitch_deg)[self._owner]
        by_pitch = self._aside / np.maximum(1.0 + self._below * pitch, 0.5)
        roll = np.radians(roll_deg)[self._owner]
        off = self._tilt - by_pitch * pitch - roll - bent * self._bending
        spread = scale**2 + self._sd**2
        weight = (1.0 + off**2 / spread) ** -2 / (REPEATED * self._sd**2)
        degree = np.radians(1.0)
        columns = [np.full(off.size, degree), degree * by_pitch, self._bending]
        normal = np.zeros((self._places, 3, 3))
        right = np.zeros((self._places, 3))
        for i, first in enumerate(columns):
            right[:, i] = self._summed(weight * first * self._tilt)
            for j, second in enumerate(columns[: i + 1]):
                normal[:, i, j] = normal[:, j, i] = self._summed(weight * first * second)
        return normal, right

    def _summed(self, values: Array) -> Array:
        return np.asarray(np.bincount(self._owner, values, self._places), np.float64)


def upright_edges(plane: Image) -> Edges:
    """Find edges that may stand upright.

    Parameters
    ----------
    plane : ndarray of uint8, shape (96, 160)
        As the camera saw it, not levelled.
    """
    smooth = cv2.GaussianBlur(plane[PADDING_ROWS:-PADDING_ROWS], (0, 0), BLUR_PX)
    across = np.abs(cv2.Scharr(smooth, cv2.CV_32F, 1, 0))
    along = np.abs(cv2.Scharr(smooth, cv2.CV_32F, 0, 1))
    inner = slice(_MARGIN_PX, -_MARGIN_PX)
    here = across[:, inner]
    left, right = (
        across[:, _MARGIN_PX - 1 : -_MARGIN_PX - 1],
        across[:, _MARGIN_PX + 1 : 1 - _MARGIN_PX],
    )
    edge = np.zeros(across.shape, np.uint8)
    edge[:, inner] = (
        (here > LEAST_CONTRAST)
        & (along[:, inner] < MOST_ALONG * here)
        & (here >= left)
        & (here > right)
    )
    _, runs, stats, _ = cv2.connectedComponentsWithStats(edge, connectivity=8)
    tall = stats[:, cv2.CC_STAT_HEIGHT] >= LEAST_ROWS
    tall[0] = False
    row, column = np.nonzero(edge)
    run = runs[row, column]
    kept = tall[run]
    row, column, run = row[kept], column[kept], run[kept]
    if run.size == 0:
        return NONE
    # The crest of a parabola through three columns.
    before, peak, after = (across[row, column + k].astype(np.float64) for k in (-1, 0, 1))
    bend = np.minimum(before - 2.0 * peak + after, -1e-3)
    x = column + np.clip(0.5 * (before - after) / bend, -0.5, 0.5)
    ids, owner = np.unique(run, return_inverse=True)

    def summed(values: Array) -> Array:
        return np.asarray(np.bincount(owner, values, ids.size), np.float64)

    total = summed(peak)
    x_middle, y_middle = summed(peak * x) / total, summed(peak * row) / total
    off_x, off_y = x - x_middle[owner], row - y_middle[owner]
    tilt = summed(peak * off_y * off_x) / summed(peak * off_y**2)
    crooked_px = np.sqrt(summed(peak * (off_x - tilt[owner] * off_y) ** 2) / total)
    rows = stats[ids, cv2.CC_STAT_HEIGHT].astype(np.float64)
    good = (crooked_px < MOST_CROOKED_PX) & (np.abs(tilt) < MOST_TILT)
    return Edges(
        x_middle[good] - MIDDLE_PX[0],
        y_middle[good] + PADDING_ROWS - MIDDLE_PX[1],
        tilt[good],
        np.hypot(TILT_SD_PX * rows[good] ** -1.5, LEAST_TILT_SD),
    )
