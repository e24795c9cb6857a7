"""Upright edges: how a camera's pitch against gravity is read from posts."""

from __future__ import annotations

from dataclasses import astuple, replace

import cv2
import numpy as np
import pytest

from offline.corners import MIDDLE_PX, focal_px
from offline.mounting import Mounting
from offline.roadpitch import LASTING, RoadPitch, Standing, road_pitch
from offline.rotation import Rotation
from offline.uprights import NONE, Edges, Uprights, passing, passing_until, upright_edges

FOCAL_PX = focal_px()
FINE = 8
"""Pictures are drawn so many times as large, so that an edge's place is true to a fraction of a
pixel."""


def posts(
    pitch_deg: float,
    roll_deg: float = 0.0,
    *,
    lean_deg: float = 0.0,
    bent: float = 0.0,
    between_m: tuple[float, float] = (-2.0, 5.0),
) -> np.ndarray:
    """A picture of posts beside a road, of a camera pitched up and leaning to the left.

    The posts' feet and tops are at `between_m` against the camera.
    """
    low, high = between_m
    pitch, roll, lean = np.radians([pitch_deg, roll_deg, lean_deg])
    canvas = np.full((96 * FINE, 160 * FINE), 60, np.uint8)
    for number, aside_m in enumerate((-9.0, -6.5, -4.2, 4.2, 6.5, 9.0)):
        corners = []
        for half, ups in ((-0.25, np.linspace(low, high, 12)), (0.25, np.linspace(high, low, 12))):
            for up in ups:
                x, y, z = aside_m + half + up * np.tan(lean), up, 15.0 + number % 2
                below = -y * np.cos(pitch) + z * np.sin(pitch)
                ahead = y * np.sin(pitch) + z * np.cos(pitch)
                right, down = FOCAL_PX * x / ahead, FOCAL_PX * below / ahead
                right, down = (
                    right * np.cos(roll) - down * np.sin(roll),
                    right * np.sin(roll) + down * np.cos(roll),
                )
                shrunk = 1.0 - 1e-5 * bent * (right**2 + down**2)
                corners.append((MIDDLE_PX[0] + shrunk * right, MIDDLE_PX[1] + shrunk * down))
        outline = (np.array(corners) + 0.5) * FINE - 0.5
        cv2.fillPoly(canvas, [np.round(outline * 16).astype(np.int32)], 190, shift=4)
    return np.asarray(cv2.resize(canvas, (160, 96), interpolation=cv2.INTER_AREA), np.uint8)


def joined(*several: Edges) -> Edges:
    return Edges(*(np.concatenate(each) for each in zip(*map(astuple, several), strict=True)))


def told_by(edges: Edges, taken_deg: float = 0.0, bent: float = 0.0) -> tuple[float, float]:
    """Pitch and lean, in degrees, that one picture's edges tell."""
    uprights = Uprights([edges], FOCAL_PX)
    pitch, roll = np.array([taken_deg]), np.zeros(1)
    for scale in (0.1, 0.05, 0.02, 0.02):
        normal, right = uprights.told(pitch, roll, bent, scale)
        # A camera leans by some two degrees; what the lens bends is told.
        drawn = normal[0, :2, :2] + np.diag([2.0**-2, 0.0])
        roll, pitch = np.linalg.solve(drawn, right[0, :2] - normal[0, :2, 2] * bent)[:, None]
    return float(pitch[0]), float(roll[0])


@pytest.mark.parametrize("pitch_deg", [-8.0, -3.0, 0.0, 1.0, 5.0])
@pytest.mark.parametrize("roll_deg", [-2.0, 0.0, 1.0])
def test_posts_tell_the_cameras_pitch(pitch_deg: float, roll_deg: float) -> None:
    pitch, lean = told_by(upright_edges(posts(pitch_deg, roll_deg)), pitch_deg + 1.5)
    # The lean is drawn to none a little, which carries over where posts stand lopsided.
    assert pitch == pytest.approx(pitch_deg, abs=0.45)
    assert lean == pytest.approx(-roll_deg, abs=0.4)


def test_a_leaning_post_among_upright_ones_says_nothing() -> None:
    upright, leaning = upright_edges(posts(3.0)), upright_edges(posts(3.0, lean_deg=12.0))
    chosen = leaning.x > 50.0
    assert chosen.any()
    both = joined(upright, Edges(*(each[chosen] for each in astuple(leaning))))
    assert told_by(both, 1.0)[0] == pytest.approx(3.0, abs=0.5)


def test_a_lens_that_bends_is_told_apart() -> None:
    edges = joined(
        upright_edges(posts(2.0, bent=1.5, between_m=(-4.5, -1.0))),
        upright_edges(posts(2.0, bent=1.5, between_m=(1.5, 5.0))),
    )
    normal, right = Uprights([edges], FOCAL_PX).told(np.array([2.0]), np.zeros(1), 0.0, 0.1)
    assert np.linalg.solve(normal[0], right[0])[2] == pytest.approx(1.5, abs=0.6)
    assert told_by(edges, 2.0, bent=1.5)[0] == pytest.approx(2.0, abs=0.5)


@pytest.mark.parametrize(
    "plane",
    [
        np.zeros((96, 160), np.uint8),
        np.full((96, 160), 200, np.uint8),
        np.tile(np.linspace(0, 120, 160).astype(np.uint8), (96, 1)),
        np.repeat(np.random.default_rng(1).integers(0, 255, (96, 1)), 160, axis=1).astype(np.uint8),
    ],
    ids=["black", "bright", "ramp", "rows"],
)
def test_a_picture_without_upright_edges_has_none(plane: np.ndarray) -> None:
    assert upright_edges(plane).x.size == 0


def test_no_edges_tell_nothing() -> None:
    normal, right = Uprights([NONE, NONE], FOCAL_PX).told(np.ones(2), np.zeros(2), 0.0, 0.05)
    assert normal.shape == (2, 3, 3)
    assert not normal.any()
    assert not right.any()


def turn(pitch_deg: float) -> Rotation:
    return Rotation(float(pitch_deg), 0.0, 0.0, 0.03, 0.1, -0.07)


def climb(grade_deg: float, mounted_deg: float, focal_sd: float = 0.03) -> float:
    """Pitch found of a road that climbs evenly all along, which a sum cannot know."""
    count = 80
    down_px = FOCAL_PX * np.tan(np.radians(mounted_deg))
    mounting = Mounting(0.0, float(down_px), 0.9, FOCAL_PX)
    edges = [upright_edges(posts(grade_deg + mounted_deg))] * count
    steps = [turn(0.0)] * (count - 1)
    standing = Standing(edges, mounting, focal_sd)
    # At one speed all along, posts read out row by row could lean as those of a climb.
    apart_m = 5.0 + 3.0 * np.sin(np.arange(count) / 4.0)
    found = road_pitch(0.5 * np.arange(count), np.cumsum(apart_m), steps, 60.0, standing)
    return float(np.median(found.pitch_deg))


@pytest.mark.parametrize("mounted_deg", [-4.0, 0.0, 3.0])
def test_a_climb_without_beginning_is_seen(mounted_deg: float) -> None:
    # Drawn to level: whole drives seldom climb so.
    assert 1.0 < climb(4.0, mounted_deg) < 4.0
    assert -4.0 < climb(-4.0, mounted_deg) < -0.5
    assert climb(0.0, mounted_deg) == pytest.approx(0.0, abs=0.6)


def test_of_a_camera_askew_whose_field_of_view_nobody_told_little_is_believed() -> None:
    believed, doubted = climb(4.0, -6.0), climb(4.0, -6.0, focal_sd=0.25)
    assert 0.0 < doubted < believed


def level_drive(
    seen_deg: np.ndarray, mounted_deg: float, pitch_deg: np.ndarray, speed_mps: np.ndarray
) -> RoadPitch:
    """What is made of posts seen and of pitch measured between pictures."""
    drawn = {pitch: upright_edges(posts(pitch)) for pitch in set(seen_deg.tolist())}
    driven_m = np.concatenate([[0.0], np.cumsum(speed_mps[:-1] * 0.5)])
    steps = [turn(step) for step in pitch_deg]
    mounting = Mounting(0.0, float(FOCAL_PX * np.tan(np.radians(mounted_deg))), 0.9, FOCAL_PX)
    standing = Standing([drawn[pitch] for pitch in seen_deg.tolist()], mounting, 0.03)
    return road_pitch(0.5 * np.arange(speed_mps.size), driven_m, steps, 60.0, standing)


def test_a_direction_of_travel_taken_too_high_is_not_the_cameras_pitch() -> None:
    """It lies a pixel lower, as every step tells: so the camera is pitched up by as much."""
    count = 200
    lower_deg = float(np.degrees(np.arctan(1.0 / FOCAL_PX)))
    found = level_drive(
        np.full(count, -2.0), -2.0 - lower_deg, np.full(count - 1, 0.07), np.full(count, 12.0)
    )
    assert found.lasting[LASTING.index("down_px")] == pytest.approx(1.0, abs=0.2)
    straight = level_drive(np.full(count, -2.0), -2.0, np.zeros(count - 1), np.full(count, 12.0))
    assert np.abs(found.pitch_deg - straight.pitch_deg).max() < 0.15


def test_a_squatting_car_is_not_on_a_hill() -> None:
    count = 200
    speed = 12.0 + 2.0 * np.sin(np.arange(count) / 2.5)
    squat = np.round(0.5 * np.gradient(speed, 0.5), 1)
    # It travels lower than it looks while it is tipped up.
    tipped_px = FOCAL_PX * np.radians(squat[:-1] + squat[1:]) / 2.0
    found = level_drive(squat, 0.0, np.diff(squat) + 0.07 * tipped_px, speed)
    assert found.lasting[LASTING.index("squat")] == pytest.approx(0.5, abs=0.1)
    assert np.std(found.pitch_deg[10:-10]) < 0.2


def test_a_bent_lens_whose_posts_stand_on_one_side_makes_no_hill() -> None:
    count = 120
    planes = [
        posts(0.0, bent=1.5, between_m=span) for span in ((-4.5, -0.5), (0.5, 5.0), (-2.0, 5.0))
    ]
    seen = [upright_edges(plane) for plane in planes]
    right = [Edges(*(values[each.x > 0] for values in astuple(each))) for each in seen]
    edges = [right[k % 3] for k in range(count)]
    standing = Standing(edges, Mounting(0.0, 0.0, 0.9, FOCAL_PX), 0.03)
    steps = [turn(0.0)] * (count - 1)
    found = road_pitch(0.5 * np.arange(count), 6.0 * np.arange(count), steps, 60.0, standing)
    assert found.lasting[LASTING.index("bent")] == pytest.approx(1.5, abs=0.7)
    assert np.abs(found.pitch_deg).max() < 0.6


def test_what_stays_in_the_picture_is_no_part_of_the_scenery() -> None:
    rng = np.random.default_rng(3)
    passes = [
        Edges(rng.uniform(-70, 70, 8), rng.uniform(-40, 20, 8), rng.normal(0, 0.05, 8), np.ones(8))
        for _ in range(100)
    ]
    tag = Edges(np.array([40.0]), np.array([-30.0]), np.array([0.01]), np.ones(1))
    driven_m = 6.0 * np.arange(100)
    kept = passing([joined(each, tag) for each in passes], driven_m)
    assert sum((each.x == 40.0).sum() for each in kept) == 0
    assert sum(each.x.size for each in kept) > 0.9 * 800
    # A camera that creeps sees the same posts for long.
    crept = passing([passes[0]] * 100, 0.06 * np.arange(100))
    assert all(each.x.size == 8 for each in crept)
    assert passing([NONE, NONE], np.zeros(2)) == [NONE, NONE]


def test_a_hill_on_a_level_drive_is_as_steep_as_it_is() -> None:
    """The sum misses a third of a long climb, because it is pulled to level all along."""
    count = 240
    road = np.zeros(count)
    road[80:160] = 4.0
    seen = {pitch: upright_edges(posts(pitch)) for pitch in (0.0, 4.0)}
    edges = [seen[pitch] for pitch in road.tolist()]
    steps = [turn(step) for step in np.diff(road)]
    t_s, driven_m = 0.5 * np.arange(count), 6.0 * np.arange(count)
    standing = Standing(edges, Mounting(0.0, 0.0, 0.9, FOCAL_PX), 0.03)
    held = road_pitch(t_s, driven_m, steps, 60.0, standing)
    summed = road_pitch(t_s, driven_m, steps, 60.0, replace(standing, edges=[NONE] * count))
    rise, seen_by_sum = (
        np.median(each.pitch_deg[100:140]) - np.median(each.pitch_deg[:60])
        for each in (held, summed)
    )
    assert rise == pytest.approx(4.0, abs=0.6)
    assert rise > seen_by_sum + 0.5


@pytest.mark.parametrize("count", [30, 60, 110])
def test_what_passes_until_an_end_is_told_as_if_nothing_had_followed(count: int) -> None:
    rng = np.random.default_rng(2)
    # A holder that comes into view and goes, and scenery.
    pictures = []
    for k in range(120):
        x, y, tilt = rng.uniform(-70, 70, 6), rng.uniform(-40, 30, 6), rng.normal(0, 0.1, 6)
        if 15 < k < 70 or k > 95:
            x[0], y[0], tilt[0] = 33.0, -12.0, 0.02
        kept = slice(0, 0) if k % 7 == 3 else slice(None)
        pictures.append(Edges(x[kept], y[kept], tilt[kept], np.full(6, 0.02)[kept]))
    driven_m = 5.0 * np.arange(120)
    whole = passing(pictures, driven_m)
    alone = passing(pictures[:count], driven_m[:count])
    found = passing_until(pictures[:count], driven_m[:count], whole)
    assert [e.x.tolist() for e in found] == [e.x.tolist() for e in alone]
    assert sum(e.x.size for e in found) < sum(e.x.size for e in pictures[:count])
