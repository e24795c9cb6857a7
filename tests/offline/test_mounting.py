"""The camera's mounting, found from how pictures grow."""

from __future__ import annotations

import numpy as np
import pytest

from offline import mounting
from offline.corners import Tracked, focal_px, track
from offline.mounting import Mounting

from .lamps import picture


def tracks(pitch_deg: float = 0.0, yaw_deg: float = 0.0, turn_deg: float = 0.0, count: int = 24):
    """Corners of a drive straight on, or in a bend that turns so much between two pictures."""
    found = []
    for start in np.arange(count) * 5.0:
        after = picture(start + 4.0, pitch_deg, yaw_deg + turn_deg)
        pair = track(picture(start, pitch_deg, yaw_deg), after, 4.0)
        assert pair is not None
        found.append(pair)
    return found


@pytest.mark.parametrize(("pitch_deg", "yaw_deg"), [(0.0, 0.0), (-6.0, 1.5), (4.0, -2.0)])
def test_the_direction_of_travel_is_found_where_it_is(pitch_deg: float, yaw_deg: float) -> None:
    found = mounting.mounting_of(tracks(pitch_deg, yaw_deg))
    assert found is not None
    # Looking up lowers the direction of travel, looking to the left moves it to the right.
    assert found.down_px == pytest.approx(focal_px() * np.tan(np.radians(pitch_deg)), abs=1.0)
    assert found.right_px == pytest.approx(focal_px() * np.tan(np.radians(yaw_deg)), abs=1.0)
    assert mounting.FLOOR_SD_PX <= found.sd_px <= mounting.MAX_SD_PX


def test_bends_do_not_count() -> None:
    straight, bent = tracks(-3.0), tracks(-3.0, turn_deg=5.0)
    assert mounting.mounting_of(bent) is None
    alone, mixed = mounting.mounting_of(straight), mounting.mounting_of(straight + bent)
    assert alone is not None
    assert mixed is not None
    assert mixed.down_px == pytest.approx(alone.down_px, abs=0.5)


def test_too_few_pairs_or_a_standstill_give_no_mounting() -> None:
    assert mounting.mounting_of([]) is None
    assert mounting.mounting_of(tracks(count=mounting.MIN_PAIRS - 1)) is None
    still = track(picture(0.0), picture(0.0), 0.0)
    assert still is not None
    assert mounting.mounting_of([still] * 30) is None


def test_parts_of_a_drive_that_disagree_give_no_mounting() -> None:
    moved = [pair for k in range(5) for pair in tracks(pitch_deg=4.0 * (k % 2) - 2.0, count=6)]
    assert mounting.mounting_of(moved) is None


def test_levelled_planes_show_the_direction_of_travel_in_their_middle() -> None:
    plane = np.zeros((96, 160), np.uint8)
    plane[60, 90] = 255
    known = Mounting(right_px=10.0, down_px=12.0, sd_px=1.0, focal_px=focal_px())
    levelled = known.levelled(plane)
    assert levelled[48, 80] == 255
    assert np.array_equal(known.levelled(np.stack([plane, plane]))[1], levelled)


def test_levelled_planes_of_a_narrow_lens_are_as_wide_as_any() -> None:
    plane = np.zeros((96, 160), np.uint8)
    plane[40:56, 70:90] = 255
    levelled = Mounting(0.0, 0.0, 1.0, 2.0 * focal_px()).levelled(plane)
    assert np.count_nonzero(levelled > 127) == pytest.approx(10 * 8, abs=12)
    assert levelled[48, 80] == 255


def test_pairs_show_driving_and_are_spread_over_the_drive() -> None:
    t_s = np.arange(2000) * 0.5
    driven_m = np.concatenate([np.zeros(1000), np.arange(1000) * 4.0])
    pairs = mounting.useful_pairs(t_s, driven_m)
    assert len(pairs) == mounting.MAX_PAIRS
    assert pairs[:, 0].min() >= 1000
    assert pairs[:, 0].max() >= 1900
    assert np.array_equal(pairs[:, 1] - pairs[:, 0], np.ones(len(pairs), np.int64))
    assert mounting.useful_pairs(np.array([0.0, 5.0]), np.array([0.0, 8.0])).size == 0
    assert mounting.useful_pairs(np.array([0.0]), np.array([0.0])).shape == (0, 2)


def test_a_camera_that_looks_aside_or_back_is_not_mounted_to_look_ahead() -> None:
    assert mounting.mounting_of(tracks(yaw_deg=20.0)) is None
    ahead = tracks()
    assert mounting.mounting_of(ahead) is not None
    back = [Tracked(pair.after, pair.before, pair.driven_m) for pair in ahead]
    assert mounting.mounting_of(back) is None
