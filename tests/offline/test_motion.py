"""What the camera's own motion says of the road, and its bytes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offline import motion, motioncodes
from offline.corners import REAR_AXLE_M, STANDARD_FOV_DEG, focal_px
from offline.mounting import Mounting
from offline.preprocessing import CODE_BYTES
from offline.roadheading import RoadHeading
from offline.roadpitch import Standing
from offline.roadscene import HEADING_WINDOW_M
from offline.rotation import DOUBTFUL, STILL, Rotation
from offline.uprights import NONE

from .lamps import picture


def column(codes: np.ndarray, name: str) -> np.ndarray:
    return codes[:, motioncodes.CODES.index(name)].astype(float)


def turns(pitch_deg: np.ndarray, yaw_deg: np.ndarray) -> list[Rotation | None]:
    both = zip(pitch_deg, yaw_deg, strict=True)
    return [Rotation(float(pitch), float(yaw), 0.0, 0.05, 0.1, 0.0) for pitch, yaw in both]


def codes_of(driven_m: np.ndarray, steps: list[Rotation | None]) -> np.ndarray:
    standing = Standing([NONE] * driven_m.size, Mounting(0.0, 0.0, 0.9, focal_px()), 0.03)
    return motioncodes.codes(0.5 * np.arange(driven_m.size), driven_m, steps, standing)


def test_a_code_is_a_byte_of_the_networks_input() -> None:
    assert len(motioncodes.CODES) == CODE_BYTES


def test_a_right_angle_is_a_heading_and_a_tight_curvature() -> None:
    driven_m = np.arange(80) * 3.0
    yaw = np.zeros(79)
    yaw[40:45] = 18.0  # left by 90 degrees over 15 m: a radius of 9.5 m
    codes = codes_of(driven_m, turns(np.zeros(79), yaw))
    heading = column(codes, "heading") - 128
    assert heading[37] == pytest.approx(90.0, abs=1)
    assert heading[10] == 0
    assert heading[60] == 0
    behind = column(codes, "heading_behind") - 128
    assert (behind[[37, 60]] == 0.0).all()
    assert behind[45] == pytest.approx(90.0 - 18.0 * REAR_AXLE_M / 3.0, abs=3)
    here = (column(codes, "curvature_behind") - 128) / motioncodes.SIGNED["curvature_behind"]
    # Less by what lenses bend as a rule (`roadpitch.EXPECTED`).
    assert here[42] == pytest.approx(0.105 / 1.013, abs=0.001)
    assert here[48] == 0.0
    assert column(codes, "peak_curvature")[37] / motioncodes.PEAK_CODE == pytest.approx(
        0.105, abs=0.01
    )
    assert (column(codes, "heading_known")[:70] == 255).all()
    mirrored = codes_of(driven_m, turns(np.zeros(79), -yaw))
    turning = {"heading", "curvature", "heading_behind", "curvature_behind"}
    for name in motioncodes.CODES:
        there, back = column(codes, name), column(mirrored, name)
        known = there > 0
        swapped = np.array_equal(there[known] + back[known], np.full(known.sum(), 256.0))
        assert swapped if name in turning else np.array_equal(there, back), name
    assert set(motioncodes.MIRRORED) == turning
    # Nothing is known of what lies behind the first picture.
    assert (behind == -128).sum() == np.count_nonzero(driven_m < 12.0)


def test_a_hill_shows_where_the_road_turns_upward() -> None:
    driven_m = np.arange(300) * 6.0
    pitch = np.zeros(299)
    pitch[100:104], pitch[116:120] = 1.0, -1.0  # 7 % for 100 m
    codes = codes_of(driven_m, turns(pitch, np.zeros(299)))
    near = (column(codes, "near_grade") - 128) / motioncodes.SIGNED["near_grade"]
    assert near[105:115].min() > 4.0
    assert abs(near[40]) < 0.5
    assert abs(near[200]) < 0.5
    change = (column(codes, "grade_change") - 128) / motioncodes.SIGNED["grade_change"]
    assert change[101] > 1.0
    assert change[117] < -1.0


def test_one_mistaken_turn_makes_no_hill() -> None:
    driven_m = np.arange(200) * 6.0
    pitch = np.zeros(199)
    pitch[100] = 8.0
    codes = codes_of(driven_m, turns(pitch, np.zeros(199)))
    near = (column(codes, "near_grade") - 128) / motioncodes.SIGNED["near_grade"]
    assert np.abs(near).max() < 3.0


def test_a_turn_that_was_lost_within_a_bend_goes_on_as_the_bend_does() -> None:
    driven_m = np.arange(80) * 3.0
    yaw = np.zeros(79)
    yaw[30:50] = 6.0
    steps = turns(np.zeros(79), yaw)
    whole = column(codes_of(driven_m, steps), "heading")
    steps[39:41] = [None] * 2
    mended = codes_of(driven_m, steps)
    assert np.abs(column(mended, "heading") - whole).max() <= 1
    assert column(mended, "heading_known")[37] < 255


def test_what_was_not_measured_is_said_to_be_unknown() -> None:
    driven_m = np.arange(100) * 5.0
    steps = turns(np.zeros(99), np.zeros(99))
    steps[50:60] = [None] * 10
    codes = codes_of(driven_m, steps)
    assert column(codes, "heading_known")[50] == 0
    assert column(codes, "heading_known")[30] == 255
    assert 0 < column(codes, "slope_known")[55] < 255
    # Nothing is known of the road beyond the last picture.
    assert column(codes, "heading_known")[-1] == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a_drive_of_hardly_a_picture_has_codes_all_the_same(count: int) -> None:
    running = motion.Survey()
    for k in range(count):
        running.add(picture(4.0 * k), 0.5 * k, 4.0 * k)
    assert running.finish().codes.shape == (count, CODE_BYTES)


def test_a_survey_finds_the_mounting_and_then_the_bend() -> None:
    running = motion.Survey()
    yaw = 0.0
    for k in range(70):
        yaw += 4.0 if 40 <= k < 50 else 0.0
        # A drive straight through the lamps whose camera turns to the left for a while.
        running.add(picture(4.0 * k, -3.0, yaw), 0.5 * k, 4.0 * k)
    found = running.finish()
    assert found.mounting is not None
    assert found.mounting.down_px == pytest.approx(-6.6, abs=1.2)
    heading = column(found.codes, "heading") - 128
    assert heading[36] > 8.0
    assert abs(heading[10]) <= 2.0


def test_a_standing_vehicle_keeps_no_pictures_and_turns_nowhere() -> None:
    running = motion.Survey()
    for k in range(500):
        running.add(picture(0.0), 0.5 * k, 0.0)
    assert not running.useful()
    assert running.finish().mounting is None
    assert codes_of(np.zeros(5), [STILL] * 4).shape == (5, CODE_BYTES)


def test_a_mounting_that_the_first_minutes_hide_is_found_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(motion, "HELD", 15)
    running = motion.Survey()
    driven_m = 0.0
    for k in range(60):
        # At first too fast for any pair to count.
        driven_m += 18.0 if k < 10 else 4.0
        running.add(picture(driven_m, -3.0), 0.5 * k, driven_m)
    found = running.finish()
    assert found.mounting is not None
    assert found.mounting.down_px == pytest.approx(-6.6, abs=1.5)
    assert found.codes.shape == (60, CODE_BYTES)


def test_a_long_recording_keeps_its_mounting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(motion, "HELD", 15)
    driven_m = 4.0 * np.arange(40)
    planes = np.stack([picture(s, -3.0) for s in driven_m])
    drive = motion.Drive(planes, 0.5 * np.arange(40), driven_m)
    mounting, (codes,) = motion.survey_recorded([drive])
    assert mounting is not None
    assert mounting.down_px == pytest.approx(-6.6, abs=1.5)
    assert codes[:, 0].all()


@pytest.mark.parametrize("rate_hz", [2.0, 5.0, 10.0])
def test_pictures_at_any_rate_are_surveyed_in_a_trips_steps(rate_hz: float) -> None:
    running = motion.Survey()
    for t_s in np.arange(0.0, 20.0, 1.0 / rate_hz):
        running.add(picture(8.0 * t_s, -3.0), t_s, 8.0 * t_s)
    found = running.finish()
    assert found.mounting is not None
    assert found.mounting.down_px == pytest.approx(-6.6, abs=1.5)
    assert len(found.codes) == 20 * rate_hz
    assert found.codes[:, 0].all()


@pytest.mark.parametrize("climb_deg", [-4.0, 0.0, 4.0])
def test_a_climb_all_along_is_told_by_what_stands_upright(climb_deg: float) -> None:
    running = motion.Survey(STANDARD_FOV_DEG)
    for k, driven_m in enumerate(np.cumsum(5.5 + 2.5 * np.sin(np.arange(80) / 4.0))):
        running.add(picture(driven_m, -3.0, climb_deg=climb_deg), 0.5 * k, driven_m)
    codes = running.finish().codes[10:-10]
    grade = (column(codes, "far_grade").astype(float) - 128.0) / motioncodes.SIGNED["far_grade"]
    # Drawn to level: whole drives seldom climb so.
    assert np.median(grade) == pytest.approx(0.6 * 100.0 * np.tan(np.radians(climb_deg)), abs=2.0)
    assert (np.sign(np.median(grade)) == np.sign(climb_deg)) or climb_deg == 0.0
    assert column(codes, "grade_known").min() > 150


def test_of_a_camera_askew_that_nobody_told_of_edges_tell_little() -> None:
    known = []
    for fov_deg in (STANDARD_FOV_DEG, None):
        running = motion.Survey(fov_deg)
        for k in range(60):
            running.add(picture(6.0 * k, -8.0, climb_deg=0.0), 0.5 * k, 6.0 * k)
        known.append(np.median(column(running.finish().codes, "grade_known")))
    assert known[1] < known[0] - 8


def test_what_is_learnt_is_what_is_scored() -> None:
    t_s = np.arange(40) * 0.5
    planes = np.stack([picture(10.0 * t, -3.0, 2.0 * max(t - 12.0, 0.0)) for t in t_s])
    mounting, (learnt,) = motion.survey_recorded([motion.Drive(planes, t_s, 10.0 * t_s)])
    running = motion.Survey()
    for plane, t in zip(planes, t_s, strict=True):
        running.add(plane, t, 10.0 * t)
    scored = running.finish()
    assert scored.mounting == mounting is not None
    assert np.array_equal(scored.codes, learnt)


def test_a_dense_recording_is_measured_in_a_trips_steps() -> None:
    t_s = np.arange(200) * 0.1
    drive = motion.Drive(np.stack([picture(8.0 * t, -3.0) for t in t_s]), t_s, 8.0 * t_s)
    mounting, (codes,) = motion.survey_recorded([drive])
    assert mounting is not None
    assert mounting.down_px == pytest.approx(-6.6, abs=1.2)
    assert codes.shape == (200, CODE_BYTES)
    assert (column(codes, "levelled") == motioncodes.FOV_UNKNOWN).all()
    told, (certain,) = motion.survey_recorded([drive], STANDARD_FOV_DEG)
    assert told is not None
    assert told.down_px == pytest.approx(mounting.down_px, abs=0.05)
    assert (column(certain, "levelled") == 255).all()
    sure = motioncodes.CODES.index("grade_known")
    apart = np.abs(certain.astype(int) - codes)[:, 1:]
    assert np.delete(apart, sure - 1, axis=1).max() <= 2
    assert (column(certain, "grade_known") >= column(codes, "grade_known")).all()
    unknown, (nothing,) = motion.survey_recorded([motion.Drive(drive.planes[:3], t_s[:3], t_s[:3])])
    assert unknown is None
    assert not nothing.any()


def test_a_recording_that_ended_knows_nothing_of_the_road_beyond() -> None:
    running, yaw = motion.Survey(), 0.0
    for k in range(70):
        yaw += 4.0 if 40 <= k < 50 else 0.0
        running.add(picture(4.0 * k, -3.0, yaw), 0.5 * k, 4.0 * k)
    ended = running.ended(44)
    whole = running.finish().codes
    assert np.array_equal(running.ended(44), ended)
    assert ended.shape == (45, CODE_BYTES)
    known, heading = column(ended, "heading_known"), column(ended, "heading") - 128
    assert known[-1] == 0
    assert heading[-1] == 0
    # Of the bend's ten steps four were seen.
    assert column(whole, "heading")[40] - 128 > heading[40] + 2.0 > 7.0
    assert known[40] < column(whole, "heading_known")[40]
    # What lies behind it knows as well as ever.
    for name in ("heading_behind", "curvature_behind"):
        assert abs(column(ended, name)[-1] - column(whole, name)[44]) <= 3
    assert column(ended, "heading_behind")[-1] - 128 > 8.0
    # What was passed is as it was.
    assert np.abs(heading[:30] - (column(whole, "heading")[:30] - 128)).max() <= 1


def test_curvature_is_that_of_the_road_ahead() -> None:
    driven_m = np.arange(80) * 3.0
    yaw = np.zeros(79)
    yaw[40:50] = 3.0  # left by 30 degrees from 120 to 150 m
    curvature = (column(codes_of(driven_m, turns(np.zeros(79), yaw)), "curvature") - 128) / 1000.0
    assert curvature[40] == pytest.approx(np.radians(15.0) / 15.0, abs=0.002)
    assert curvature[30] == 0.0
    assert curvature[37] > 0.005
    assert curvature[50] == 0.0


def test_the_road_bends_before_the_vehicle_turns() -> None:
    """Its rear axle comes to the bend after its camera."""
    driven_m = np.arange(400) * 0.5
    yaw = np.zeros(399)
    yaw[200:230] = 2.0  # left by 60 degrees from 100 to 115 m
    codes = codes_of(driven_m, turns(np.zeros(399), yaw))
    heading = column(codes, "heading") - 128
    reach_m = driven_m + HEADING_WINDOW_M - (100.0 - REAR_AXLE_M)
    begun = (reach_m > 0.5) & (reach_m < 14.5)
    assert heading[begun] == pytest.approx(4.0 * reach_m[begun], abs=1.0)
    assert (heading[reach_m < -0.5] == 0.0).all()


def test_where_a_recording_ends_the_road_bends_on_below_the_vehicle() -> None:
    driven_m = np.arange(40) * 3.0
    codes = codes_of(driven_m, turns(np.zeros(39), np.full(39, 3.0)))
    assert column(codes, "heading_behind")[-1] - 128 == pytest.approx(15.0, abs=0.5)
    here = (column(codes, "curvature_behind")[-1] - 128) / motioncodes.SIGNED["curvature_behind"]
    assert here == pytest.approx(np.radians(1.0), abs=0.002)


def test_between_pictures_far_apart_an_s_bend_has_no_kinks() -> None:
    """Radii of 30 m to both sides within 90 m, seen every 10 m."""
    place_m = np.arange(0.0, 300.0, 0.1)
    bends_m = [100.0, 115.0, 145.0, 175.0, 190.0]
    curvature = np.interp(place_m, bends_m, [0.0, 1 / 30.0, -1 / 30.0, 1 / 30.0, 0.0])
    road = np.degrees(np.cumsum(curvature) * 0.1)
    off = []
    for first_m in (0.0, 2.0, 4.0, 6.0, 8.0):
        driven_m = first_m + 10.0 * np.arange(29)
        yaw = np.diff(np.interp(driven_m - REAR_AXLE_M, place_m, road))
        heading = RoadHeading(driven_m, turns(np.zeros(28), yaw))
        here, there = (np.interp(driven_m + m, place_m, road) for m in (0.0, HEADING_WINDOW_M))
        found = heading.change_deg(driven_m, driven_m + HEADING_WINDOW_M)
        off.append((found - (there - here))[:25])
    # Straight lines between the pictures are off by 1.05 to 1.1.
    assert np.sqrt(np.mean(np.square(off))) < 0.6


def test_a_turn_that_few_corners_tell_is_not_surely_known() -> None:
    driven_m = np.arange(60) * 4.0
    sure = turns(np.zeros(59), np.zeros(59))
    unsure = [replace(step, agreeing=DOUBTFUL) for step in sure if step is not None]
    known = column(codes_of(driven_m, sure), "heading_known")
    doubted = column(codes_of(driven_m, unsure), "heading_known")
    assert known[20] == 255
    assert doubted[20] == pytest.approx(255 / 2, abs=1)
    # It was measured all the same: what lies behind is told.
    assert column(codes_of(driven_m, unsure), "heading_behind")[20] == 128


def test_what_lies_behind_is_told_by_what_the_rear_axle_has_passed() -> None:
    driven_m = np.arange(60) * 3.0
    steps = turns(np.zeros(59), np.full(59, 3.0))
    steps[20] = None  # from 60 to 63 m, so that the road from 58.3 to 61.3 m is not known
    here = column(codes_of(driven_m, steps), "curvature_behind")
    assert (here[[20, 21]] == 0.0).all()
    assert (here[[19, 22]] > 128.0).all()


def test_traffic_that_crosses_before_a_creeping_vehicle_turns_nothing() -> None:
    """The world stands all but still; only a bus moves, before a stop and after it."""
    creeping = [3.0, 2.0, 1.0, 0.5, 0.25, 0.12, *[0.08] * 6]
    steps_m = [4.0] * 40 + creeping + [0.0] * 4 + creeping[::-1] + [4.0] * 15
    driven_m = np.concatenate([[0.0], np.cumsum(steps_m)])
    slow = np.flatnonzero(np.asarray(steps_m) < 0.2)
    bus = np.random.default_rng(2).integers(20, 255, (8, 28)).astype(np.uint8)
    bus = bus.repeat(4, 0).repeat(4, 1)
    survey = motion.Survey(STANDARD_FOV_DEG)
    for k, at_m in enumerate(driven_m):
        seen = picture(float(at_m)).copy()
        left = 10 * (k - int(slow[0])) - 60
        if slow[0] <= k <= slow[-1] + 2:
            low, high = max(left, 0), min(left + bus.shape[1], seen.shape[1])
            if high > low:
                seen[30:62, low:high] = bus[:, low - left : high - left]
        survey.add(seen, 0.5 * k, float(at_m))
    codes = survey.finish().codes
    assert np.abs(column(codes, "heading") - 128).max() <= 2
    assert column(codes, "peak_curvature").max() <= 10
