"""The small pictures kept in `trip.sqlite`: 320x180 JPEG, cut from the camera's picture.

Whoever labels road scenes sees these, so their geometry is part of the trip format. Between them
lie motion stills, grey and half as large, by which the camera's own motion is followed.
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
MOTION_STILL_JPEG_QUALITY: Final = 50
"""2.1 KB each; with 80, half as much again, turns are hardly more exact (measured on rendered
training roads)."""
MOTION_STILL_SIZE: Final = (STILL_WIDTH // 2, STILL_HEIGHT // 2)
BETWEEN: Final = (1 / 3, 2 / 3)
"""Where motion stills lie between two stills, as shares of the time between them. With two, the
camera's turns are measured nearly as well as with four, and better by a third than with none
(measured on rendered roads)."""
FOV_RANGE_DEG: Final = (20.0, 150.0)
"""Horizontal fields of view that a camera may be said to have."""

_REDUCED: Final = {
    2: (cv2.IMREAD_REDUCED_COLOR_2, cv2.IMREAD_REDUCED_GRAYSCALE_2),
    4: (cv2.IMREAD_REDUCED_COLOR_4, cv2.IMREAD_REDUCED_GRAYSCALE_4),
    8: (cv2.IMREAD_REDUCED_COLOR_8, cv2.IMREAD_REDUCED_GRAYSCALE_8),
}
"""By how much a decoder shrinks; in colour and in grey."""

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


def decoded_small(jpeg: Jpeg, *, grey: bool = False) -> Image | None:
    """Decode a camera's JPEG at the least size that a still can be cut from.

    The decoder halves the picture up to three times for less work than decoding it whole.

    Returns
    -------
    ndarray of uint8, shape (h, w, 3), BGR, or (h, w) for grey, or None
        None where it cannot be decoded.
    """
    flags = cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR
    for shrink, reduced in _REDUCED.items():
        if jpeg.width >= shrink * STILL_WIDTH and jpeg.height >= shrink * STILL_HEIGHT:
            flags = reduced[grey]
    decoded = cv2.imdecode(np.frombuffer(jpeg.data, np.uint8), flags)
    return None if decoded is None else np.asarray(decoded, dtype=np.uint8)


def encode_still(picture: Image) -> bytes:
    """Encode a still or motion still as JPEG, as it is kept in `trip.sqlite`."""
    is_still = picture.shape[:2] == (STILL_HEIGHT, STILL_WIDTH)
    quality = STILL_JPEG_QUALITY if is_still else MOTION_STILL_JPEG_QUALITY
    done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    if not done:
        raise ValueError("OpenCV could not encode a still as JPEG")
    return bytes(data)


def motion_still(picture: Image) -> Image:
    """Cut a picture to 16:9 about its centre and shrink it to 160x90, grey.

    Parameters
    ----------
    picture : ndarray of uint8, shape (h, w) or (h, w, 3), BGR

    Returns
    -------
    ndarray of uint8, shape (90, 160)
    """
    small = still(picture)
    if small.ndim == 3:
        small = np.asarray(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), np.uint8)
    half = cv2.resize(small, MOTION_STILL_SIZE, interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.uint8)
