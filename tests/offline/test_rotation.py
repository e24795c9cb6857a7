"""The turn between two pictures, once the mounting is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation as SpatialRotation

from offline import corners
from offline.corners import Tracked, focal_px, track
from offline.following import Step
from offline.mounting import Mounting
from offline.rotation import Rotation, rotation

from .lamps import picture

STRAIGHT_M = 1e6
"""Over so long a way no turn makes the camera slip aside: these cameras turn on the spot."""


def turned(
    before: np.ndarray, after: np.ndarray, mounting: Mounting, driven_m: float = STRAIGHT_M
) -> Rotation | None:
    tracked = track(before, after, driven_m)
    return None if tracked is None else rotation(Step(tracked), mounting)


def mounted(pitch_deg: float = 0.0, yaw_deg: float = 0.0) -> Mounting:
    right, down = (focal_px() * np.tan(np.radians(a)) for a in (yaw_deg, pitch_deg))
    return Mounting(float(right), float(down), 0.5, focal_px())


@pytest.mark.parametrize("up_deg", [-3.0, -0.5, 0.0, 1.0, 4.0])
def test_pitch_is_measured_while_driving(up_deg):
    found = turned(picture(0, 0, 0), picture(5, up_deg, 0), mounted())
    assert found is not None
    assert found.pitch_deg == pytest.approx(up_deg, abs=0.3)
    assert found.yaw_deg == pytest.approx(0.0, abs=0.3)


@pytest.mark.parametrize("left_deg", [-25.0, -12.0, -3.0, 2.0, 12.0, 22.0])
def test_yaw_is_measured_while_driving(left_deg):
    found = turned(picture(0, 0, 0), picture(4, 0, left_deg), mounted())
    assert found is not None
    assert found.yaw_deg == pytest.approx(left_deg, abs=0.1 * abs(left_deg) + 0.5)
    assert found.pitch_deg == pytest.approx(0.0, abs=0.6)


@pytest.mark.parametrize("left_deg", [-14.0, 14.0])
@pytest.mark.parametrize("up_deg", [-7.0, 7.0])
def test_a_camera_that_looks_up_rolls_to_the_right_as_it_turns_to_the_left(up_deg, left_deg):
    """It turns about the plumb line, which is not its own axis."""
    found = turned(picture(0, up_deg, 0), picture(4, up_deg, left_deg), mounted(up_deg))
    assert found is not None
    assert found.roll_deg == pytest.approx(left_deg * np.sin(np.radians(up_deg)), abs=0.6)
    assert found.roll_sd_deg < 0.5


def test_a_camera_mounted_askew_measures_the_same():
    pitch_deg, yaw_deg = -5.0, 2.0
    found = turned(
        picture(0, pitch_deg, yaw_deg), picture(5, pitch_deg + 2.0, yaw_deg),
        mounted(pitch_deg, yaw_deg),
    )  # fmt: skip
    assert found is not None
    assert found.pitch_deg == pytest.approx(2.0, abs=0.3)


def test_a_narrow_lens_shows_a_smaller_turn():
    before, after = picture(0, 0, 0), picture(4, 0, 6.0)
    wide = turned(before, after, mounted())
    narrow = turned(before, after, Mounting(0.0, 0.0, 0.5, focal_px(45.0)))
    assert wide is not None
    assert narrow is not None
    assert narrow.yaw_deg == pytest.approx(wide.yaw_deg * focal_px() / focal_px(45.0), rel=0.1)


def test_a_lower_direction_of_travel_changes_the_pitch_as_foretold():
    tracked = track(picture(0, 0, 0), picture(5, 1.0, 0), STRAIGHT_M)
    assert tracked is not None
    here, lower = (rotation(Step(tracked), Mounting(0.0, y, 0.5, focal_px())) for y in (0.0, 0.5))
    assert here is not None
    assert lower is not None
    assert here.pitch_per_down_px != 0.0
    foretold = 0.5 * here.pitch_per_down_px
    assert lower.pitch_deg - here.pitch_deg == pytest.approx(foretold, rel=0.5)


def test_in_a_bend_the_camera_moves_towards_its_inside():
    """A camera ahead of an axle that rolls along a circle, at a junction and in a bend."""
    for radius_m, driven_m in ((9.0, 2.0), (-9.0, 2.0), (40.0, 5.0)):
        turn = driven_m / radius_m
        place = np.array(
            [
                [
                    -radius_m * (1.0 - np.cos(yaw)) - corners.REAR_AXLE_M * np.sin(yaw),
                    radius_m * np.sin(yaw) + corners.REAR_AXLE_M * np.cos(yaw),
                ]
                for yaw in (-turn / 2.0, turn / 2.0)
            ]
        )
        moved = place[1] - place[0]
        # At the middle of the turn the camera's heading is straight ahead.
        tracked = Tracked(np.zeros((0, 2)), np.zeros((0, 2)), float(np.hypot(*moved)))
        assert tracked.slip(turn) == pytest.approx(moved[0] / moved[1], abs=0.02)
        seen = [
            picture(forward, 0.0, np.degrees(yaw), right)
            for (right, forward), yaw in zip(place, (-turn / 2.0, turn / 2.0), strict=True)
        ]
        found = turned(*seen, mounted(), float(np.hypot(*moved)))
        assert found is not None
        assert found.yaw_deg == pytest.approx(np.degrees(turn), rel=0.06)


def test_a_lorry_across_a_third_of_the_picture_changes_little():
    before, after = picture(0, 0, 0), picture(5, 1.5, 0)
    rng = np.random.default_rng(2)
    side = rng.integers(0, 255, (50, 50)).astype(np.uint8)
    before[30:80, 20:70], after[30:80, 32:82] = side, side
    found = turned(before, after, mounted())
    assert found is not None
    assert found.pitch_deg == pytest.approx(1.5, abs=0.4)
    assert found.yaw_deg == pytest.approx(0.0, abs=0.5)


@pytest.mark.parametrize("fov_deg", [20.0, 30.0, 40.0, 50.0, 65.0, 100.0])
def test_a_long_lens_measures_a_turn_to_the_pixel(fov_deg: float) -> None:
    """Thirty corners far and near, eight that stay and six that go anywhere."""
    focal = focal_px(fov_deg)
    rng = np.random.default_rng(1)
    wrong = 0
    for turn_px in (0.0, 3.0, 6.0, 11.0):
        for _ in range(10):
            before = rng.uniform((-60, -35), (60, 35), (30, 2))
            yaw = turn_px / focal
            tracked = Tracked(before, before, 5.0)
            slip_px = focal * float(tracked.slip(np.float64(yaw)))
            # Nearer corners lie farther from the direction of travel.
            away = before - (slip_px, 0.0)
            moved = before + yaw * corners.motion_field(before, focal)[:, :, 1]
            moved = moved + away * rng.uniform(0.0, 0.12, (30, 1)) + rng.normal(0, 0.2, (30, 2))
            stays = rng.uniform((-70, -35), (70, 35), (8, 2))
            astray = rng.uniform((-70, -35), (70, 35), (6, 2))
            found = rotation(
                Step(
                    Tracked(
                        np.concatenate([before, stays, astray]),
                        np.concatenate([moved, stays, astray + rng.normal(0, 6.0, (6, 2))]),
                        5.0,
                    )
                ),
                Mounting(0.0, 0.0, 0.5, focal),
            )
            assert found is not None
            wrong += abs(np.radians(found.yaw_deg) * focal - turn_px) > 1.0
    assert wrong <= 2


def test_a_blank_picture_has_no_turn():
    blank = np.full((96, 160), 128, np.uint8)
    assert turned(blank, blank, mounted()) is None


LOOKS_DOWN = Mounting(0.0, -20.0, 0.5, focal_px())


def bend_of(kappa: float, turn_deg: tuple[float, ...] = (0.4, 8.0, -0.5)) -> Tracked:
    """Corners of a turn, as a lens shows them that bends by so many 1e-5."""
    focal = focal_px()
    rng = np.random.default_rng(4)
    count = 400
    # Mostly above the middle, as beside a road; near ones move more.
    x, y = rng.uniform(-75, 75, count), rng.uniform(-40, 15, count)
    depth_m = rng.uniform(8.0, 60.0, count)
    rays = np.stack([x / focal, y / focal, np.ones(count)], axis=1) * depth_m[:, None]
    turn = SpatialRotation.from_rotvec(np.radians(turn_deg))
    after = turn.apply(rays - [0.0, 1.5 * LOOKS_DOWN.down_px / focal, 1.5])
    seen = [np.stack([x, y], axis=1), focal * after[:, :2] / after[:, 2:]]
    # Undistorted places are (1 + kappa r²) times those seen.
    bent = [each / (1.0 + 1e-5 * kappa * (each**2).sum(1, keepdims=True)) for each in seen]
    return Tracked(*bent, STRAIGHT_M)


def mounted_as_seen(ratio: float) -> Mounting:
    """What is measured of `LOOKS_DOWN` if its focal length is taken shorter by a ratio."""
    return replace(LOOKS_DOWN, focal_px=focal_px() / ratio)


@pytest.mark.parametrize("ratio", [0.8, 1.25])
def test_a_focal_length_taken_wrongly_leaves_the_roll_of_a_level_bend_alone(ratio: float) -> None:
    """Yaw, mounting and roll go together, so that bends tell nothing of the focal length."""
    mounting = mounted_as_seen(ratio)
    found = rotation(Step(bend_of(0.0)), mounting)
    assert found is not None
    pitch_deg = np.degrees(np.arctan(mounting.down_px / mounting.focal_px))
    expected = np.radians(found.yaw_deg) * pitch_deg
    truth = rotation(Step(bend_of(0.0)), LOOKS_DOWN)
    assert truth is not None
    true_deg = np.degrees(np.arctan(LOOKS_DOWN.down_px / LOOKS_DOWN.focal_px))
    own = truth.roll_deg - np.radians(truth.yaw_deg) * true_deg
    assert found.roll_deg - expected == pytest.approx(own, abs=0.12)
    assert abs(found.roll_deg - truth.roll_deg) > 0.15


def test_a_lens_that_bends_changes_the_roll_as_foretold() -> None:
    straight, bent = (rotation(Step(bend_of(kappa)), LOOKS_DOWN) for kappa in (0.0, 0.1))
    assert straight is not None
    assert bent is not None
    assert abs(bent.roll_per_bent) > 0.1
    # Seen through the lens that bends by 0.1, the roll is less by what undoing that would add.
    assert straight.roll_deg - bent.roll_deg == pytest.approx(0.1 * bent.roll_per_bent, rel=0.1)


def test_what_a_lens_bends_does_not_go_with_the_pitch_and_roll_measured() -> None:
    """A fit would choose the lens that lessens their errors, the more the longer the drive."""
    turns = [(pitch, 0.0, roll) for pitch in (-1.0, 0.0, 1.0) for roll in (-2.0, 0.0, 2.0)]
    found = [rotation(Step(bend_of(0.0, turn)), LOOKS_DOWN) for turn in turns]
    told = np.array([(e.pitch_deg, e.roll_deg, 1.0, e.roll_per_bent) for e in found if e])
    by_pitch, by_roll, _ = np.linalg.lstsq(told[:, :3], told[:, 3])[0]
    assert abs(by_pitch) < 5e-4
    assert abs(by_roll) < 1.5e-4
