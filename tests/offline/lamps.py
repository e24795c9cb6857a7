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
POSTS_M = np.random.default_rng(6).uniform((4.0, 0.0), (7.0, 700.0), (200, 2))
"""Places (right, forward) of posts beside the road; every other one stands on the left."""
POSTS_M[::2, 0] *= -1.0


def picture(
    forward_m: float,
    pitch_deg: float = 0.0,
    yaw_deg: float = 0.0,
    right_m: float = 0.0,
    climb_deg: float | None = None,
) -> NDArray[np.uint8]:
    """The plane of a camera that looks up by its pitch and to the left by its yaw.

    With `climb_deg` posts stand along the road, which climbs so all along.
    """
    pitch, yaw = np.radians(pitch_deg), np.radians(yaw_deg)
    lift = np.array(
        [[1, 0, 0], [0, np.cos(pitch), np.sin(pitch)], [0, -np.sin(pitch), np.cos(pitch)]]
    )
    turn = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    eye = np.array([right_m, 0.0, forward_m])
    seen = (PLACES - eye) @ (lift @ turn).T
    near = (seen[:, 2] > 6.0) & (seen[:, 2] < 70.0)
    x, y = (focal_px() * seen[near, k] / seen[near, 2] + MIDDLE_PX[k] for k in (0, 1))
    brightness = BRIGHTNESS[near]
    if climb_deg is not None:
        standing = POSTS_M[(POSTS_M[:, 1] > forward_m + 9.0) & (POSTS_M[:, 1] < forward_m + 40.0)]
        up_m = np.linspace(-1.5, 5.0, 90)
        # Upright is not square to a road that climbs.
        climb = np.radians(climb_deg)
        posts = np.stack(
            [
                np.repeat(standing[:, 0], up_m.size),
                np.tile(-np.cos(climb) * up_m, len(standing)),
                np.repeat(standing[:, 1], up_m.size) + np.tile(np.sin(climb) * up_m, len(standing)),
            ],
            axis=1,
        )
        drawn = (posts - eye) @ (lift @ turn).T
        x, y = (
            np.concatenate([each, focal_px() * drawn[:, k] / drawn[:, 2] + MIDDLE_PX[k]])
            for k, each in enumerate((x, y))
        )
        brightness = np.concatenate([brightness, np.full(len(drawn), 120.0)])
    columns, rows = np.arange(PLANE_WIDTH), np.arange(PLANE_HEIGHT)
    across = np.exp(-(((columns[:, None] - x) / RADIUS_PX) ** 2) / 2.0)
    along = np.exp(-(((rows[:, None] - y) / RADIUS_PX) ** 2) / 2.0)
    light = (along * brightness) @ across.T
    return np.asarray(np.clip(light, 0.0, 255.0), np.uint8)
