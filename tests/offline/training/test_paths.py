"""Labels come from geometry: arcs, climbs and turns whose figures are known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from offline.training import paths
from offline.training.paths import STEP_M


def path_of(curvature_per_m: float, grade: float, length_m: float = 120.0) -> paths.Path:
    n = round(length_m / STEP_M) + 1
    return paths.integrate(np.full(n, curvature_per_m), np.full(n, grade))


def test_an_arc_turns_by_its_length_over_its_radius() -> None:
    path = path_of(1 / 50.0, 0.0)
    ahead = paths.geometry_ahead(path, np.array([10.0]))
    assert ahead.heading_change_deg[0] == pytest.approx(math.degrees(25.0 / 50.0), abs=1e-6)
    # A quarter of the circle ends at (radius, radius).
    quarter = np.array([50.0 * math.pi / 2])
    assert path.at(quarter, path.x)[0] == pytest.approx(50.0, abs=0.05)
    assert path.at(quarter, path.y)[0] == pytest.approx(50.0, abs=0.05)


@pytest.mark.parametrize(
    ("curvature", "grade", "course", "slope"),
    [
        (0.0, 0.0, "straight", "level"),
        (0.0, 0.06, "straight", "uphill"),
        (0.0, -0.026, "straight", "downhill"),
        (0.0, 0.024, "straight", "level"),
        (1 / 100.0, 0.0, "curve", "level"),
        (-1 / 100.0, 0.04, "curve", "uphill"),
        (1 / 9.0, 0.0, "left_turn", "level"),
        (-1 / 9.0, 0.0, "right_turn", "level"),
        (-1 / 21.0, 0.0, "curve", "level"),
    ],
    ids=["plain", "climb", "descent", "below threshold", "bend", "climbing bend", "left", "right",
         "ramp of 21 m radius"],
)  # fmt: skip
def test_classes_of_known_roads(curvature: float, grade: float, course: str, slope: str) -> None:
    ahead = paths.geometry_ahead(path_of(curvature, grade), np.array([20.0]))
    assert ahead.courses() == [course]
    assert ahead.slopes() == [slope]


def test_a_hill_counts_from_15_m_before_it() -> None:
    grade = np.where(np.arange(400) * STEP_M < 100.0, 0.0, 0.10)
    path = paths.integrate(np.zeros(400), grade)
    slopes = paths.geometry_ahead(path, np.array([80.0, 84.0, 95.0, 100.0])).slopes()
    # At 95 m ten of the fifteen metres ahead climb at 10 %.
    assert slopes == ["level", "level", "uphill", "uphill"]


def test_a_bend_counts_where_it_lies_ahead_not_where_it_was() -> None:
    curvature = np.zeros(600)
    curvature[200:240] = 1.0 / 40.0  # from 100 to 120 m
    path = paths.integrate(curvature, np.zeros(600))
    ahead = paths.geometry_ahead(path, np.array([60.0, 95.0, 100.0, 119.0, 125.0]))
    assert ahead.courses() == ["straight", "curve", "curve", "straight", "straight"]
    # Ten of the fifteen metres after 95 m bend.
    assert ahead.curvature_per_m[1] == pytest.approx(10.0 / 15.0 / 40.0, rel=0.06)


def test_beside_an_arc_its_radius_is_less_by_what_keeps_to_the_inside() -> None:
    path = path_of(1 / 50.0, 0.04)
    inner, place_m = paths.beside(path, np.full(path.x.size, 10.0))
    assert inner.length_m == pytest.approx(path.length_m * 0.8, abs=STEP_M)
    assert inner.curvature[5:-5] == pytest.approx(1 / 40.0, rel=1e-3)
    # It rises as much on four fifths of the way.
    assert inner.grade[5:-5] == pytest.approx(0.05, rel=1e-3)
    assert place_m[80] == pytest.approx(80 * STEP_M / 0.8, abs=0.05)


def test_what_weaves_heads_where_it_goes() -> None:
    path = path_of(0.0, 0.0, length_m=400.0)
    s_m = np.arange(path.x.size) * STEP_M
    woven, place_m = paths.beside(path, 0.5 * np.sin(s_m / 10.0))
    goes = np.arctan2(np.gradient(woven.y), np.gradient(woven.x))
    assert woven.heading[3:-3] == pytest.approx(goes[3:-3], abs=2e-3)
    assert np.abs(woven.heading).max() == pytest.approx(0.05, rel=0.02)
    assert np.abs(woven.curvature).max() == pytest.approx(0.005, rel=0.05)
    assert np.interp(200.0, np.arange(woven.x.size) * STEP_M, place_m) == pytest.approx(
        200.0, abs=0.3
    )


def test_places_at_any_distance_make_a_path_of_even_steps() -> None:
    x = np.array([0.0, 30.0, 31.0, 75.2])
    path = paths.resampled(x, np.zeros(4), 0.1 * x, np.zeros(4))
    assert np.diff(path.x) == pytest.approx(STEP_M)
    assert path.length_m == pytest.approx(75.0)
    assert path.grade == pytest.approx(0.1)
