"""The bytes in which a drive's motion is told to the network, a few for each frame.

The yaw gives the road's heading and its change, the pitch and what knows gravity the grade
(`offline.roadpitch`).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from offline.corners import REAR_AXLE_M
from offline.roadheading import RoadHeading
from offline.roadpitch import GRADE_SD_DEG, Standing, road_pitch
from offline.roadscene import HEADING_WINDOW_M, LOOK_AHEAD_M
from offline.rotation import Rotation

CODES: Final = ("levelled", "heading_known", "heading", "curvature", "peak_curvature",
                "slope_known", "near_grade", "far_grade", "grade_change", "grade_known",
                "heading_behind", "curvature_behind")  # fmt: skip
"""One byte each a frame, all 0 where the mounting is not known. Where it is, the first says whether
the field of view is known too, the shares (in 1/255) how much of the road was measured
(`heading_known`: and how surely), `grade_known` how certain the grade is; signed ones are 128 for
nothing, and those of what lies behind 0 where it was not measured."""
SIGNED: Final = {"heading": 1.0, "curvature": 1000.0, "near_grade": 8.0, "far_grade": 8.0,
                 "grade_change": 16.0, "heading_behind": 1.0,
                 "curvature_behind": 1000.0}  # fmt: skip
"""Steps of a byte per degree, 1/m, percent."""
FOV_UNKNOWN: Final = 128
"""First byte of a levelled frame whose camera's field of view nobody told; else 255."""
PEAK_CODE: Final = 2000.0
"""Steps of a byte per 1/m."""
MIRRORED: Final = ("heading", "curvature", "heading_behind", "curvature_behind")
HILL_M: Final = 40.0
VALLEY_M: Final = 100.0
"""Over which a road is pulled to level (`offline.roadpitch`)."""
CURVATURE_M: Final = 6.0
BEHIND_M: Final = 15.0
"""What lies behind tells what is under way where the recording ends, and of a turn what is left."""
HERE_M: Final = 4.0
LEAST_KNOWN: Final = 0.8
"""Share of what lies behind that must have been measured."""
NEARBY_M: Final = 100.0

Array = NDArray[np.float64]


def codes(
    t_s: Array,
    driven_m: Array,
    steps: list[Rotation | None],
    standing: Standing,
    focal_ratio: float | None = None,
) -> NDArray[np.uint8]:
    """Code the turns between pictures.

    Parameters
    ----------
    t_s, driven_m : ndarray, shape (n,)
    steps : list of Rotation or None, length n - 1
        None where a turn could not be measured.
    standing : Standing
        What stands upright beside the road.
    focal_ratio : float, optional
        True focal length over that taken; that of this drive's own estimate otherwise.

    Returns
    -------
    ndarray of uint8, shape (n, len(CODES))
    """
    s = np.asarray(driven_m, np.float64)
    roads = {
        name: road_pitch(t_s, s, steps, length_m, standing)
        for name, length_m in (("near_grade", HILL_M), ("far_grade", VALLEY_M))
    }
    heading = RoadHeading(s, steps, focal_ratio or roads["near_grade"].focal_ratio)
    end = s + HEADING_WINDOW_M
    values: dict[str, Array] = {}
    values["heading"] = heading.change_deg(s, end)
    bend = heading.change_deg(s, s + LOOK_AHEAD_M)
    values["curvature"] = np.radians(bend) / LOOK_AHEAD_M
    values["heading_behind"] = heading.change_deg(s - BEHIND_M, s)
    values["curvature_behind"] = np.radians(heading.change_deg(s - HERE_M, s)) / HERE_M
    # Before the first picture nothing was measured, and over a gap neither.
    told = {
        name: heading.measured_m(np.minimum(s, s[-1] - REAR_AXLE_M) - length_m, s)
        >= LEAST_KNOWN * length_m
        for name, length_m in (("heading_behind", BEHIND_M), ("curvature_behind", HERE_M))
    }
    places = s[:, None] + np.arange(-3.0, HEADING_WINDOW_M - CURVATURE_M, 3.0)
    arcs = heading.change_deg(places, places + CURVATURE_M)
    peak = np.radians(np.abs(arcs).max(axis=1)) / CURVATURE_M
    for name, road in roads.items():
        values[name] = road.grade_percent(s + LOOK_AHEAD_M / 2.0)
    values["grade_change"] = values["near_grade"] - roads["near_grade"].grade_percent(s)
    near = roads["near_grade"]
    variance = np.interp(s + LOOK_AHEAD_M / 2.0, near.place_m, near.pitch_sd_deg) ** 2
    shares = {
        "grade_known": GRADE_SD_DEG**2 / (GRADE_SD_DEG**2 + variance),
        "levelled": np.ones(s.size),
        "heading_known": heading.sure_m(s, end) / HEADING_WINDOW_M,
        "slope_known": heading.measured_m(s - NEARBY_M, s + NEARBY_M) / (2.0 * NEARBY_M),
    }
    columns = []
    for name in CODES:
        if name in shares:
            columns.append(255.0 * shares[name])
        elif name == "peak_curvature":
            columns.append(np.clip(PEAK_CODE * peak, 0.0, 255.0))
        else:
            column = np.clip(128.0 + SIGNED[name] * values[name], 1.0, 255.0)
            columns.append(np.where(told[name], column, 0.0) if name in told else column)
    return np.round(np.stack(columns, axis=1)).astype(np.uint8)
