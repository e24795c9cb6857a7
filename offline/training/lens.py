"""From rendered light to what a cheap camera behind a dirty windscreen delivers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from offline.preprocessing import STILL_HEIGHT, STILL_WIDTH

WIDE_DEG: Final = 75.0
LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
STUCK_SHARE: Final = 0.35
CAPTION_SHARE: Final = 0.2
MOST_STUCK: Final = 3

Frame = NDArray[np.float32]


@dataclass(frozen=True)
class Lens:
    """Everything between the scene and the file that stays the same over a drive.

    Attributes
    ----------
    bent : float
        Barrel distortion: how much farther out the picture's corners look than its middle's scale
        says, as a share.
    veil : ndarray of float32, shape (180, 320)
        Light added by reflections in the windscreen.
    passed : ndarray of float32, shape (180, 320)
        Share of light passed: vignetting, dirt.
    bonnet : ndarray of float32, shape (180, 320)
        Opacity of the vehicle's own bonnet.
    stuck : ndarray of float32, shape (180, 320)
        Opacity of toll tags, holders and the mirror, which show the same edges all along.
    caption_row : int or None
        Where a dashcam writes date and time into its pictures, if it does.
    """

    bent: float
    target: float
    gamma: float
    veil: Frame
    passed: Frame
    bonnet: Frame
    bonnet_shade: float
    stuck: Frame
    stuck_shade: float
    caption_row: int | None
    noise: float
    blur: float
    quality: int


def _blobs(rng: np.random.Generator, sigma: float) -> Frame:
    """Smooth random field scaled to 0..1."""
    small = rng.normal(size=(STILL_HEIGHT // 4, STILL_WIDTH // 4)).astype(np.float32)
    field = cv2.resize(cv2.GaussianBlur(small, (0, 0), sigma), (STILL_WIDTH, STILL_HEIGHT))
    return np.asarray((field - field.min()) / max(float(np.ptp(field)), 1e-6), np.float32)


def draw_lens(rng: np.random.Generator, fov_deg: float) -> Lens:
    """Draw a camera and its windscreen.

    Parameters
    ----------
    fov_deg : float
        Cheap wide lenses bend straight lines most.
    """
    share, most = (0.5, 0.15) if fov_deg > WIDE_DEG else (0.3, 0.06)
    bent = float(rng.uniform(0.0, most)) if rng.random() < share else 0.0
    y, x = np.mgrid[0:STILL_HEIGHT, 0:STILL_WIDTH].astype(np.float32)
    radius = np.hypot((x - STILL_WIDTH / 2) / STILL_WIDTH, (y - STILL_HEIGHT / 2) / STILL_WIDTH)
    passed = 1.0 - float(rng.uniform(0.0, 1.0)) * radius**2
    if rng.random() < 0.25:
        spots = _blobs(rng, float(rng.uniform(0.8, 3)))
        level = float(np.quantile(spots, rng.uniform(0.9, 0.99)))
        passed = passed * (1.0 - float(rng.uniform(0.1, 0.5)) * (spots > level))
    veil = np.zeros_like(passed)
    if rng.random() < 0.3:
        veil = _blobs(rng, float(rng.uniform(1.5, 8))) ** 2 * float(rng.uniform(0.02, 0.2))
        veil = veil * np.clip((y / STILL_HEIGHT - 0.2) * 2, 0, 1)
    bonnet = np.zeros_like(passed)
    if rng.random() < 0.4:
        height = float(rng.uniform(0.02, 0.16)) * STILL_HEIGHT
        centre = STILL_WIDTH * float(rng.uniform(0.35, 0.65))
        arch = float(rng.uniform(0.2, 1.2)) * ((x - centre) / STILL_WIDTH) ** 2 * STILL_HEIGHT / 2
        bonnet = np.clip(y - (STILL_HEIGHT - height + arch), 0, 1)
    return Lens(
        bent=bent,
        target=float(np.clip(rng.normal(0.40, 0.10), 0.15, 0.65)),
        gamma=float(rng.uniform(0.45, 0.9)),
        veil=np.asarray(veil, np.float32),
        passed=np.asarray(passed, np.float32),
        bonnet=np.asarray(bonnet, np.float32),
        bonnet_shade=float(rng.uniform(0.02, 0.5)),
        stuck=_stuck(rng),
        stuck_shade=float(rng.uniform(0.01, 0.3)),
        caption_row=_caption_row(rng),
        noise=float(rng.uniform(0.002, 0.035)),
        blur=float(rng.choice([0.0, rng.uniform(0.3, 1.3)], p=[0.5, 0.5])),
        quality=int(rng.integers(35, 96)),
    )


def _stuck(rng: np.random.Generator) -> Frame:
    """Opacity of things on the windscreen's upper half: slanted boxes, out of focus."""
    opacity = np.zeros((STILL_HEIGHT, STILL_WIDTH), np.float32)
    if rng.random() >= STUCK_SHARE:
        return opacity
    for _ in range(int(rng.integers(1, MOST_STUCK + 1))):
        size = (float(rng.uniform(8, 90)), float(rng.uniform(6, 45)))
        middle = (float(rng.uniform(0, STILL_WIDTH)), float(rng.uniform(-10, 0.3 * STILL_HEIGHT)))
        corners = cv2.boxPoints((middle, size, float(rng.normal(0, 6))))
        cv2.fillPoly(opacity, [np.round(corners).astype(np.int32)], (1.0,))
    return np.asarray(cv2.GaussianBlur(opacity, (0, 0), float(rng.uniform(0.5, 2.5))), np.float32)


def _caption_row(rng: np.random.Generator) -> int | None:
    if rng.random() >= CAPTION_SHARE:
        return None
    return int(rng.choice([rng.uniform(9, 16), rng.uniform(164, 176)]))


def bend(lens: Lens, light: Frame) -> Frame:
    """Bend a picture as the lens does; its corners stay in place (Brown's first radial term)."""
    if lens.bent == 0.0:
        return light
    middle = np.array([STILL_WIDTH - 1, STILL_HEIGHT - 1], np.float32) / 2.0
    y, x = np.mgrid[0:STILL_HEIGHT, 0:STILL_WIDTH].astype(np.float32)
    x, y = x - middle[0], y - middle[1]
    farther = (1.0 + lens.bent * (x**2 + y**2) / float(middle @ middle)) / (1.0 + lens.bent)
    bent = cv2.remap(light, x * farther + middle[0], y * farther + middle[1], cv2.INTER_LINEAR)
    return np.asarray(bent, np.float32)


def middle_fov_deg(lens: Lens, fov_deg: float) -> float:
    """Field of view that a picture's middle has the scale of, where its corners' is another."""
    half = math.tan(math.radians(fov_deg / 2.0)) / (1.0 + lens.bent)
    return math.degrees(2.0 * math.atan(half))


def expose(
    lens: Lens, rng: np.random.Generator, light: Frame, gain: float, t_s: float
) -> tuple[NDArray[np.uint8], float]:
    """Turn linear light to the grey still a camera would store.

    Parameters
    ----------
    light : ndarray of float32, shape (180, 320, 3)
    gain : float
        Exposure of the frame before, 0 for the first; a camera follows with a lag.
    t_s : float
        Which a caption shows.

    Returns
    -------
    tuple of ndarray of uint8, shape (180, 320), and float
        The still and its exposure.
    """
    encoded = _encoded(lens, light)
    wanted = lens.target / max(float(encoded.mean()), 1e-3)
    gain = wanted if gain == 0.0 else gain + 0.5 * (wanted - gain)
    return _stored(lens, rng, encoded * gain, t_s), gain


def expose_like(
    lens: Lens, rng: np.random.Generator, light: Frame, grey: float, t_s: float
) -> NDArray[np.uint8]:
    """The still of a camera whose exposure makes it `grey` on average, of 255."""
    picture = _encoded(lens, light)
    for _ in range(2):
        # What is brighter than white counts as white.
        picture = picture * (grey / 255.0 / max(float(np.minimum(picture, 1.0).mean()), 1e-3))
    return _stored(lens, rng, picture, t_s)


def _encoded(lens: Lens, light: Frame) -> Frame:
    """Light through windscreen and lens as the file encodes it, not yet exposed."""
    # A single undefined pixel (a face seen exactly edge-on) would spoil the exposure for good.
    grey = np.nan_to_num(light @ LUMA, posinf=1.0, neginf=0.0) * lens.passed + lens.veil
    shiny = lens.bonnet_shade * (0.6 + 0.4 * float(grey[:40].mean()))
    grey = grey * (1.0 - lens.bonnet) + shiny * lens.bonnet
    grey = grey * (1.0 - lens.stuck) + lens.stuck_shade * lens.stuck
    return np.asarray(np.power(np.maximum(grey, 0.0), lens.gamma))


def _stored(lens: Lens, rng: np.random.Generator, picture: Frame, t_s: float) -> NDArray[np.uint8]:
    if lens.blur > 0.0:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), lens.blur), np.float32)
    picture = picture + rng.normal(0, lens.noise, picture.shape).astype(np.float32)
    still = np.clip(picture * 255.0, 0, 255).astype(np.uint8)
    if lens.caption_row is not None:
        _write(still, f"2026/03/14 08:{int(t_s) // 60:02d}:{int(t_s) % 60:02d}", lens.caption_row)
    _, packed = cv2.imencode(".jpg", still, [cv2.IMWRITE_JPEG_QUALITY, lens.quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8)


def _write(still: NDArray[np.uint8], text: str, row: int) -> None:
    """Write bright letters with dark outlines, as dashcams do."""
    for grey, thickness in ((0, 3), (235, 1)):
        cv2.putText(
            still, text, (6, row), cv2.FONT_HERSHEY_SIMPLEX, 0.33, (grey,), thickness, cv2.LINE_AA
        )
