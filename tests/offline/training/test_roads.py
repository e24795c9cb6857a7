"""Roads are drawn as roads are built, and driven as they are driven."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial import cKDTree

from offline import roadscene
from offline.training import roads, sources
from offline.training.drives import READOUT_S, draw_drive
from offline.training.paths import STEP_M, geometry_ahead


@pytest.mark.parametrize("seed", range(6))
def test_a_network_is_the_same_for_the_same_seed_and_driven_within_comfort(seed: int) -> None:
    first, second = (roads.build_network(np.random.default_rng(seed)) for _ in range(2))
    assert np.array_equal(first.main.x, second.main.x)
    assert first.setting == second.setting
    drive = draw_drive(np.random.default_rng(seed), first)
    sideways = drive.speed_mps**2 * np.abs(drive.path.at(drive.s_m, drive.path.curvature))
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
        # It turns as its rear axle does, some 2 m behind: to the left about the upward axis.
        bend = drive.path.at(drive.s_m[moving] - 1.9, drive.path.curvature)
        turned = drive.movement.turned_rad[moving, 2]
        sharp = np.abs(bend) > 0.03
        if readout_s > 0.0 and sharp.sum() > 10:
            assert np.corrcoef(bend[sharp], turned[sharp])[0, 1] > 0.7
    told = np.array(readouts)
    assert 0 < (told == 0.0).sum() < 10
    assert READOUT_S[0] <= told[told > 0.0].min()
    assert told.max() <= READOUT_S[1] * 1.001


def test_a_junction_is_turned_at_as_drivers_do_not_as_the_road_is_laid() -> None:
    longer, turns, cut_m = 0, 0, []
    for seed in range(60):
        network = roads.build_network(np.random.default_rng(seed))
        line = network.line
        apart, _ = cKDTree(np.column_stack([network.main.x, network.main.y])).query(
            np.column_stack([line.x, line.y])
        )
        junction = np.zeros(line.x.size, np.bool_)
        for turn in network.turns:
            a, b = round(turn.start_m / STEP_M), round(turn.end_m / STEP_M)
            junction[a - 4 : b + 5] = True
            turns += 1
            cut_m.append(float(apart[a:b].max()))
            bend = np.abs(line.curvature[a:b])
            sharp = np.flatnonzero(bend > 0.9 * bend.max())
            longer += (b - a - sharp[-1]) > sharp[0]
        # Everywhere else the line is the road's middle.
        assert apart[:-1][~junction[:-1]].max() < 0.6 * STEP_M
    assert turns > 60
    assert longer / turns > 0.6
    # Seldom just the road's middle.
    assert np.median(cut_m) > 0.6


def test_no_camera_leaves_the_pavement_or_turns_where_no_junction_is() -> None:
    for seed in range(40):
        rng = np.random.default_rng(seed)
        network = roads.build_network(rng)
        drive = draw_drive(rng, network)
        apart, _ = cKDTree(np.column_stack([network.main.x, network.main.y])).query(
            drive.eye[:, :2]
        )
        for junction in network.junctions:
            inside = np.hypot(*(drive.eye[:, :2] - [junction.x, junction.y]).T) < junction.radius_m
            apart[inside] = 0.0
        assert apart.max() < network.half_width_m + 0.3
        assert np.abs(drive.path.curvature).max() < 1.0 / 4.9
        for place_m, course in zip(
            drive.line_m, geometry_ahead(drive.path, drive.s_m).courses(), strict=True
        ):
            near = any(t.start_m - 30.0 < place_m < t.end_m + 5.0 for t in network.turns)
            assert near or not course.endswith("_turn")


def test_whoever_waits_waits_where_the_turn_begins() -> None:
    waits = []
    for seed in range(80):
        rng = np.random.default_rng(seed)
        network = roads.build_network(rng)
        drive = draw_drive(rng, network)
        for place_m in np.unique(drive.line_m[drive.speed_mps == 0.0]):
            waits.append(min(t.steer_m - place_m for t in network.turns if t.steer_m > place_m))
    assert len(waits) > 10
    assert min(waits) > 3.0
    assert max(waits) < 10.0


def test_the_camera_goes_where_its_path_says() -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        network = roads.build_network(rng)
        drive = draw_drive(rng, network)
        line = network.line
        ahead = line.at(drive.line_m, line.heading)
        off = drive.eye[:, :2] - np.column_stack(
            [line.at(drive.line_m, line.x), line.at(drive.line_m, line.y)]
        )
        # Beside its place on the line, never before or behind it, and in its lane.
        assert np.abs(off[:, 0] * np.cos(ahead) + off[:, 1] * np.sin(ahead)).max() < 0.3
        aside = off[:, 1] * np.cos(ahead) - off[:, 0] * np.sin(ahead)
        assert np.median(aside) == pytest.approx(drive.lane_m, abs=0.6)
        places = np.column_stack(
            [drive.path.at(drive.s_m, v) for v in (drive.path.x, drive.path.y)]
        )
        assert drive.eye[:, :2] == pytest.approx(places, abs=1e-6)
        goes = np.unwrap(np.arctan2(np.gradient(drive.path.y), np.gradient(drive.path.x)))
        off = drive.path.heading - goes
        assert np.abs(off - 2 * math.pi * np.round(off.mean() / 2 / math.pi))[3:-3].max() < 0.03


def test_a_junction_on_a_hill_is_as_steep_as_the_road() -> None:
    steep = 0
    for seed in range(60):
        network = roads.build_network(np.random.default_rng(seed))
        main = network.main
        for junction in network.junctions:
            apart = np.hypot(main.x - junction.x, main.y - junction.y)
            here = int(apart.argmin())
            if apart[here] > 0.5:
                continue  # where legs meet; junctions that are turned at are nearly level
            around = np.arange(here - 6, here + 7)
            rise_m = junction.rise_m(main.x[around], main.y[around])
            # The road itself bends upward or downward a little within those six metres.
            assert main.z[around] == pytest.approx(junction.z + rise_m, abs=0.15)
            steep += abs(main.z[around[-1]] - main.z[around[0]]) > 0.3
            far = junction.rise_m(np.array([junction.x + 40.0]), np.array([junction.y]))
            assert far[0] == 0.0
    assert steep > 10
