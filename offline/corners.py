"""Corners tracked from one picture to the next: what geometry knows of a camera's motion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from offline.preprocessing import PADDING_ROWS, PLANE_HEIGHT, PLANE_WIDTH, Image

MOST: Final = 100
"""Of three times as many, and wider windows, turns are no more exact (0.1 degrees) and take twice
the time (measured on rendered roads)."""
FEWEST: Final = 6
FEW: Final = 30
"""With fewer a shift of the whole picture is looked for."""
LEAST_SHIFT_PX: Final = 5.0
WINDOW_PX: Final = (9, 9)
LEVELS: Final = 3
"""Pyramid levels above the plane: shifts of some 40 pixels are found, a turn at a junction."""
RETURN_PX: Final = 0.5
"""A corner tracked there and back again must come out where it began."""
_WINDOW: Final = cv2.createHanningWindow((PLANE_WIDTH, PLANE_HEIGHT), cv2.CV_32F)
MIDDLE_PX: Final = ((PLANE_WIDTH - 1) / 2.0, (PLANE_HEIGHT - 1) / 2.0)
STANDARD_FOV_DEG: Final = 65.0
"""Horizontal field of view that pictures are brought to, and that of a camera nobody has told of:
angles are then off by the ratio of the focal lengths, places of the focus of expansion hardly."""

TURN_SD_DEG: Final = (3.0, 15.0, 2.0)
"""Pitch, yaw and roll between two pictures of a vehicle, half a second apart."""
SCALES_PX: Final = (8.0, 4.0, 2.0, 1.0, 0.6, 0.4, 0.4, 0.4)
"""Residuals beyond these weigh little, pass by pass (graduated non-convexity; Geman-McClure
weights): other vehicles and mistracked corners drop out."""

REAR_AXLE_M: Final = 1.7
"""Of a car, behind its camera. Only the rear axle does not slide sideways: the vehicle heads where
the road leads there, and in a bend the camera moves towards the inside of where it looks."""
MOST_SLIP: Final = 0.35
"""Tangent of the angle."""

Array = NDArray[np.float64]
Places = NDArray[np.float64]


@dataclass(frozen=True)
class Tracked:
    """Corners that two pictures show.

    Attributes
    ----------
    before, after : ndarray, shape (n, 2)
        Pixels right of and below the middle of the plane.
    driven_m : float
        Between the pictures.
    """

    before: Places
    after: Places
    driven_m: float

    @property
    def moved_px(self) -> Array:
        """How far each corner moved, shape (n,)."""
        return np.asarray(np.linalg.norm(self.after - self.before, axis=1))

    def only(self, kept: NDArray[np.bool_]) -> Tracked | None:
        """Some of the corners; None for fewer than `FEWEST`."""
        if np.count_nonzero(kept) < FEWEST:
            return None
        return Tracked(self.before[kept], self.after[kept], self.driven_m)

    def slip(self, yaw_rad: float | Array) -> Array:
        """How far right of the camera's heading it moved, as a tangent, while it turned left."""
        return slip(self.driven_m, yaw_rad)


def slip(driven_m: float | Array, yaw_rad: float | Array) -> Array:
    """`Tracked.slip` of many pairs of pictures, or of many turns; 0 where nothing was driven."""
    moved_m = np.where(np.asarray(driven_m) > 0.0, driven_m, np.inf)
    return np.clip(-REAR_AXLE_M * np.asarray(yaw_rad) / moved_m, -MOST_SLIP, MOST_SLIP)


def focal_px(fov_deg: float = STANDARD_FOV_DEG) -> float:
    """Focal length in pixels of the plane."""
    return float(PLANE_WIDTH / 2.0 / np.tan(np.radians(fov_deg / 2.0)))


def track(before: Image, after: Image, driven_m: float) -> Tracked | None:
    """Corners that both pictures show (Shi and Tomasi 1994; Lucas and Kanade 1981).

    Parameters
    ----------
    before, after : ndarray of uint8, shape (96, 160)
    driven_m : float

    Returns
    -------
    Tracked or None
        None for fewer than `FEWEST`.
    """
    corners = detected(before)
    if len(corners) < FEWEST:
        return None
    p, q, kept = followed(before, after, corners, np.zeros(2, np.float32))
    if np.count_nonzero(kept) < FEW:
        # A turn at a junction moves pictures farther than the pyramid reaches.
        (shift_px, _), _ = cv2.phaseCorrelate(
            before.astype(np.float32), after.astype(np.float32), _WINDOW
        )
        if abs(shift_px) > LEAST_SHIFT_PX:
            shifted = followed(before, after, corners, np.array([shift_px, 0.0], np.float32))
            if np.count_nonzero(shifted[2]) > np.count_nonzero(kept):
                p, q, kept = shifted
    return tracked_of(p[kept], q[kept], driven_m)


def detected(plane: Image, apart: Image | None = None) -> NDArray[np.float32]:
    """Corners of a picture, shape (n, 1, 2); only where `apart` is not 0, where it is given."""
    corners = cv2.goodFeaturesToTrack(plane, MOST, 0.005, 4, mask=apart, blockSize=3)
    return np.empty((0, 1, 2), np.float32) if corners is None else np.asarray(corners, np.float32)


def tracked_of(before_px: Places, after_px: Places, driven_m: float) -> Tracked | None:
    """Corners at places of two planes; None for fewer than `FEWEST`."""
    if len(before_px) < FEWEST:
        return None
    return Tracked(before_px - MIDDLE_PX, after_px - MIDDLE_PX, driven_m)


def followed(
    before: Image,
    after: Image,
    corners: NDArray[np.float32],
    shift: NDArray[np.float32],
    window_px: tuple[int, int] = WINDOW_PX,
    return_px: float = RETURN_PX,
) -> tuple[Places, Places, NDArray[np.bool_]]:
    """Follow corners from about where a shift puts them.

    Parameters
    ----------
    before, after : ndarray of uint8, shape (96, 160)
    corners : ndarray of float32, shape (n, 1, 2)
        At least one.
    shift : ndarray of float32, shape (n, 1, 2) or (2,)
        Pixels to the right and down.
    window_px : tuple of int
        That is compared around each.
    return_px : float
        A corner followed there and back again must come out so near to where it began.

    Returns
    -------
    tuple of ndarray, shape (n, 2), (n, 2) and (n,)
        Places in both pictures, and which of them are sure.
    """
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, corners, corners + shift, winSize=window_px, maxLevel=LEVELS,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )  # fmt: skip
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(
        after, before, there, there - shift, winSize=window_px, maxLevel=LEVELS,
        flags=cv2.OPTFLOW_USE_INITIAL_FLOW,
    )  # fmt: skip
    p, q, r = (each[:, 0].astype(np.float64) for each in (corners, there, back))
    kept = (found[:, 0] == 1) & (found_back[:, 0] == 1)
    kept &= np.linalg.norm(p - r, axis=1) < return_px
    # Repeated border rows show corners that are none.
    low = (2.0, PADDING_ROWS + 2.0)
    high = (PLANE_WIDTH - 3.0, PLANE_HEIGHT - PADDING_ROWS - 3.0)
    for each in (p, q):
        kept &= np.all((each > low) & (each < high), axis=1)
    return p, q, kept


def motion_field(places: Places, focal_px: float) -> NDArray[np.float64]:
    """Pixels to the right and down that a radian of pitch, yaw and roll moves points.

    The rotational part of the motion field of Longuet-Higgins and Prazdny (1980): pitch upward, yaw
    to the left, roll anticlockwise.

    Parameters
    ----------
    places : ndarray, shape (..., 2)
    focal_px : float

    Returns
    -------
    ndarray, shape (..., 2, 3)
    """
    x, y = places[..., 0], places[..., 1]
    # Filled in place: this runs for every step of a drive.
    field = np.empty((*x.shape, 2, 3))
    field[..., 0, 0] = field[..., 1, 1] = x * y / focal_px
    field[..., 0, 1] = focal_px + x * x / focal_px
    field[..., 0, 2] = -y
    field[..., 1, 0] = focal_px + y * y / focal_px
    field[..., 1, 2] = x
    return field
