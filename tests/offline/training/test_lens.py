"""What a cheap lens does to straight lines."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from offline.training import lens as lenses

SHAPE = (180, 320, 3)


def lens(bent: float) -> lenses.Lens:
    return replace(lenses.draw_lens(np.random.default_rng(1), 90.0), bent=bent)


def column_of(light: np.ndarray, row: int) -> float:
    line = light[row, :, 0]
    return float((line * np.arange(line.size)).sum() / line.sum())


def post(column: int) -> np.ndarray:
    light = np.zeros(SHAPE, np.float32)
    light[:, column - 2 : column + 3] = 1.0
    return light


def test_a_straight_lens_changes_nothing() -> None:
    light = np.random.default_rng(2).random(SHAPE).astype(np.float32)
    assert np.array_equal(lenses.bend(lens(0.0), light), light)
    assert lenses.middle_fov_deg(lens(0.0), 90.0) == pytest.approx(90.0)


def test_barrel_distortion_draws_the_ends_of_a_post_to_the_middle() -> None:
    bent = lenses.bend(lens(0.12), post(260))
    top, middle, bottom = (column_of(bent, row) for row in (5, 90, 174))
    assert top < middle - 2.0
    assert bottom == pytest.approx(top, abs=0.2)


def test_the_corners_stay_and_the_middle_is_larger_as_told() -> None:
    corner = np.zeros(SHAPE, np.float32)
    corner[:3, :3] = 1.0
    assert lenses.bend(lens(0.12), corner)[0, 0, 0] == pytest.approx(1.0, abs=0.01)
    moved = column_of(lenses.bend(lens(0.12), post(170)), 90) - 159.5
    half_wide, half_middle = (
        np.tan(np.radians(fov_deg / 2.0))
        for fov_deg in (90.0, lenses.middle_fov_deg(lens(0.12), 90.0))
    )
    assert moved / (170 - 159.5) == pytest.approx(half_wide / half_middle, rel=0.02)


def test_wide_lenses_bend_more() -> None:
    drawn = {
        fov_deg: [lenses.draw_lens(np.random.default_rng(k), fov_deg).bent for k in range(60)]
        for fov_deg in (55.0, 100.0)
    }
    assert 0.0 < max(drawn[55.0]) < 0.06 < max(drawn[100.0]) < 0.15
    assert min(drawn[100.0]) == 0.0


def test_what_is_stuck_to_the_windscreen_hides_the_road_alike_in_every_picture() -> None:
    drawn = (lenses.draw_lens(np.random.default_rng(k), 70.0) for k in range(40))
    tagged = next(each for each in drawn if each.stuck.max() > 0.99 and not each.bonnet.any())
    tagged = replace(tagged, noise=0.0, quality=95, caption_row=None, gamma=0.6)
    hidden = tagged.stuck > 0.999
    assert hidden.any()
    assert not hidden[90:].any()
    shown = []
    for seed in (3, 4):
        light = np.random.default_rng(seed).random(SHAPE).astype(np.float32)
        still, _ = lenses.expose(tagged, np.random.default_rng(0), light, 1.0, 0.0)
        shown.append(still.astype(int))
    # Blurring and compression carry a little of the surroundings over the border.
    inner = cv2.erode(hidden.astype(np.uint8), np.ones((17, 17))) > 0
    assert inner.any()
    apart = np.abs(shown[0] - shown[1])
    assert apart[inner].max() <= 6
    assert apart[90:].mean() > 20


def test_a_caption_shows_the_time_and_stays_in_its_row() -> None:
    plain = replace(lens(0.0), noise=0.0, quality=95)
    light = np.full(SHAPE, 0.3, np.float32)

    def still(row: int | None, t_s: float) -> np.ndarray:
        captioned = replace(plain, caption_row=row)
        shown, _ = lenses.expose(captioned, np.random.default_rng(0), light, 1.0, t_s)
        return shown.astype(int)

    bare, first, same, later = still(None, 3.0), still(170, 3.0), still(170, 3.5), still(170, 64.0)
    assert np.abs(first - bare)[155:175, :180].max() > 60
    assert np.abs(first - bare)[:150].max() <= 2
    assert np.array_equal(first, same)
    assert np.abs(first - later).max() > 60
