"""Labels come from geometry: arcs, climbs and turns whose figures are known by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offline import roadscene
from offline.training import roads, sources
from offline.training.drives import READOUT_S, draw_drive
from offline.training.roads import STEP_M


def path_of(curvature_per_m: float, grade: float, length_m: float = 120.0) -> roads.Path:
    n = round(length_m / STEP_M) + 1
    return roads.integrate(np.full(n, curvature_per_m), np.full(n, grade))


def test_an_arc_turns_by_its_length_over_its_radius() -> None:
    path = path_of(1 / 50.0, 0.0)
    ahead = roads.geometry_ahead(path, np.array([10.0]))
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
    ahead = roads.geometry_ahead(path_of(curvature, grade), np.array([20.0]))
    assert ahead.courses() == [course]
    assert ahead.slopes() == [slope]


def test_a_hill_counts_from_15_m_before_it() -> None:
    grade = np.where(np.arange(400) * STEP_M < 100.0, 0.0, 0.10)
    path = roads.integrate(np.zeros(400), grade)
    slopes = roads.geometry_ahead(path, np.array([80.0, 84.0, 95.0, 100.0])).slopes()
    # At 95 m ten of the fifteen metres ahead climb at 10 %.
    assert slopes == ["level", "level", "uphill", "uphill"]


@pytest.mark.parametrize("seed", range(6))
def test_a_network_is_the_same_for_the_same_seed_and_driven_within_comfort(seed: int) -> None:
    first, second = (roads.build_network(np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(first.main.x, second.main.x)
    assert first.setting == second.setting
    drive = draw_drive(np.random.default_rng(seed), first)
    sideways = drive.speed_mps**2 * np.abs(first.main.at(drive.s_m, first.main.curvature))
    assert sideways.max() < 4.0
    assert (np.diff(drive.s_m) >= 0).all()
    rotation = drive.rotation[0]
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    st.floats(-15, 15, allow_nan=False),
    st.floats(-130, 130, allow_nan=False),
    st.floats(-0.15, 0.15, allow_nan=False),
)
def test_soft_targets_are_probabilities_and_agree_with_the_rules_away_from_thresholds(
    grade: float, heading: float, curvature: float
) -> None:
    slope = sources.soft_slope(np.array([grade]))[0]
    name = roadscene.course_of_heading(heading, curvature)
    course = sources.soft_course(np.array([heading]), np.array([curvature]), [name])[0]
    for p in (slope, course):
        assert p.sum() == pytest.approx(1.0, abs=1e-5)
        assert (p >= -1e-6).all()
    if abs(abs(grade) - roadscene.SLOPE_THRESHOLD_PERCENT) > 0.1:
        assert roadscene.SLOPES[int(slope.argmax())] == roadscene.slope_of_grade(grade)
    if (
        abs(abs(heading) - 10) > 1
        and abs(abs(heading) - 35) > 1
        and abs(abs(curvature) - 0.008) > 1e-3
    ):
        assert roadscene.COURSES[int(course.argmax())] == name


def test_a_bend_counts_where_it_lies_ahead_not_where_it_was() -> None:
    curvature = np.zeros(600)
    curvature[200:240] = 1.0 / 40.0  # from 100 to 120 m
    path = roads.integrate(curvature, np.zeros(600))
    ahead = roads.geometry_ahead(path, np.array([60.0, 95.0, 100.0, 119.0, 125.0]))
    assert ahead.courses() == ["straight", "curve", "curve", "straight", "straight"]
    # Ten of the fifteen metres after 95 m bend.
    assert ahead.curvature_per_m[1] == pytest.approx(10.0 / 15.0 / 40.0, rel=0.06)


def test_a_camera_reads_out_row_by_row_while_it_moves() -> None:
    readouts = []
    for seed in range(30):
        rng = np.random.default_rng(seed)
        network = roads.build_network(rng)
        drive = draw_drive(rng, network)
        moving = drive.speed_mps > 1.0
        moved_m = np.linalg.norm(drive.movement.moved_m[moving], axis=1)
        readout_s = float(np.median(moved_m / drive.speed_mps[moving]))
        readouts.append(readout_s)
        # It moves where it goes, and no farther than it goes in that time.
        goes = np.gradient(drive.eye, drive.t_s, axis=0)[moving] * readout_s
        away = np.linalg.norm(drive.movement.moved_m[moving] - goes, axis=1)
        assert np.median(away) <= 0.06 * np.median(moved_m) + 1e-9
        # It turns with the road: to the left about the upward axis.
        bend = network.main.at(drive.s_m[moving], network.main.curvature)
        turned = drive.movement.turned_rad[moving, 2]
        sharp = np.abs(bend) > 0.03
        if readout_s > 0.0 and sharp.sum() > 10:
            assert np.corrcoef(bend[sharp], turned[sharp])[0, 1] > 0.7
    told = np.array(readouts)
    assert 0 < (told == 0.0).sum() < 10
    assert READOUT_S[0] <= told[told > 0.0].min()
    assert told.max() <= READOUT_S[1] * 1.001
