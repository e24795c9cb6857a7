"""From a camera picture to what the network sees: one path for training and for inference.

A picture of any size is cut to 16:9 about its centre and shrunk to a 320x180 still (stills of
recorded trips already are). The network's plane is the still's luma at half size, 160x90, with
the border rows repeated to 160x96 so that five poolings divide it; pixels stay square. A stack
is planes of the same camera from now to three seconds later. A turn before or in the middle of a
junction cannot be told from one picture; scoring happens after the trip, so the pictures that
follow are there to show where the road went.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.stills import STILL_HEIGHT, STILL_WIDTH, Image, encode_still, still

PLANE_WIDTH: Final = 160
PLANE_HEIGHT: Final = 96
PADDING_ROWS: Final = (PLANE_HEIGHT - STILL_HEIGHT // 2) // 2
STACK_OFFSETS_S: Final = (0.0, 0.5, 1.0, 2.0, 3.0)
"""When each plane of a stack was taken, relative to the frame that is labelled."""
VERSION: Final = "grey-160x96-stack5-v2"
"""Names this preprocessing in a model's card; a model made for another one is refused."""

__all__ = [
    "PLANE_HEIGHT",
    "PLANE_WIDTH",
    "STACK_OFFSETS_S",
    "STILL_HEIGHT",
    "STILL_WIDTH",
    "VERSION",
    "Image",
    "encode_still",
    "plane",
    "plane_of_jpeg",
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
    if still_picture.ndim == 3:
        still_picture = np.asarray(cv2.cvtColor(still_picture, cv2.COLOR_BGR2GRAY), np.uint8)
    half = cv2.resize(still_picture, (PLANE_WIDTH, STILL_HEIGHT // 2), interpolation=cv2.INTER_AREA)
    return _padded(np.asarray(half, np.uint8))


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


def _padded(half: Image) -> Image:
    return np.pad(half, ((PADDING_ROWS, PADDING_ROWS), (0, 0)), mode="edge")


def stack_indices(t_s: NDArray[np.floating]) -> NDArray[np.int64]:
    """For every frame, which frames make its stack.

    Each offset takes the frame nearest in time, at most 0.2 s off; where there is none (the
    last seconds of a trip, a gap, unrelated stills with NaN times) the plane before it in the
    stack stands in, so that a lone picture is seen as a standing camera.

    Parameters
    ----------
    t_s : ndarray, shape (n,)
        Capture times in ascending order, or NaN for stills that belong to no sequence.

    Returns
    -------
    ndarray of int64, shape (n, 5)
        Indices into the frames, the labelled frame first.
    """
    times = np.asarray(t_s, dtype=np.float64)
    n = times.size
    result = np.empty((n, len(STACK_OFFSETS_S)), dtype=np.int64)
    result[:, 0] = np.arange(n)
    order = np.where(np.isnan(times), np.inf, times)
    for column in range(1, len(STACK_OFFSETS_S)):
        wanted = times + STACK_OFFSETS_S[column]
        right = np.clip(np.searchsorted(order, wanted), 0, max(n - 1, 0))
        left = np.clip(right - 1, 0, None)
        nearest = np.where(
            np.abs(times[left] - wanted) <= np.abs(times[right] - wanted), left, right
        )
        near = np.abs(times[nearest] - wanted) <= 0.2
        result[:, column] = np.where(near, nearest, result[:, column - 1])
    return result
