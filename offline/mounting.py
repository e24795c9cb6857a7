"""Where the camera points against the way the vehicle drives.

A camera is fixed to its vehicle, so the direction of travel stays at one place of the picture, and
a hill shows as the horizon leaving that place. Where it lies is found by geometry: on a vehicle
that drives straight on, everything seen moves away from that place (the focus of expansion;
Longuet-Higgins and Prazdny, "The interpretation of a moving retinal image", 1980). One pair of
pictures shows it roughly, so one place is fitted to the tracked corners of many pairs, each with a
turn of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from offline import corners
from offline.corners import TURN_SD_DEG, Places, Tracked, motion_field
from offline.preprocessing import PLANE_HEIGHT, PLANE_WIDTH, Image

PRIOR_SD_PX: Final = (4.0, 8.0)
"""Across and down: people mount cameras by eye, straight to some 1.5 degrees and level to 3. An
estimate is drawn to the middle by as much as it is uncertain."""
FOCAL_SD: Final = 0.25
"""Of the logarithm of a focal length that nobody told: dashcams see 45 to 100°."""
TOLD_FOCAL_SD: Final = 0.03
"""And of one told from a data sheet."""
MAX_PAIRS: Final = 400
MOST_SD: Final = 4.0
"""Nobody mounts a camera farther off than so many of these: what seems so is none that looks
ahead."""
MIN_PAIRS: Final = 12
FLOOR_SD_PX: Final = 0.9
"""Error of `down_px` however many pairs there are (measured on rendered roads)."""
MAX_SD_PX: Final = 1.5
"""A direction known no better than this is not known: 3 pixels are the threshold of a slope."""
MAX_APART_S: Final = 1.1
APART_M: Final = (1.5, 15.0)
"""Driven between the pictures of a pair: enough to see motion, little enough to track it."""
MAX_TURN_DEG: Final = 1.0
"""Of a pair: in a bend the front of a vehicle moves sideways."""
MIN_FLOW_PX: Final = 0.7
PARTS: Final = 5
"""A drive is cut into so many parts; how far their own answers lie apart says how well the whole
is known."""
SCALES_PX: Final = tuple(np.repeat(corners.SCALES_PX[:6], (4, 4, 4, 4, 4, 8)).tolist())
"""A direction of travel and turns much alike take many passes to tell apart."""


@dataclass(frozen=True)
class Mounting:
    """Place of the direction of travel on the plane, and the camera's focal length there.

    Attributes
    ----------
    right_px, down_px : float
        From the middle of the plane.
    sd_px : float
        Standard deviation of `down_px`.
    focal_px : float
    """

    right_px: float
    down_px: float
    sd_px: float
    focal_px: float

    def levelled(self, planes: Image) -> Image:
        """Planes as a camera of the standard field of view along the direction of travel sees them.

        Parameters
        ----------
        planes : ndarray of uint8, shape (96, 160) or (n, 96, 160)
            Border pixels are repeated where nothing was seen.
        """
        zoom = corners.focal_px() / self.focal_px
        middle = np.asarray(corners.MIDDLE_PX)
        centred = middle - zoom * (middle + np.array([self.right_px, self.down_px]))
        move = np.array([[zoom, 0.0, centred[0]], [0.0, zoom, centred[1]]])
        moved = [
            cv2.warpAffine(
                each, move, (PLANE_WIDTH, PLANE_HEIGHT), flags=cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            for each in planes.reshape(-1, PLANE_HEIGHT, PLANE_WIDTH)
        ]  # fmt: skip
        return np.asarray(moved, np.uint8).reshape(planes.shape)


def useful_pairs(t_s: NDArray[np.floating], driven_m: NDArray[np.floating]) -> NDArray[np.int64]:
    """Pairs of following pictures that show driving, evenly over a drive; shape (k, 2).

    Parameters
    ----------
    t_s, driven_m : ndarray, shape (n,)
        Capture times and distance driven, ascending.
    """
    first = np.arange(max(len(t_s) - 1, 0))
    apart_m, apart_s = np.diff(driven_m), np.diff(t_s)
    fit = (apart_m >= APART_M[0]) & (apart_m <= APART_M[1]) & (apart_s <= MAX_APART_S)
    first = first[fit]
    if first.size > MAX_PAIRS:
        first = first[np.linspace(0, first.size - 1, MAX_PAIRS).astype(np.int64)]
    return np.stack([first, first + 1], axis=1)


def mounting_of(tracks: list[Tracked], fov_deg: float | None = None) -> Mounting | None:
    """Fit the mounting to the tracked corners of pairs of pictures, in order of time.

    Parameters
    ----------
    tracks : list of Tracked
    fov_deg : float, optional
        Horizontal field of view of a plane; `corners.STANDARD_FOV_DEG` where it is not known.

    Returns
    -------
    Mounting or None
        None where too few pairs show driving straight on, or parts of the drive disagree.
    """
    focal = corners.focal_px(corners.STANDARD_FOV_DEG if fov_deg is None else fov_deg)
    pairs = _straight(
        [each for each in tracks if np.median(each.moved_px) >= MIN_FLOW_PX],
        focal,
    )
    if len(pairs) < MIN_PAIRS:
        return None
    place, _ = _fit(pairs, focal, np.zeros(2), SCALES_PX)
    prior = np.asarray(PRIOR_SD_PX)
    if np.any(np.abs(place) > MOST_SD * prior) or not _looks_ahead(pairs, place):
        return None
    places = [
        _fit([pairs[k] for k in part], focal, place, SCALES_PX[-8:])[0]
        for part in np.array_split(np.arange(len(pairs)), PARTS)
    ]
    sd = np.hypot(FLOOR_SD_PX, np.std(places, axis=0, ddof=1) / np.sqrt(PARTS))
    if sd[1] > MAX_SD_PX:
        return None
    right, down = place * prior**2 / (prior**2 + sd**2)
    return Mounting(float(right), float(down), float(sd[1]), focal)


def _looks_ahead(pairs: list[Tracked], place: NDArray[np.float64]) -> bool:
    """Whether most corners move away from the direction of travel; behind, they move towards it."""
    away = [
        float(np.median(((pair.after - pair.before) * (pair.before - place)).sum(axis=1)))
        for pair in pairs
    ]
    return float(np.median(away)) > 0.0


def _straight(pairs: list[Tracked], focal_px: float) -> list[Tracked]:
    """Pairs between which the camera hardly turned aside."""
    if not pairs:
        return []
    _, turns = _fit(pairs, focal_px, np.zeros(2), corners.SCALES_PX)
    straight = np.abs(np.degrees(turns[:, 1])) <= MAX_TURN_DEG
    return [pair for pair, kept in zip(pairs, straight, strict=True) if kept]


def _fit(
    pairs: list[Tracked], focal_px: float, start: NDArray[np.float64], scales_px: tuple[float, ...]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """One direction of travel, shape (2,), and a turn a pair, shape (k, 3), in radians.

    Gauss-Newton on the corners' motion across the lines from the direction of travel; the turns
    are eliminated pair by pair (Schur complement).
    """
    owner = np.repeat(np.arange(len(pairs)), [len(pair.before) for pair in pairs])
    p = np.concatenate([pair.before for pair in pairs])
    q = np.concatenate([pair.after for pair in pairs])
    midway = (p + q) / 2.0
    field = motion_field(midway, focal_px)
    prior = np.diag(scales_px[-1] ** 2 / np.radians(TURN_SD_DEG) ** 2)
    driven_m = np.array([pair.driven_m for pair in pairs])
    place, turns = start.copy(), np.zeros((len(pairs), 3))
    for scale in scales_px:
        slip = corners.slip(driven_m, turns[:, 1])
        away = midway - place - np.stack([focal_px * slip, np.zeros(len(pairs))], axis=1)[owner]
        length = np.maximum(np.linalg.norm(away, axis=1), 2.0)[:, None]
        across = np.stack([-away[:, 1], away[:, 0]], axis=1) / length
        driven = (q - p) - np.einsum("nij,nj->ni", field, turns[owner])
        off = (across * driven).sum(axis=1)
        weight = (1.0 + (off / scale) ** 2) ** -2
        by_place = np.stack([-driven[:, 1], driven[:, 0]], axis=1) / length
        by_turn = -np.einsum("ni,nij->nj", across, field)
        slopes = np.concatenate([by_place, by_turn], axis=1)
        products = weight[:, None, None] * slopes[:, :, None] * slopes[:, None, :]
        normal = np.stack([_summed(products[:, i, j], owner, len(pairs)) for i in range(5)
                           for j in range(5)], axis=1).reshape(-1, 5, 5)  # fmt: skip
        pull = np.stack([_summed(weight * off * slopes[:, i], owner, len(pairs))
                         for i in range(5)], axis=1)  # fmt: skip
        inverse = np.linalg.inv(normal[:, 2:, 2:] + prior)
        pull[:, 2:] += turns @ prior
        carried = normal[:, :2, 2:] @ inverse
        left = (normal[:, :2, :2] - carried @ normal[:, 2:, :2]).sum(axis=0) + np.eye(2) * 1e-6
        right = (pull[:, :2] - np.einsum("kij,kj->ki", carried, pull[:, 2:])).sum(axis=0)
        step = -np.linalg.solve(left, right)
        # A step farther than people mount cameras askew would only come from few corners.
        step = np.clip(step, -8.0, 8.0)
        place = place + step
        turns = turns - np.einsum("kij,kj->ki", inverse, pull[:, 2:] + normal[:, 2:, :2] @ step)
    return place, turns


def _summed(values: NDArray[np.float64], owner: NDArray[np.int64], count: int) -> Places:
    return np.asarray(np.bincount(owner, values, count), np.float64)
