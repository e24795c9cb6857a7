"""The small pictures kept in `trip.sqlite`: 320x180 JPEG, cut from the camera's picture.

Whoever labels road scenes sees these, so their geometry is part of the trip format.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.jpeg import Jpeg

STILL_WIDTH: Final = 320
STILL_HEIGHT: Final = 180
STILL_JPEG_QUALITY: Final = 80
FOV_RANGE_DEG: Final = (20.0, 150.0)
"""Horizontal fields of view that a camera may be said to have."""

_REDUCED: Final = {
    2: cv2.IMREAD_REDUCED_COLOR_2,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    8: cv2.IMREAD_REDUCED_COLOR_8,
}

Image = NDArray[np.uint8]


def still(picture: Image) -> Image:
    """Cut a picture to 16:9 about its centre and shrink it to 320x180.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w) or (h, w, 3)

    Returns
    -------
    ndarray of uint8, shape (180, 320) or (180, 320, 3)
    """
    height, width = picture.shape[:2]
    if width * 9 > height * 16:
        cut = height * 16 // 9
        left = (width - cut) // 2
        picture = picture[:, left : left + cut]
    else:
        cut = width * 9 // 16
        top = (height - cut) // 2
        picture = picture[top : top + cut]
    # INTER_AREA averages when shrinking, as a JPEG decoder's reduced size does; a picture
    # smaller than a still is enlarged linearly.
    shrinking = picture.shape[1] >= STILL_WIDTH
    return np.asarray(
        cv2.resize(
            picture,
            (STILL_WIDTH, STILL_HEIGHT),
            interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR,
        ),
        dtype=np.uint8,
    )


def decoded_small(jpeg: Jpeg) -> Image | None:
    """Decode a camera's JPEG at the least size that a still can be cut from.

    The decoder halves the picture up to three times for less work than decoding it whole.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3), BGR, or None
        None where it cannot be decoded.
    """
    flags = cv2.IMREAD_COLOR
    for shrink, reduced in _REDUCED.items():
        if jpeg.width >= shrink * STILL_WIDTH and jpeg.height >= shrink * STILL_HEIGHT:
            flags = reduced
    decoded = cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), flags)
    return None if decoded is None else np.asarray(decoded, dtype=np.uint8)


def encode_still(still_bgr: Image) -> bytes:
    """Encode a 320x180 still as JPEG, as it is kept in `trip.sqlite`."""
    done, data = cv2.imencode(".jpg", still_bgr, [cv2.IMWRITE_JPEG_QUALITY, STILL_JPEG_QUALITY])
    if not done:
        raise ValueError("OpenCV could not encode a still as JPEG")
    return bytes(data)
