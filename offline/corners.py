"""Corners tracked from one picture to the next: what geometry knows of a camera's motion."""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from offline.preprocessing import PADDING_ROWS, PLANE_HEIGHT, PLANE_WIDTH, Image

MOST: Final = 100
"""Of three times as many, and wider windows, turns are no more exact (0.19 degrees) and take twice
the time (measured on rendered roads)."""
FEWEST: Final = 10
WINDOW_PX: Final = (9, 9)
LEVELS: Final = 3
"""Pyramid levels above the plane: shifts of some 40 pixels are found, a turn at a junction."""
RETURN_PX: Final = 0.5
"""A corner tracked there and back again must come out where it began."""
MIDDLE_PX: Final = ((PLANE_WIDTH - 1) / 2.0, (PLANE_HEIGHT - 1) / 2.0)
ASSUMED_FOV_DEG: Final = 65.0
"""Horizontal field of view where nobody has told: angles are then off by the ratio of the focal
lengths, places of the focus of expansion hardly."""

TURN_SD_DEG: Final = (3.0, 15.0, 2.0)
"""Pitch, yaw and roll between two pictures of a vehicle, half a second apart."""
SCALES_PX: Final = (8.0, 4.0, 2.0, 1.0, 0.6, 0.4, 0.4, 0.4)
"""Residuals beyond these weigh little, pass by pass (graduated non-convexity; Geman-McClure
weights): other vehicles and mistracked corners drop out."""

Places = NDArray[np.float64]


def focal_px(fov_deg: float = ASSUMED_FOV_DEG) -> float:
    """Focal length in pixels of the plane."""
    return float(PLANE_WIDTH / 2.0 / np.tan(np.radians(fov_deg / 2.0)))


def track(before: Image, after: Image) -> tuple[Places, Places] | None:
    """Corners that both pictures show (Shi and Tomasi 1994; Lucas and Kanade 1981).

    Parameters
    ----------
    before, after : ndarray of uint8, shape (96, 160)

    Returns
    -------
    tuple of ndarray, shape (n, 2), or None
        Pixels right of and below the middle of the plane; None for fewer than `FEWEST`.
    """
    corners = cv2.goodFeaturesToTrack(before, MOST, 0.005, 4, blockSize=3)
    if corners is None or len(corners) < FEWEST:
        return None
    there, found, _ = cv2.calcOpticalFlowPyrLK(
        before, after, corners, np.empty_like(corners), winSize=WINDOW_PX, maxLevel=LEVELS
    )
    back, found_back, _ = cv2.calcOpticalFlowPyrLK(
        after, before, there, np.empty_like(corners), winSize=WINDOW_PX, maxLevel=LEVELS
    )
    p, q, r = (each[:, 0].astype(np.float64) for each in (corners, there, back))
    kept = (found[:, 0] == 1) & (found_back[:, 0] == 1)
    kept &= np.linalg.norm(p - r, axis=1) < RETURN_PX
    # Repeated border rows show corners that are none.
    low = (2.0, PADDING_ROWS + 2.0)
    high = (PLANE_WIDTH - 3.0, PLANE_HEIGHT - PADDING_ROWS - 3.0)
    for each in (p, q):
        kept &= np.all((each > low) & (each < high), axis=1)
    if np.count_nonzero(kept) < FEWEST:
        return None
    return p[kept] - MIDDLE_PX, q[kept] - MIDDLE_PX


def motion_field(places: Places) -> NDArray[np.float64]:
    """Pixels to the right and down that a radian of pitch, yaw and roll moves points.

    The rotational part of the motion field of Longuet-Higgins and Prazdny (1980): pitch upward, yaw
    to the left, roll anticlockwise.

    Parameters
    ----------
    places : ndarray, shape (n, 2)

    Returns
    -------
    ndarray, shape (n, 2, 3)
    """
    focal = focal_px()
    x, y = places.T
    right = np.stack([x * y / focal, focal + x * x / focal, -y], axis=1)
    down = np.stack([focal + y * y / focal, x * y / focal, x], axis=1)
    return np.stack([right, down], axis=1)
