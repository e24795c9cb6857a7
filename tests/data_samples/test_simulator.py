"""The simulator: physics that holds, habits that show, and truth that tells them apart."""

from __future__ import annotations

import json

import numpy as np
import pytest

import models
from data_samples.simulator.drive import STEP_S, drive
from data_samples.simulator.driver import Driver, driver_of_harshness, mood_along
from data_samples.simulator.labels import (
    MEASURED_ON,
    STAND_IN_PERSISTENCE,
    answers,
    label_drive,
    network_of_accuracy,
    network_of_card,
)
from data_samples.simulator.road import STEP_M, Road, make_road
from data_samples.simulator.sensors import SensorSuite, sample_drive
from data_samples.simulator.truth import drive_with_truth
from data_samples.simulator.vehicle import CAR
from offline.policy import load_policy
from offline.roadscene import COURSES, SLOPES
from offline.training import paths
from offline.training.persistence import persistence
from offline.verdicts import EventKind


def plain_road(length_m: float, grade_percent: float = 0.0, limit_kmh: float = 80.0) -> Road:
    n = int(length_m / STEP_M) + 1
    return Road(np.full(n, grade_percent), np.zeros(n), np.full(n, limit_kmh))


def driven(road: Road, driver: Driver | None = None):
    driver = driver or driver_of_harshness(0.0)
    return drive(road, CAR, mood_along(driver, road, np.random.default_rng(0)))


def test_speed_is_the_integral_of_acceleration_and_distance_of_speed():
    d = driven(plain_road(3000))
    moving = (d.speed_mps[:-1] > 1) & (d.speed_mps[1:] > 1)
    np.testing.assert_allclose(
        np.diff(d.speed_mps)[moving], (d.accel_mps2[:-1] * STEP_S)[moving], atol=1e-9
    )
    assert d.distance_m[-1] == pytest.approx(3000, abs=10)


def test_a_hill_needs_load_or_a_lower_gear():
    flat, steep = driven(plain_road(4000)), driven(plain_road(4000, 8.0))
    cruising = [(d.distance_m > 2000) & (d.distance_m < 3500) for d in (flat, steep)]
    assert steep.load_percent[cruising[1]].mean() > flat.load_percent[cruising[0]].mean() + 20
    assert steep.rpm[cruising[1]].mean() > flat.rpm[cruising[0]].mean()


def test_the_vehicle_stops_and_waits():
    road = plain_road(2000)
    road = Road(road.grade_percent, road.curvature_per_m, road.limit_kmh, ((1000.0, 20.0),))
    d = driven(road)
    standing = (d.speed_mps < 0.1) & (np.abs(d.distance_m - 1000) < 10)
    assert standing.sum() * STEP_S == pytest.approx(20, abs=2)


def test_roads_are_the_same_from_the_same_seed_and_made_flat_keep_their_bends():
    one, two = (make_road(np.random.default_rng(4), "mountain", 5000) for _ in range(2))
    np.testing.assert_array_equal(one.grade_percent, two.grade_percent)
    flat = one.flat()
    assert not flat.grade_percent.any()
    np.testing.assert_array_equal(flat.curvature_per_m, one.curvature_per_m)
    assert set(one.slope) == {0, 1, 2}
    assert set(flat.slope) == {0}


def test_road_classes_follow_the_geometry_rule():
    n = 200
    grade = np.zeros(n)
    grade[100:] = 3.0
    curvature = np.zeros(n)
    curvature[50:54] = np.radians(80) / 20
    road = Road(grade, curvature, np.full(n, 50.0))
    assert road.slope[150] == 1
    assert road.slope[10] == 0
    assert road.course[49] == 2
    assert road.course[20] == 0


def test_simulated_and_rendered_roads_are_labelled_alike():
    n = 400
    grade, curvature = np.zeros(n), np.zeros(n)
    grade[220:300] = 4.0
    curvature[50:62], curvature[120:124], curvature[150:153] = 0.01, -0.05, 0.006
    curvature[180:184] = 0.07
    simulated = Road(grade, curvature, np.full(n, 50.0))
    fine = round(STEP_M / paths.STEP_M)
    path = paths.integrate(np.repeat(curvature, fine), np.repeat(grade, fine) / 100.0)
    ahead = paths.geometry_ahead(path, np.arange(n - 10) * STEP_M)
    course = np.array([COURSES.index(name) for name in ahead.courses()])
    slope = np.array([SLOPES.index(name) for name in ahead.slopes()])
    assert set(course) == set(simulated.course) == {0, 1, 2}
    # A bend begins between two of the places at which a simulated road is known.
    assert (course != simulated.course[: n - 10]).sum() <= 2
    assert (slope != simulated.slope[: n - 10]).sum() <= 1


def test_sensors_round_and_drop_out():
    d = driven(plain_road(3000))
    suite = SensorSuite(rate_hz=2.0, dropout_share=0.2, outages=1)
    samples = sample_drive(d, suite, np.random.default_rng(1))
    speed = samples["speed_kmh"].value
    known = speed[~np.isnan(speed)]
    np.testing.assert_array_equal(known, np.round(known))
    assert 0.1 < np.isnan(speed).mean() < 0.5
    assert samples["speed_kmh"].status.count("timeout") == int(np.isnan(speed).sum())


def test_the_stand_in_network_has_its_accuracy_and_its_bursts():
    rng = np.random.default_rng(2)
    road = make_road(rng, "hilly", 60_000)
    d = driven(road)
    labels = label_drive(d, road, network_of_accuracy(0.8), rng)
    t = (labels.t_mono_ns - labels.t_mono_ns[0]) / 1e9
    place = np.interp(t, d.t_s, d.distance_m)
    truth = road.slope[np.minimum((place / STEP_M).astype(int), road.slope.size - 1)]
    right = labels.p_slope.argmax(axis=1) == truth
    assert right.mean() == pytest.approx(0.8, abs=0.05)
    # Its mistakes last as long as it was told, by the measure that the card is made with.
    found = persistence(~right, truth, ["road"] * right.size, place)
    assert found is not None
    expected = STAND_IN_PERSISTENCE
    assert found.share == pytest.approx(expected.share, abs=0.15)
    for at in found.measured:
        alike = expected.share * np.exp(-at["metres"] / expected.length_m)
        assert at["correlation"] == pytest.approx(alike, abs=0.1)
    np.testing.assert_allclose(labels.p_slope.sum(axis=1), 1.0, atol=1e-5)


def test_the_released_network_is_wrong_as_its_card_says():
    rng = np.random.default_rng(3)
    road = make_road(rng, "mountain", 120_000)
    d = driven(road)
    network = network_of_card(models.locate("road_scene"))
    labels = label_drive(d, road, network, rng)
    t = (labels.t_mono_ns - labels.t_mono_ns[0]) / 1e9
    place = np.interp(t, d.t_s, d.distance_m)
    step = np.minimum((place / STEP_M).astype(int), road.slope.size - 1)
    truth, answer = road.course[step], labels.p_course.argmax(axis=1)
    np.testing.assert_allclose(network.slope_confusion.sum(axis=1), 1.0)
    np.testing.assert_allclose(network.course_confusion.sum(axis=1), 1.0)
    for row in (0, 1):
        found = np.bincount(answer[truth == row], minlength=4)
        np.testing.assert_allclose(found / found.sum(), network.course_confusion[row], atol=0.12)
    # A steep hill is seen more often than one that is hardly a hill.
    grade, answer = road.grade_percent[step], labels.p_slope.argmax(axis=1)
    shares = []
    for low, high in ((-0.5, 0.5), (2.5, 4.5), (6.0, 12.5)):
        inside = (grade >= low) & (grade < high)
        shares.append(np.bincount(answer[inside], minlength=3) / inside.sum())
        rows = (network.grade_percent > low) & (network.grade_percent < high)
        expected = network.slope_by_grade[rows].mean(axis=0)
        np.testing.assert_allclose(shares[-1], expected, atol=0.15)
    assert shares[0][1] < shares[1][1] < shares[2][1]
    assert labels.slope_needs_sensors == network.slope_needs_sensors


@pytest.mark.parametrize("head", ["slope", "course"])
def test_the_released_network_is_as_sure_as_its_card_says(head: str):
    folder = models.locate("road_scene")
    card = json.loads((folder / "card.json").read_text())["figures"][MEASURED_ON]["heads"][head]
    counts = np.array(card["confusion"], float)
    network = network_of_card(folder)
    rng = np.random.default_rng(4)
    truth = rng.choice(len(counts), 20_000, p=counts.sum(axis=1) / counts.sum())
    confusion, sure = (
        (network.slope_confusion, network.slope_confidence)
        if head == "slope"
        else (network.course_confusion, network.course_confidence)
    )
    p = answers(truth, confusion, np.arange(truth.size), sure, rng)
    for row in card["abstention"]:
        if row["answered"] < 0.2:
            continue
        above = p.max(axis=1) >= row["threshold"]
        assert above.mean() == pytest.approx(row["answered"], abs=0.1)
        right = (p.argmax(axis=1) == truth)[above].mean()
        assert right == pytest.approx(row["accuracy"], abs=0.1)


def test_where_a_card_answers_with_little_truth_its_hills_are_little_sure():
    folder = models.locate("road_scene")
    card = json.loads((folder / "card.json").read_text(encoding="utf-8"))
    measured = card["figures"]["Synthetic roads never seen"]["heads"]["slope"]
    precision = [measured["per_class"][name]["precision"] for name in measured["classes"]]
    mean = network_of_card(folder).slope_confidence.mean
    assert np.argsort(mean).tolist() == np.argsort(precision).tolist()
    assert mean == pytest.approx(precision, abs=0.02)


def test_truth_tells_the_road_from_the_driver():
    policy = load_policy("car")
    n = int(6000 / STEP_M)
    grade = np.zeros(n)
    grade[500:800] = 10.0
    road = Road(grade, np.zeros(n), np.full(n, 90.0))
    calm = drive_with_truth(road, CAR, driver_of_harshness(0.0), policy, seed=1)
    on_hill = [t for t in calm.events if t.event.kind is not EventKind.IDLING]
    assert on_hill
    assert all(t.road_caused for t in on_hill)
    rough = Driver(harsh_accel_share=1.0, rev_share=1.0, harsh_brake_share=1.0, pedal_share=1.0)
    flat = drive_with_truth(road.flat(), CAR, rough, policy, seed=1)
    assert flat.events
    assert not any(t.road_caused for t in flat.events)


def test_an_event_that_the_flat_road_misses_by_a_hair_is_marked():
    road = make_road(np.random.default_rng(6), "mountain", 8000.0)
    trip = drive_with_truth(road, CAR, driver_of_harshness(0.8), load_policy("car"), seed=6)
    by_a_hair = [event for event in trip.events if event.nearly_on_flat]
    assert by_a_hair
    assert all(event.road_caused for event in by_a_hair)
    assert sum(event.road_caused for event in trip.events) > len(by_a_hair)
