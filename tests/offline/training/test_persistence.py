"""Mistakes that last are told from mistakes that are merely expected."""

from __future__ import annotations

import numpy as np
import pytest

from offline.training.persistence import persistence


def drive(seed: int, share: float, length_m: float, rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Mistakes along a drive of 2 km, a frame every 4 m, and where they are."""
    rng = np.random.default_rng(seed)
    place = np.arange(500) * 4.0
    run = np.cumsum(rng.random(500) < 1.0 - np.exp(-4.0 / length_m))
    lasting = rng.random(run[-1] + 1)[run]
    return np.where(rng.random(500) < np.sqrt(share), lasting, rng.random(500)) < rate, place


@pytest.mark.parametrize(("share", "length_m"), [(0.9, 60.0), (0.5, 30.0)])
def test_share_and_length_are_found_again(share: float, length_m: float) -> None:
    drives = [drive(seed, share, length_m, 0.3) for seed in range(60)]
    wrong = np.concatenate([w for w, _ in drives])
    groups = [f"drive {k}" for k in range(60) for _ in range(500)]
    found = persistence(
        wrong, np.zeros(wrong.size, np.int64), groups, np.concatenate([m for _, m in drives])
    )
    assert found is not None
    assert found.share == pytest.approx(share, abs=0.1)
    assert found.length_m == pytest.approx(length_m, rel=0.25)
    assert found.measured[0]["metres"] == pytest.approx(4.0)


def test_a_stretch_on_which_more_is_expected_makes_no_long_mistake() -> None:
    rng = np.random.default_rng(1)
    place = np.tile(np.arange(500) * 4.0, 60)
    hard = place % 400 < 200
    wrong = rng.random(place.size) < np.where(hard, 0.7, 0.1)
    groups = [f"drive {k}" for k in range(60) for _ in range(500)]
    known = persistence(wrong, hard.astype(np.int64), groups, place)
    blind = persistence(wrong, np.zeros(place.size, np.int64), groups, place)
    assert known is not None
    assert blind is not None
    assert max(abs(row["correlation"]) for row in known.measured) < 0.05
    assert blind.measured[0]["correlation"] > 0.3


def test_too_little_tells_nothing() -> None:
    wrong, place = drive(1, 0.5, 30.0, 0.3)
    groups, alike = ["drive"] * 500, np.zeros(500, np.int64)
    assert persistence(wrong[:40], alike[:40], groups[:40], place[:40]) is None
    assert persistence(np.zeros(500, np.bool_), alike, groups, place) is None
    # A vehicle that stands shows one picture, and drives have nothing to do with each other.
    assert persistence(wrong, alike, groups, np.zeros(500)) is None
    assert persistence(wrong, alike, [str(k) for k in range(500)], place) is None
