"""One preprocessing path: stills, planes and stacks."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from offline import preprocessing


def _gradient(height: int, width: int) -> np.ndarray:
    x = np.linspace(0, 200, width)[None, :, None]
    y = np.linspace(0, 55, height)[:, None, None]
    return np.repeat(x + y, 3, axis=2).astype(np.uint8)


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (376, 1241), (120, 160), (180, 320)])
def test_still_has_one_size_and_keeps_pixels_square(size: tuple[int, int]) -> None:
    height, width = size
    picture = np.zeros((height, width, 3), np.uint8)
    radius = min(height, width) // 5
    cv2.circle(picture, (width // 2, height // 2), radius, (255, 255, 255), -1)
    small = preprocessing.still(picture)
    assert small.shape == (preprocessing.STILL_HEIGHT, preprocessing.STILL_WIDTH, 3)
    ys, xs = np.nonzero(small[:, :, 0] > 127)
    assert np.ptp(xs) == pytest.approx(np.ptp(ys), abs=2)
    assert xs.mean() == pytest.approx(159.5, abs=1)
    assert ys.mean() == pytest.approx(89.5, abs=1)


def test_plane_of_a_jpeg_equals_plane_of_its_pixels() -> None:
    picture = preprocessing.still(_gradient(480, 640))
    jpeg = preprocessing.encode_still(picture)
    decoded = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
    direct = preprocessing.plane_of_jpeg(jpeg)
    assert direct is not None
    assert direct.shape == (preprocessing.PLANE_HEIGHT, preprocessing.PLANE_WIDTH)
    slow = preprocessing.plane(decoded)
    assert np.abs(direct.astype(int) - slow.astype(int)).mean() < 1.0


def test_a_foreign_jpeg_size_goes_through_the_still() -> None:
    jpeg = cv2.imencode(".jpg", _gradient(600, 800))[1].tobytes()
    result = preprocessing.plane_of_jpeg(jpeg)
    assert result is not None
    assert result.shape == (96, 160)


@pytest.mark.parametrize("data", [b"", b"no picture at all"])
def test_unreadable_bytes_are_none(data: bytes) -> None:
    assert preprocessing.plane_of_jpeg(data) is None


def test_stacks_show_the_next_25_metres_at_any_speed() -> None:
    t_s = np.arange(200) * 0.5
    for speed_mps in (1.0, 4.0, 12.0, 24.0):
        s_m = 1000.0 + speed_mps * t_s
        found = preprocessing.stack_indices(t_s, s_m)
        # The last frames have fewer metres before them.
        shown_m = (s_m[found] - s_m[:, None])[:100]
        assert np.abs(shown_m - preprocessing.STACK_DISTANCES_M).max() <= 0.25 * speed_mps


def test_without_a_speed_stacks_are_as_far_apart_as_at_43_kmh() -> None:
    t_s = np.arange(8) * 0.5
    assert preprocessing.stack_indices(t_s).tolist() == [
        [0, 1, 2, 3, 4],
        [1, 2, 3, 4, 5],
        [2, 3, 4, 5, 6],
        [3, 4, 5, 6, 7],
        [4, 5, 6, 7, 7],
        [5, 6, 7, 7, 7],
        [6, 7, 7, 7, 7],
        [7, 7, 7, 7, 7],
    ]


def test_before_a_gap_and_for_lone_stills_the_plane_before_stands_in() -> None:
    t_s = np.array([0.0, 0.5, 9.0, 9.5, np.nan])
    found = preprocessing.stack_indices(t_s).tolist()
    assert found == [[0, 1, 1, 1, 1], [1] * 5, [2, 3, 3, 3, 3], [3] * 5, [4] * 5]


def test_whoever_waits_is_shown_where_the_wait_ended_but_not_after_a_minute() -> None:
    t_s = np.arange(0.0, 130.0, 0.5)
    s_m = np.maximum(0.0, t_s - 100.0) * 6.0
    found = preprocessing.stack_indices(t_s, s_m)
    waiting_50_s = found[t_s == 50.0][0]
    assert s_m[waiting_50_s].tolist() == [0.0, 6.0, 12.0, 18.0, 24.0]
    assert t_s[waiting_50_s].tolist() == [50.0, 101.0, 102.0, 103.0, 104.0]
    waiting_90_s = found[t_s == 10.0][0]
    assert s_m[waiting_90_s].tolist() == [0.0] * 5


def test_dense_frames_still_reach_ahead_by_distance() -> None:
    t_s = np.arange(80) / 20
    assert preprocessing.stack_indices(t_s)[5].tolist() == [5, 15, 25, 35, 47]


def test_of_dense_frames_stacks_take_only_as_many_as_a_trip_has() -> None:
    t_s = 3.0 + np.arange(200) / 20 + 0.001 * np.sin(np.arange(200))
    s_m = 16.0 * t_s
    found = preprocessing.recorded_stack_indices(t_s, s_m)
    assert ((found - found[:, :1]) % 10 == 0).all()
    sparse = preprocessing.stack_indices(t_s[7::10], s_m[7::10])
    assert (found[7::10] == 7 + 10 * sparse).all()
    half_a_second = np.arange(9) * 0.5
    assert np.array_equal(
        preprocessing.recorded_stack_indices(half_a_second),
        preprocessing.stack_indices(half_a_second),
    )
    lone = np.array([0.0, np.nan])
    assert preprocessing.recorded_stack_indices(lone).tolist() == [[0] * 5, [1] * 5]
