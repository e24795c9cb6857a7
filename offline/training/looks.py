"""How a drive looks: light, weather, the road's paint and the colour of the ground."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offline.training.roads import RoadNetwork


@dataclass(frozen=True)
class Look:
    """Light, weather and paint: the shaders' uniforms, one drawing a drive."""

    uniforms: dict[str, float | tuple[float, ...]]
    sun_direction: tuple[float, float, float]
    exposure: float


def ground_color(rng: np.random.Generator, setting: str) -> NDArray[np.float64]:
    greens = np.array([0.2, 0.3, 0.1])
    straw = np.array([0.55, 0.45, 0.26])
    earth = np.array([0.35, 0.28, 0.2])
    snow = np.array([0.85, 0.86, 0.9])
    share = rng.dirichlet([1.6, 1.0, 0.6])
    color = share[0] * greens + share[1] * straw + share[2] * earth
    if rng.random() < 0.04:
        color = snow
    return np.asarray(color * rng.uniform(0.6, 1.3))


def draw_look(
    rng: np.random.Generator, network: RoadNetwork, day: np.random.Generator | None = None
) -> Look:
    """Draw the sun, the weather and the road's paint.

    Parameters
    ----------
    day : Generator, optional
        Draws sun and weather; `rng` otherwise.
    """
    day = day or rng
    weather = str(day.choice(["sun", "cloud", "haze", "dusk", "wet"], p=[0.5, 0.2, 0.1, 0.1, 0.1]))
    elevation = math.radians(
        float(day.uniform(4, 20) if weather == "dusk" else day.uniform(12, 65))
    )
    azimuth = float(day.uniform(-math.pi, math.pi))
    direction = (
        math.cos(elevation) * math.cos(azimuth),
        math.cos(elevation) * math.sin(azimuth),
        math.sin(elevation),
    )
    sun, ambient = {
        "sun": (day.uniform(0.8, 1.6), day.uniform(0.1, 0.4)),
        "cloud": (day.uniform(0.0, 0.2), day.uniform(0.5, 0.9)),
        "haze": (day.uniform(0.2, 0.6), day.uniform(0.4, 0.7)),
        "dusk": (day.uniform(0.15, 0.6), day.uniform(0.08, 0.3)),
        "wet": (day.uniform(0.0, 0.15), day.uniform(0.35, 0.7)),
    }[weather]
    sky = float(day.uniform(0.55, 1.5)) * (0.45 if weather == "dusk" else 1.0)
    haze_per_m = {"haze": day.uniform(0.004, 0.015), "wet": day.uniform(0.002, 0.01)}.get(
        weather, day.uniform(0.0001, 0.0025)
    )
    verge = ground_color(rng, network.setting)
    built_up = network.setting in ("street", "suburb")
    if network.setting == "motorway":
        markings, edge_lines = 1.0, 1.0
    elif built_up:
        markings = float(rng.choice([0, 1, 2, 3], p=[0.55, 0.25, 0.1, 0.1]))
        edge_lines = float(rng.random() < 0.2)
    else:
        markings = float(rng.choice([0, 1, 2, 3], p=[0.2, 0.35, 0.15, 0.3]))
        edge_lines = float(rng.random() < (0.75 if markings else 0.15))
    yellow = rng.random() < 0.4
    warm = (1.0, 0.93, 0.82) if weather != "dusk" else (1.0, 0.7, 0.45)
    uniforms: dict[str, float | tuple[float, ...]] = {
        "u_sun_color": tuple(float(sun) * w for w in warm),
        "u_ambient": tuple(float(ambient) * w for w in (0.92, 0.97, 1.08)),
        "u_haze": tuple(sky * w for w in ((0.9, 0.93, 1.0) if weather != "dusk"
                                          else (1.0, 0.75, 0.6))),
        "u_zenith": tuple(sky * w for w in ((0.35, 0.55, 0.95) if weather in ("sun", "dusk")
                                            else (0.75, 0.78, 0.82))),
        "u_haze_per_m": float(haze_per_m),
        "u_half_width": network.half_width_m,
        "u_lanes": float(network.lanes),
        "u_markings": markings,
        "u_edge_lines": edge_lines,
        "u_marking_wear": float(rng.uniform(-0.2, 0.55)),
        "u_pavement": float(built_up and rng.random() < 0.75),
        "u_wetness": float(rng.uniform(0.3, 1.0)) if weather == "wet" else 0.0,
        "u_asphalt": float(rng.uniform(0.13, 0.45)),
        "u_verge_color": tuple(float(v) for v in verge),
        "u_line_color": (0.8, 0.6, 0.15) if yellow else (0.85, 0.85, 0.85),
        "u_clouds": float(rng.uniform(0.0, 0.5) if weather == "sun" else rng.uniform(0.4, 1.0)),
        "u_far_color": tuple(float(v) for v in rng.uniform(0.1, 0.45, 3)),
        "u_far_height": float(max(0.0, rng.normal(0.035, 0.05))),
        "u_far_roughness": float(rng.uniform(0.0, 0.05)),
        "u_seed": float(rng.uniform(0, 1)),
    }  # fmt: skip
    return Look(uniforms, direction, float(np.clip(rng.normal(1.0, 0.25), 0.5, 1.7)))
