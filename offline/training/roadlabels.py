"""Labels for free: slope and course of the road ahead from a trip's own sensors.

Where a trip has altitude (GPS or barometer), yaw rate or positions (or a GPX track beside it),
the road it drove is known afterwards. Grade is a line fitted to altitude over distance around
the look-ahead stretch; heading change is the integral of yaw rate, or the turn of the track's
direction. Each comes with its standard deviation, and a label's probability is the share of
that normal distribution on the label's side of the threshold.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid
from scipy.special import ndtr

from offline import roadscene
from offline.corners import REAR_AXLE_M
from offline.errors import InputError
from offline.smoothing import smooth_speed
from onboard.trip import Samples, Trip

GRADE_WINDOW_M: Final = 60.0
"""Altitude is fitted over this length: over 15 m its noise would outweigh any hill."""
GPS_ALTITUDE_SD_M: Final = 1.5
BAROMETER_SD_M: Final = 0.4
"""Scatter within a window; the slow drift of either sensor cancels in a slope."""
POSITION_SD_M: Final = 1.5
YAW_RATE_BIAS_SD_RAD_S: Final = 0.005
YAW_NOISE_RAD_PER_SQRT_S: Final = 0.01
METRES_PER_KPA: Final = 84.3
"""Height per kilopascal near sea level at 15 °C (hypsometric formula)."""
EARTH_RADIUS_M: Final = 6_371_000.0
MIN_SPEED_MPS: Final = 1.0
GRID_HZ: Final = 5.0
GPX_NAMESPACE: Final = "{*}"

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """Positions and altitudes over time; NaN where missing.

    Attributes
    ----------
    t_s : ndarray, shape (n,)
        Seconds on the trip's own clock.
    """

    t_s: Array
    latitude_deg: Array
    longitude_deg: Array
    altitude_m: Array


@dataclass(frozen=True)
class RoadAhead:
    """What lies ahead at wanted times, with standard deviations; NaN where not known."""

    speed_mps: Array
    grade_percent: Array
    grade_sd_percent: Array
    heading_change_deg: Array
    heading_sd_deg: Array
    curvature_per_m: Array
    curvature_sd_per_m: Array
    peak_curvature_per_m: Array


def read_gpx(file: Path, utc_start_ns: int) -> Track:
    """Read a GPX track.

    Parameters
    ----------
    utc_start_ns : int
        UTC that shall become 0 s.

    Raises
    ------
    InputError
        The file is no GPX or its points carry no time.
    """
    try:
        root = ElementTree.parse(file).getroot()
    except (OSError, ElementTree.ParseError) as error:
        raise InputError(f"{file}: cannot be read as GPX ({error})") from error
    rows = []
    for point in root.iterfind(f".//{GPX_NAMESPACE}trkpt"):
        time = point.findtext(f"{GPX_NAMESPACE}time")
        height = point.findtext(f"{GPX_NAMESPACE}ele")
        if time is None:
            continue
        stamp = pd.Timestamp(time)
        stamp = stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp
        rows.append(
            (
                (stamp.value - utc_start_ns) / 1e9,
                float(point.attrib["lat"]),
                float(point.attrib["lon"]),
                float(height) if height else math.nan,
            )
        )
    if len(rows) < 2:
        raise InputError(f"{file}: fewer than two track points with a time")
    columns = np.array(sorted(rows)).T
    return Track(*columns)


def road_ahead(trip: Trip, t_s: Array, start_ns: int, gpx: Path | None = None) -> RoadAhead:
    """Measure the road ahead of a trip's frames.

    Parameters
    ----------
    t_s : ndarray, shape (n,)
        Wanted times in seconds since `start_ns` (CLOCK_MONOTONIC).
    gpx : Path, optional
        A track recorded beside the trip; matched by UTC.

    Raises
    ------
    InputError
        The trip has no speed, or neither altitude nor yaw rate nor positions.
    """
    samples = trip.samples()
    speed_t, speed_kmh = _series(samples, "speed_kmh", start_ns)
    if speed_t.size < 2:
        raise InputError(f"{trip.path}: no speed recorded, so distance is not known")
    grid = np.arange(0.0, max(float(speed_t[-1]), float(t_s.max(initial=0.0))) + 0.2, 1 / GRID_HZ)
    speed = smooth_speed(
        np.maximum(speed_t, 0.0), speed_kmh, grid, rate_hz=GRID_HZ, max_gap_s=4.0
    ).speed_mps
    distance = np.concatenate([[0.0], np.cumsum(np.nan_to_num(speed[:-1]) / GRID_HZ)])
    track = _gpx_track(trip, gpx, start_ns) if gpx is not None else _own_track(samples, start_ns)
    altitude = _altitudes(samples, start_ns, track)
    yaw = _series(samples, "yaw_rate_rad_s", start_ns)
    if not any(t.size > 2 for t, _, _ in altitude) and yaw[0].size < 3 and track is None:
        raise InputError(
            f"{trip.path}: neither altitude, barometer, yaw rate nor positions were recorded: "
            "nothing to label from; give a GPX track with --gpx"
        )
    s = np.interp(t_s, grid, distance)
    v = np.interp(t_s, grid, np.nan_to_num(speed))
    grade, grade_sd = _grade(s, altitude, grid, distance)
    heading, heading_sd, curvature, curvature_sd, peak = _heading(s, grid, distance, yaw, track)
    parked = v < MIN_SPEED_MPS
    unknown = np.isnan(np.interp(t_s, grid, speed))
    for values in (grade, heading):
        values[parked | unknown] = np.nan
    speed_mps = np.where(unknown, np.nan, v)
    return RoadAhead(speed_mps, grade, grade_sd, heading, heading_sd, curvature, curvature_sd, peak)


def label_probabilities(ahead: RoadAhead) -> tuple[Array, Array]:
    """Probabilities of `roadscene.SLOPES` and `roadscene.COURSES`; NaN rows where not known."""
    limit = roadscene.SLOPE_THRESHOLD_PERCENT
    up = ndtr((ahead.grade_percent - limit) / ahead.grade_sd_percent)
    down = ndtr((-ahead.grade_percent - limit) / ahead.grade_sd_percent)
    slope = np.stack([1.0 - up - down, up, down], axis=1)
    change, sd = ahead.heading_change_deg, ahead.heading_sd_deg
    junction = ahead.peak_curvature_per_m >= roadscene.TURN_CURVATURE_PER_M
    turn_limit = np.where(junction, roadscene.TURN_HEADING_CHANGE_DEG, np.inf)
    left, right = ndtr((change - turn_limit) / sd), ndtr((-change - turn_limit) / sd)
    bend_limit = roadscene.CURVE_HEADING_CHANGE_DEG
    bent = ndtr((change - bend_limit) / sd) + ndtr((-change - bend_limit) / sd)
    near, near_sd = ahead.curvature_per_m, ahead.curvature_sd_per_m
    near_limit = roadscene.CURVE_CURVATURE_PER_M
    curved = ndtr((near - near_limit) / near_sd) + ndtr((-near - near_limit) / near_sd)
    # A track's scatter over 15 m would make a curve of any road.
    told = near_sd <= near_limit / 2.0
    bent = np.where(told, np.maximum(bent, curved), bent)
    curve = np.clip(bent - left - right, 0.0, 1.0)
    course = np.stack([1.0 - curve - left - right, curve, left, right], axis=1)
    return slope, course


def _series(samples: dict[str, Samples], signal: str, start_ns: int) -> tuple[Array, Array]:
    series = samples.get(signal)
    if series is None:
        return np.zeros(0), np.zeros(0)
    known = ~np.isnan(series.value)
    return (series.t_mono_ns[known] - start_ns) / 1e9, series.value[known].astype(np.float64)


def _own_track(samples: dict[str, Samples], start_ns: int) -> Track | None:
    t, latitude = _series(samples, "gps_latitude_deg", start_ns)
    t_lon, longitude = _series(samples, "gps_longitude_deg", start_ns)
    if t.size < 3 or t_lon.size < 3:
        return None
    return Track(t, latitude, np.interp(t, t_lon, longitude), np.full(t.size, np.nan))


def _gpx_track(trip: Trip, gpx: Path, start_ns: int) -> Track:
    utc = trip.clock().utc_ns(np.array([start_ns], np.int64))
    if utc is None:
        raise InputError(f"{trip.path}: no UTC was recorded, so a GPX track cannot be matched")
    return read_gpx(gpx, int(utc[0]))


def _altitudes(
    samples: dict[str, Samples], start_ns: int, track: Track | None
) -> list[tuple[Array, Array, float]]:
    """Altitude series from most to least exact: times, metres, standard deviation."""
    pressure_t, kpa = _series(samples, "baro_pressure_kpa", start_ns)
    found = []
    # OBD-II gives whole kilopascals, 84 m apart; only a real barometer's steps are finer.
    if pressure_t.size > 2 and np.any(kpa != np.round(kpa)):
        found.append((pressure_t, -METRES_PER_KPA * kpa, BAROMETER_SD_M))
    t, metres = _series(samples, "gps_altitude_m", start_ns)
    found.append((t, metres, GPS_ALTITUDE_SD_M))
    if track is not None and not np.isnan(track.altitude_m).all():
        known = ~np.isnan(track.altitude_m)
        found.append((track.t_s[known], track.altitude_m[known], GPS_ALTITUDE_SD_M))
    return found


def _grade(
    s: Array, altitudes: list[tuple[Array, Array, float]], grid: Array, distance: Array
) -> tuple[Array, Array]:
    """Slope of a line through altitude around the middle of the look-ahead stretch."""
    grade, sd = np.full(s.size, np.nan), np.full(s.size, np.nan)
    usable = [series for series in altitudes if series[0].size > 2]
    if not usable:
        return grade, sd
    t, metres, noise = usable[0]
    order = np.argsort(np.interp(t, grid, distance), kind="stable")
    where, metres = np.interp(t, grid, distance)[order], metres[order]
    for i, middle in enumerate(s + roadscene.LOOK_AHEAD_M / 2.0):
        a = np.searchsorted(where, middle - GRADE_WINDOW_M / 2)
        b = np.searchsorted(where, middle + GRADE_WINDOW_M / 2)
        x, y = where[a:b] - middle, metres[a:b]
        spread = float(((x - x.mean()) ** 2).sum()) if x.size >= 3 else 0.0
        if spread < (GRADE_WINDOW_M / 4) ** 2:
            continue
        slope = float(((x - x.mean()) * (y - y.mean())).sum()) / spread
        scatter = max(noise, float(np.sqrt(((y - y.mean() - slope * (x - x.mean())) ** 2).mean())))
        grade[i], sd[i] = 100.0 * slope, 100.0 * scatter / math.sqrt(spread)
    return grade, sd


def _heading(
    s: Array, grid: Array, distance: Array, yaw: tuple[Array, Array], track: Track | None
) -> tuple[Array, Array, Array, Array, Array]:
    """Heading change over the window ahead, mean curvature ahead, deviations, and its peak."""
    # A vehicle turns where its rear axle is, behind the camera; positions are the camera's.
    here_m = s + (REAR_AXLE_M if yaw[0].size > 2 else 0.0)
    end_m, near_m = here_m + roadscene.HEADING_WINDOW_M, here_m + roadscene.LOOK_AHEAD_M
    beyond = end_m > distance[-1]
    moving = np.maximum.accumulate(distance + 1e-6 * np.arange(distance.size))
    t_here, t_near, t_end = (np.interp(place, moving, grid) for place in (here_m, near_m, end_m))
    if yaw[0].size > 2:
        heading = np.interp(grid, yaw[0], cumulative_trapezoid(yaw[1], yaw[0], initial=0.0))
        sd, near_sd = (
            np.sqrt((YAW_RATE_BIAS_SD_RAD_S * span) ** 2 + YAW_NOISE_RAD_PER_SQRT_S**2 * span)
            for span in (t_end - t_here, t_near - t_here)
        )
    elif track is not None:
        heading = _track_heading(track, grid, distance)
        sd, near_sd = (
            np.full(s.size, 2.0 * POSITION_SD_M / length_m)
            for length_m in (roadscene.HEADING_WINDOW_M, roadscene.LOOK_AHEAD_M)
        )
    else:
        nan = np.full(s.size, np.nan)
        return nan, nan.copy(), nan.copy(), nan.copy(), nan.copy()
    here = np.interp(t_here, grid, heading)
    change = np.interp(t_end, grid, heading) - here
    change[beyond] = np.nan
    curvature = (np.interp(t_near, grid, heading) - here) / roadscene.LOOK_AHEAD_M
    steps = np.linspace(0.0, roadscene.HEADING_WINDOW_M, 11)
    at = np.interp(np.interp(here_m[:, None] + steps, moving, grid), grid, heading)
    peak = np.abs(at[:, 2:] - at[:, :-2]).max(axis=1) / (steps[2] - steps[0])
    return np.degrees(change), np.degrees(sd), curvature, near_sd / roadscene.LOOK_AHEAD_M, peak


def _track_heading(track: Track, grid: Array, distance: Array) -> Array:
    """Direction of travel along a track, unwrapped, counter-clockwise from east."""
    east = np.radians(track.longitude_deg) * np.cos(np.radians(track.latitude_deg)) * EARTH_RADIUS_M
    north = np.radians(track.latitude_deg) * EARTH_RADIUS_M
    reach = 6.0  # metres either side: shorter chords show the receiver's scatter
    moving = np.maximum.accumulate(distance + 1e-6 * np.arange(distance.size))
    before = np.interp(distance - reach, moving, grid)
    after = np.interp(distance + reach, moving, grid)
    dx = np.interp(after, track.t_s, east) - np.interp(before, track.t_s, east)
    dy = np.interp(after, track.t_s, north) - np.interp(before, track.t_s, north)
    return np.unwrap(np.arctan2(dy, dx))
