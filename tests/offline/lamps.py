"""A night drive between lamps whose places are known: the truth about a camera's motion."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from offline.corners import MIDDLE_PX, focal_px
from offline.preprocessing import PLANE_HEIGHT, PLANE_WIDTH

RADIUS_PX = 1.3


def _lamps() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Places (right, down, forward) in metres, clear of the vehicle's way, and brightness."""
    rng = np.random.default_rng(5)
    places = rng.uniform((-30.0, -14.0, 0.0), (30.0, 9.0, 400.0), (2500, 3))
    clear = np.hypot(places[:, 0], places[:, 1]) > 3.0
    return places[clear], rng.uniform(90.0, 230.0, int(clear.sum()))


PLACES, BRIGHTNESS = _lamps()


def picture(forward_m: float, pitch_deg: float = 0.0, yaw_deg: float = 0.0) -> NDArray[np.uint8]:
    """The plane of a camera that looks up by its pitch and to the left by its yaw."""
    pitch, yaw = np.radians(pitch_deg), np.radians(yaw_deg)
    lift = np.array(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    )
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    seen = (PLACES - (0.0, 0.0, forward_m)) @ (lift @ turn).T
    near = (seen[:, 2] > 6.0) & (seen[:, 2] < 70.0)
    x, y = (focal_px() * seen[near, k] / seen[near, 2] + MIDDLE_PX[k] for k in (0, 1))
    columns, rows = np.arange(PLANE_WIDTH), np.arange(PLANE_HEIGHT)
    across = np.exp(-(((columns[:, None] - x) / RADIUS_PX) ** 2) / 2.0)
    along = np.exp(-(((rows[:, None] - y) / RADIUS_PX) ** 2) / 2.0)
    light = (along * BRIGHTNESS[near]) @ across.T
    return np.asarray(np.clip(light, 0.0, 255.0), np.uint8)
