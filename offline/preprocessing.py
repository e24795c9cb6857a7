"""From a camera picture to what the network sees: one path for training and for inference.

A picture of any size is cut to 16:9 about its centre and shrunk to a 320x180 still (stills of
recorded trips already are). The network's plane is the still's luma at half size, 160x90, with
the border rows repeated to 160x96 so that five poolings divide it; pixels stay square. A stack
is planes of the same camera from here to 25 m further on. A turn before or in the middle of a
junction cannot be told from one picture; scoring happens after the trip, so the pictures that
follow are there to show where the road went. They are chosen by the distance driven and not by
time: how far a road swings within so many metres is what makes a curve or a turn.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from offline.roadscene import HEADING_WINDOW_M
from onboard.stills import (
    BETWEEN,
    MOTION_STILL_SIZE,
    STILL_HEIGHT,
    STILL_WIDTH,
    Image,
    encode_still,
    motion_still,
    still,
)

PLANE_WIDTH: Final = 160
PLANE_HEIGHT: Final = 96
PADDING_ROWS: Final = (PLANE_HEIGHT - STILL_HEIGHT // 2) // 2
STACK_DISTANCES_M: Final = (0.0, 6.0, 12.0, 18.0, HEADING_WINDOW_M)
"""Where each plane of a stack was taken: so far beyond the frame that is labelled, up to where the
heading's change makes the course."""
STACK_REACH_S: Final = 60.0
"""Planes are looked for no later than this: a vehicle that waits at a junction shows after the
wait where it went."""
ASSUMED_SPEED_MPS: Final = 12.0
"""Where no speed is known: between town and country roads; 2 pictures a second are 6 m apart."""
STILLS_HZ: Final = 2.0
"""Stills a second of a recorded trip, and frames a second of a rendered road."""
MAX_OFF_S: Final = 0.6
"""A plane may be so much driving off its distance: stills of one a second still make stacks."""
MAX_OFF_M: Final = 1.0
"""And so many metres more: a car that creeps has all its pictures in one place."""
CODE_BYTES: Final = 12
"""Bytes that say how the camera moved (`offline.motion`); they travel beside the planes."""
VERSION: Final = "grey-160x96-stack5-motion12-v12"
"""Names this preprocessing in a model's card; a model made for another one is refused."""

__all__ = [
    "ASSUMED_SPEED_MPS",
    "CODE_BYTES",
    "PLANE_HEIGHT",
    "PLANE_WIDTH",
    "STACK_DISTANCES_M",
    "STILLS_HZ",
    "STILL_HEIGHT",
    "STILL_WIDTH",
    "VERSION",
    "Image",
    "between",
    "encode_still",
    "joined",
    "nearest",
    "plane",
    "plane_of_jpeg",
    "plane_of_motion_still",
    "recorded_phases",
    "recorded_stack_indices",
    "stack_indices",
    "still",
]


def plane(still_picture: Image) -> Image:
    """Shrink a still to the network's grey 160x96 plane.

    Parameters
    ----------
    still_picture : ndarray of uint8, shape (180, 320) or (180, 320, 3), BGR

    Returns
    -------
    ndarray of uint8, shape (96, 160)
    """
    return _padded(motion_still(still_picture))


def plane_of_jpeg(jpeg: bytes) -> Image | None:
    """Decode a still straight to the network's plane at reduced size, luma only.

    Returns
    -------
    ndarray of uint8, shape (96, 160), or None
        None where the bytes are no readable picture.
    """
    buffer = np.frombuffer(jpeg, dtype=np.uint8)
    if buffer.size == 0:
        return None
    grey = cv2.imdecode(buffer, cv2.IMREAD_REDUCED_GRAYSCALE_2)
    if grey is None:
        return None
    if grey.shape != (STILL_HEIGHT // 2, PLANE_WIDTH):
        whole = cv2.imdecode(buffer, cv2.IMREAD_GRAYSCALE)
        return None if whole is None else plane(still(np.asarray(whole, np.uint8)))
    return _padded(np.asarray(grey, np.uint8))


def plane_of_motion_still(jpeg: bytes) -> Image | None:
    """Decode a motion still, which is as large as a plane but for its border.

    Returns
    -------
    ndarray of uint8, shape (96, 160), or None
        None where the bytes are no such picture.
    """
    buffer = np.frombuffer(jpeg, dtype=np.uint8)
    grey = cv2.imdecode(buffer, cv2.IMREAD_GRAYSCALE) if buffer.size else None
    if grey is None or grey.shape[::-1] != MOTION_STILL_SIZE:
        return None
    return _padded(np.asarray(grey, np.uint8))


def _padded(half: Image) -> Image:
    return np.pad(half, ((PADDING_ROWS, PADDING_ROWS), (0, 0)), mode="edge")


def joined(stacks: Image, codes: NDArray[np.uint8] | None = None) -> Image:
    """Put the motion's bytes beside stacks: the network's one input.

    Parameters
    ----------
    stacks : ndarray of uint8, shape (n, 96, 160, 5)
    codes : ndarray of uint8, shape (n, 12), optional
        Zero, which is not known, where missing.

    Returns
    -------
    ndarray of uint8, shape (n, 96, 160, 6)
        The bytes are the first of the last plane's first row.
    """
    plane_of_codes = np.zeros((*stacks.shape[:3], 1), np.uint8)
    if codes is not None:
        plane_of_codes[:, 0, :CODE_BYTES, 0] = codes
    return np.concatenate([stacks, plane_of_codes], axis=-1)


def recorded_stack_indices(
    t_s: NDArray[np.floating], s_m: NDArray[np.floating] | None = None
) -> NDArray[np.int64]:
    """Stacks as a trip would have them, of pictures that may be denser than a trip's.

    Of frames at 20 Hz every tenth may join a stack, counted from the frame that is labelled:
    trips have `STILLS_HZ` pictures a second, and what is learnt and measured must be what is
    scored. Parameters and result are `stack_indices`'.
    """
    t = np.asarray(t_s, dtype=np.float64)
    n = int(np.count_nonzero(~np.isnan(t)))
    result = stack_indices(np.full(t.size, np.nan))
    for rows in recorded_phases(t[:n]):
        within = stack_indices(t[rows], None if s_m is None else np.asarray(s_m)[rows])
        result[rows] = rows[within]
    return result


def recorded_phases(t_s: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """Which of a dense recording's pictures one trip would have had: one array a phase."""
    steps = np.diff(t_s)
    apart_s = float(np.median(steps)) if steps.size else np.inf
    every = max(1, round(1.0 / (STILLS_HZ * apart_s))) if apart_s > 0 else 1
    return [np.arange(phase, t_s.size, every) for phase in range(min(every, t_s.size))]


def between(
    t_s: NDArray[np.float64], chosen: NDArray[np.int64], most_apart_s: float
) -> NDArray[np.int64]:
    """Choose the pictures between chosen ones by which motion is followed (`stills.BETWEEN`).

    Parameters
    ----------
    t_s : ndarray, shape (n,)
        Capture times, ascending.
    chosen : ndarray of int64, shape (m,)
        Positions, ascending, each once.
    most_apart_s : float
        Nothing is followed over a longer gap.

    Returns
    -------
    ndarray of int64
        Positions, ascending, each once, none of them chosen.
    """
    t = t_s[chosen]
    first = np.flatnonzero(np.diff(t) <= most_apart_s)
    wanted = t[first, None] + np.diff(t)[first, None] * np.asarray(BETWEEN)
    found = np.unique(nearest(t_s, wanted.ravel())) if wanted.size else np.empty(0, np.int64)
    return found[~np.isin(found, chosen)]


def nearest(t_s: NDArray[np.float64], wanted: NDArray[np.float64]) -> NDArray[np.int64]:
    """Positions of the times nearest to those wanted; `t_s` ascends and holds one at least."""
    right = np.clip(np.searchsorted(t_s, wanted), 0, t_s.size - 1)
    left = np.clip(right - 1, 0, None)
    return np.where(wanted - t_s[left] <= t_s[right] - wanted, left, right).astype(np.int64)


def stack_indices(
    t_s: NDArray[np.floating], s_m: NDArray[np.floating] | None = None
) -> NDArray[np.int64]:
    """For every frame, which frames make its stack.

    Each distance takes the frame nearest to it, within `STACK_REACH_S` and at most 0.6 s of
    driving (and 1 m) off; where there is none (the end of a trip, a gap, unrelated stills with
    NaN times) the plane before it in the stack stands in, so that a lone picture is seen as a
    standing camera.

    Parameters
    ----------
    t_s : ndarray, shape (n,)
        Capture times in ascending order, those of stills that belong to no sequence NaN and last.
    s_m : ndarray, shape (n,), optional
        Distance driven at each frame, ascending; without it `ASSUMED_SPEED_MPS` is taken.

    Returns
    -------
    ndarray of int64, shape (n, 5)
        Indices into the frames, the labelled frame first.
    """
    t = np.asarray(t_s, dtype=np.float64)
    n = t.size
    result = np.repeat(np.arange(n)[:, None], len(STACK_DISTANCES_M), axis=1)
    n = int(np.count_nonzero(~np.isnan(t)))
    if n == 0:
        return result
    t = t[:n]
    s = t * ASSUMED_SPEED_MPS if s_m is None else np.asarray(s_m, dtype=np.float64)[:n]
    here = np.arange(n)
    latest = np.searchsorted(t, t + STACK_REACH_S, side="right") - 1
    for column, distance_m in enumerate(STACK_DISTANCES_M[1:], start=1):
        wanted = s + distance_m
        right = np.minimum(np.searchsorted(s, wanted), latest)
        left = np.maximum(right - 1, here)
        nearest = np.where(wanted - s[left] <= s[right] - wanted, left, right)
        step_s = np.maximum(t[right] - t[left], 1e-9)
        slack_m = MAX_OFF_M + MAX_OFF_S * (s[right] - s[left]) / step_s
        near = np.abs(s[nearest] - wanted) <= slack_m
        result[:n, column] = np.where(near, nearest, result[:n, column - 1])
    return result
