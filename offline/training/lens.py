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
    """

    bent: float
    target: float
    gamma: float
    veil: Frame
    passed: Frame
    bonnet: Frame
    bonnet_shade: float
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
        noise=float(rng.uniform(0.002, 0.035)),
        blur=float(rng.choice([0.0, rng.uniform(0.3, 1.3)], p=[0.5, 0.5])),
        quality=int(rng.integers(35, 96)),
    )


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
    lens: Lens, rng: np.random.Generator, light: Frame, gain: float
) -> tuple[NDArray[np.uint8], float]:
    """Turn linear light to the grey still a camera would store.

    Parameters
    ----------
    light : ndarray of float32, shape (180, 320, 3)
    gain : float
        Exposure of the frame before, 0 for the first; a camera follows with a lag.

    Returns
    -------
    tuple of ndarray of uint8, shape (180, 320), and float
        The still and its exposure.
    """
    # A single undefined pixel (a face seen exactly edge-on) would spoil the exposure for good.
    grey = np.nan_to_num(light @ LUMA, posinf=1.0, neginf=0.0) * lens.passed + lens.veil
    shiny = lens.bonnet_shade * (0.6 + 0.4 * float(grey[:40].mean()))
    grey = grey * (1.0 - lens.bonnet) + shiny * lens.bonnet
    encoded = np.power(np.maximum(grey, 0.0), lens.gamma)
    wanted = lens.target / max(float(encoded.mean()), 1e-3)
    gain = wanted if gain == 0.0 else gain + 0.5 * (wanted - gain)
    picture = encoded * gain
    if lens.blur > 0.0:
        picture = cv2.GaussianBlur(picture, (0, 0), lens.blur)
    picture = picture + rng.normal(0, lens.noise, picture.shape).astype(np.float32)
    still = np.clip(picture * 255.0, 0, 255).astype(np.uint8)
    _, packed = cv2.imencode(".jpg", still, [cv2.IMWRITE_JPEG_QUALITY, lens.quality])
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_GRAYSCALE), np.uint8), gain
