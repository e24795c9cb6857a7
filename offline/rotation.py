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
from offline.corners import Tracked
from offline.mounting import Mounting


@dataclass(frozen=True)
class Rotation:
    """A turn between two pictures.

    Attributes
    ----------
    pitch_deg, yaw_deg, roll_deg : float
        Upward, to the left, and leaning to the right, about the camera's own axes.
    pitch_sd_deg, roll_sd_deg : float
        As the fit sees it; true errors are larger by half (measured on rendered roads).
    pitch_per_down_px : float
        Degrees by which `pitch_deg` changes if the direction of travel lies a pixel lower.
    """

    pitch_deg: float
    yaw_deg: float
    roll_deg: float
    pitch_sd_deg: float
    roll_sd_deg: float
    pitch_per_down_px: float


AGAIN: Final = 3
"""Pass before which the direction of travel is placed anew."""
STILL: Final = Rotation(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
"""Of a standing vehicle."""


def rotation(tracked: Tracked, mounting: Mounting) -> Rotation | None:
    """Measure the turn between two pictures of one drive.

    Parameters
    ----------
    tracked : Tracked
        Corners as the camera saw them, not levelled.
    mounting : Mounting

    Returns
    -------
    Rotation or None
        None where too few corners are clear of the direction of travel.
    """
    p, q = tracked.before, tracked.after
    moved = q - p
    midway = (p + q) / 2.0
    field = corners.motion_field(midway, mounting.focal_px)
    last = corners.SCALES_PX[-1]
    prior = np.diag(last**2 / np.radians(corners.TURN_SD_DEG) ** 2)
    # From no turn at all, few corners that stay in place would hold the fit there in a sharp bend.
    turn = np.array([0.0, float(np.median(moved[:, 0])) / mounting.focal_px, 0.0])
    for number, scale in enumerate(corners.SCALES_PX):
        if number in (0, AGAIN):
            # The direction of travel depends on the turn.
            slip_px = mounting.focal_px * tracked.slip(turn[1])
            away = midway - (mounting.right_px + slip_px, mounting.down_px)
            length = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-3)
            clear = length > 2.0
            if np.count_nonzero(clear) < corners.FEWEST:
                return None
            right, down = -away[:, 1] / length, away[:, 0] / length
            equations = right[:, None] * field[:, 0] + down[:, None] * field[:, 1]
            equations *= clear[:, None]
            moved_px = clear * (right * moved[:, 0] + down * moved[:, 1])
        off = moved_px - equations @ turn
        weighted = equations * ((1.0 + (off / scale) ** 2) ** -2)[:, None]
        normal = weighted.T @ equations + prior
        turn = turn + np.linalg.solve(normal, weighted.T @ off - prior @ turn)
    spread = np.linalg.inv(normal)
    by_down = clear * (moved - field @ turn)[:, 0] / length
    by_down_px = spread @ (weighted.T @ by_down)
    pitch_deg, yaw_deg, left_deg = np.degrees(turn).tolist()
    pitch_sd_deg, _, roll_sd_deg = np.degrees(last * np.sqrt(np.diag(spread))).tolist()
    return Rotation(
        pitch_deg,
        yaw_deg,
        -left_deg,
        pitch_sd_deg,
        roll_sd_deg,
        float(np.degrees(by_down_px[0])),
    )
