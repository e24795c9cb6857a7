"""The whole chain on simulated trips: what must hold whatever the numbers are."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

import numpy as np
import pandas as pd
import pytest

from data_samples.simulator.drive import drive
from data_samples.simulator.driver import driver_of_harshness, mood_along
from data_samples.simulator.labels import label_drive, network_of_accuracy
from data_samples.simulator.road import make_road
from data_samples.simulator.sensors import SensorSuite, sample_drive
from data_samples.simulator.vehicle import CAR as VEHICLE
from offline.ideal import ideal_speed
from offline.pipeline import Scored, score_samples
from offline.policy import load_policy
from offline.scenelabels import SceneLabels
from offline.verdicts import Outcome
from onboard.trip import Samples

CAR = load_policy("car")


@lru_cache(maxsize=4)
def trip(seed: int = 3, rate_hz: float = 5.0) -> tuple[dict[str, Samples], SceneLabels]:
    rng = np.random.default_rng(seed)
    driver = driver_of_harshness(0.8)
    road = make_road(rng, "mountain", 6000.0)
    real = drive(road, VEHICLE, mood_along(driver, road, rng), coolant_start_c=20.0)
    samples = sample_drive(real, SensorSuite(rate_hz=rate_hz, outages=1), rng)
    return samples, label_drive(real, road, network_of_accuracy(0.9), rng)


def scored(road_context: bool = True) -> Scored:
    samples, labels = trip()
    return score_samples(samples, None, labels, CAR, road_context=road_context)


def test_shifting_a_trip_in_time_changes_nothing():
    samples, labels = trip()
    by_ns = 987_654_321_012
    later = {name: replace(one, t_mono_ns=one.t_mono_ns + by_ns) for name, one in samples.items()}
    later_labels = replace(labels, t_mono_ns=labels.t_mono_ns + by_ns)
    one, two = scored(), score_samples(later, None, later_labels, CAR)
    assert one.verdicts == two.verdicts
    assert one.score == two.score
    pd.testing.assert_frame_equal(
        one.timeline.drop(columns="t_mono_ns"), two.timeline.drop(columns="t_mono_ns")
    )


def test_scoring_again_gives_the_same_bits():
    pd.testing.assert_frame_equal(scored().timeline, scored().timeline, check_exact=True)
    assert scored().verdicts == scored().verdicts


def test_the_camera_can_only_take_penalties_away():
    with_camera, without = scored(), scored(road_context=False)
    assert len(with_camera.verdicts) == len(without.verdicts) > 3
    for seen, blind in zip(with_camera.verdicts, without.verdicts, strict=True):
        assert seen.event == blind.event
        assert blind.outcome is Outcome.KEPT
        assert seen.points <= blind.points
        assert seen.points + seen.points_spared == pytest.approx(blind.points)
    assert with_camera.score.value >= without.score.value
    assert with_camera.score_without_context.value == without.score.value


def test_without_road_context_the_labels_are_not_even_looked_at():
    samples, labels = trip()
    odd = replace(labels, p_slope=np.full_like(labels.p_slope, 1 / 3))
    assert (
        score_samples(samples, None, odd, CAR, road_context=False).score
        == scored(road_context=False).score
    )


def test_columns_are_as_documented():
    names = list(scored().timeline.columns)
    for first, second in zip(names, [*names[1:], ""], strict=True):
        if first in ("rpm", "speed_kmh", "load_percent"):
            assert second == f"{first}_age_s"
    assert names[:3] == ["t_s", "t_mono_ns", "utc_ns"]
    assert names[-6:] == [
        "ideal_speed_kmh",
        "ideal_accel_mps2",
        "ideal_rpm_low",
        "ideal_rpm_high",
        "ideal_coolant_low_c",
        "ideal_coolant_high_c",
    ]


def test_posteriors_sum_to_one_where_they_exist():
    timeline = scored().timeline
    for names in (
        ["p_level", "p_uphill", "p_downhill"],
        [c for c in timeline if c.startswith("p_course_")],
    ):
        p = timeline[names].to_numpy()
        known = ~np.isnan(p).any(axis=1)
        assert known.mean() > 0.8
        np.testing.assert_allclose(p[known].sum(axis=1), 1.0)


def test_ideal_speed_is_driven_speed_made_comfortable():
    timeline = scored().timeline
    ideal, accel = ideal_speed(timeline, CAR)
    driven = timeline["speed_smooth_kmh"].to_numpy() / 3.6
    known = ~np.isnan(driven)
    assert (ideal[known] <= driven[known] + 1e-9).all()
    square, metres = ideal**2, driven / 5.0
    rise = np.diff(square)
    both = known[1:] & known[:-1]
    assert (rise[both] <= 2 * CAR.comfort.accel_mps2 * metres[1:][both] + 1e-9).all()
    assert (-rise[both] <= 2 * CAR.comfort.brake_mps2 * metres[1:][both] + 1e-9).all()
    assert np.nanmax(accel) <= CAR.comfort.accel_mps2
    # Where the driver was within the limits all along, ideal is what was driven.
    assert np.nanmedian(driven - ideal) < 0.01


def test_a_trip_of_slow_polls_is_scored():
    samples, labels = trip(rate_hz=0.55)
    assert score_samples(samples, None, labels, CAR).score.value is not None


def test_frames_alone_are_labelled_and_not_scored():
    _, labels = trip()
    found = score_samples({}, None, labels, CAR)
    assert found.score.value is None
    assert found.score.reason == "no vehicle speed was recorded"
    assert found.verdicts == ()


def test_samples_alone_claim_no_road_context():
    samples, _ = trip()
    found = score_samples(samples, None, None, CAR)
    assert (found.timeline["scene"] == "").all()
    assert found.exposure.scene_coverage == 0.0
    assert found.timeline["frame"].isna().all()
    assert {v.outcome for v in found.verdicts} == {Outcome.KEPT}
