"""How far a camera turned between two pictures, once its direction of travel is known.

Driving moves every point along the line that leads away from the direction of travel; whatever
moves across that line is the camera's own turning. So each tracked corner is one linear equation
in pitch, yaw and roll (the rotational part of Longuet-Higgins and Prazdny's motion field, 1980),
and a robust fit to all of them needs no distances: a gyroscope made of pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from offline import corners
from offline.corners import Places
from offline.mounting import Mounting


@dataclass(frozen=True)
class Rotation:
    """A turn between two pictures.

    Attributes
    ----------
    pitch_deg, yaw_deg : float
        Upward and to the left.
    pitch_sd_deg, yaw_sd_deg : float
        As the fit sees it; true errors are about three times as large.
    """

    pitch_deg: float
    yaw_deg: float
    pitch_sd_deg: float
    yaw_sd_deg: float


STILL: Final = Rotation(0.0, 0.0, 0.0, 0.0)
"""Of a standing vehicle."""


def rotation(tracked: tuple[Places, Places], mounting: Mounting) -> Rotation | None:
    """Measure the turn between two pictures of one drive.

    Parameters
    ----------
    tracked : tuple of ndarray, shape (n, 2)
        Corners as the camera saw them, not levelled (`corners.track`).
    mounting : Mounting

    Returns
    -------
    Rotation or None
        None where too few corners are clear of the direction of travel.
    """
    p, q = tracked
    away = p - (mounting.right_px, mounting.down_px)
    length = np.linalg.norm(away, axis=1)
    clear = length > 2.0
    p, q, away, length = p[clear], q[clear], away[clear], length[clear]
    if len(p) < corners.FEWEST:
        return None
    across = np.stack([-away[:, 1], away[:, 0]], axis=1) / length[:, None]
    equations = np.einsum("ni,nij->nj", across, corners.motion_field((p + q) / 2.0))
    moved_px = (across * (q - p)).sum(axis=1)
    last = corners.SCALES_PX[-1]
    prior = np.diag(last**2 / np.radians(corners.TURN_SD_DEG) ** 2)
    turn = np.zeros(3)
    normal = prior
    for scale in corners.SCALES_PX:
        off = (moved_px - equations @ turn) / scale
        weighted = equations * ((1.0 + off**2) ** -2)[:, None]
        normal = weighted.T @ equations + prior
        turn = np.linalg.solve(normal, weighted.T @ moved_px)
    sd = np.degrees(last * np.sqrt(np.diag(np.linalg.inv(normal))))
    turn = np.degrees(turn)
    return Rotation(float(turn[0]), float(turn[1]), float(sd[0]), float(sd[1]))
