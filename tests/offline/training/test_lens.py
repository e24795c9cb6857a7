"""What a cheap lens does to straight lines."""

from __future__ import annotations

from dataclasses import replace

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
