"""Fewer points that look the same: extremes stay, gaps stay, names stay true."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offline.results.downsampling import runs, thin


def test_a_short_trace_is_drawn_as_it_is() -> None:
    y = np.array([1.0, np.nan, 3.0])
    assert thin(np.arange(3.0), y, 16).tolist() == [0, 1, 2]


def test_an_unknown_trace_has_no_points() -> None:
    assert thin(np.arange(100.0), np.full(100, np.nan), 20).size == 0


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(50, 5000),
    limit=st.integers(16, 400),
    gaps=st.integers(0, 60),
)
def test_few_points_keep_the_extremes(seed: int, n: int, limit: int, gaps: int) -> None:
    rng = np.random.default_rng(seed)
    t, y = np.arange(n) / 5.0, rng.normal(size=n).cumsum()
    for start in rng.integers(0, n, gaps):
        y[start : start + rng.integers(1, 20)] = np.nan
    chosen = thin(t, y, limit)
    assert chosen.size <= limit
    assert (np.diff(chosen) > 0).all()
    if np.isfinite(y).any():
        assert np.nanmax(y[chosen]) == np.nanmax(y)
        assert np.nanmin(y[chosen]) == np.nanmin(y)


def test_a_line_through_the_chosen_points_breaks_at_every_gap() -> None:
    y = np.sin(np.arange(20_000) / 300)
    for start in (3000, 9000, 15_000):
        y[start : start + 200] = np.nan
    chosen = thin(np.arange(20_000.0), y, 500)
    drawn = y[chosen]
    for start in (3000, 9000, 15_000):
        before = np.searchsorted(chosen, start) - 1
        assert chosen[before] == start - 1
        assert np.isnan(drawn[before + 1])
        assert chosen[before + 2] == start + 200


def test_equal_neighbours_join_and_unknown_ones_are_left_out() -> None:
    names = np.array(["", "up", "up", "", "down", "down"], dtype=object)
    assert runs(np.arange(6.0), names) == [(1.0, 3.0, "up"), (4.0, 6.0, "down")]
    assert runs(np.zeros(0), np.zeros(0, dtype=object)) == []


def test_too_many_stretches_show_what_prevails() -> None:
    t = np.arange(10_000.0)
    names = np.where(t < 5000, "up", "down").astype(object)
    names[::7] = "curve"  # one point in seven, everywhere
    found = runs(t, names, limit=100)
    assert len(found) <= 100
    assert [name for *_, name in found] == ["up", "down"]
    assert found[0][1] == pytest.approx(5000, abs=100)
