"""What a vehicle's trips teach: gears and powertrain, kept and used again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from data_samples.simulator.driver import driver_of_harshness
from data_samples.simulator.road import make_road
from data_samples.simulator.sensors import SensorSuite, sample_drive
from data_samples.simulator.truth import drive_with_truth
from data_samples.simulator.vehicle import CAR
from offline.errors import InputError, StoreError
from offline.fusion.grade import powertrain_grade
from offline.fusion.places import cut_into_cells
from offline.fusion.powertrain import engine_load, learning_points
from offline.policy import load_policy
from offline.timeline import build_timeline
from offline.vehicleprofile import (
    VehicleProfile,
    find_profile,
    from_json,
    learn_profile,
    read_profile,
    write_profile,
)

SUITE = SensorSuite(rate_hz=5.0, signals=("rpm", "speed_kmh", "load_percent"))


def driven(route: int, length_m: float, terrain="flat"):
    rng = np.random.default_rng([7, route])
    road = make_road(rng, terrain, length_m)
    trip = drive_with_truth(road, CAR, driver_of_harshness(0.3), load_policy("car"), seed=route)
    return road, sample_drive(trip.drive, SUITE, rng)


@pytest.fixture(scope="module")
def profile() -> VehicleProfile:
    found = learn_profile("van-1", (build_timeline(driven(k, 6000.0)[1]) for k in range(3)))
    assert found is not None
    return found


def test_the_gears_are_those_of_the_vehicle(profile: VehicleProfile):
    # Engine speed a kilometre an hour gives in each gear, from ratio and wheel.
    true = [CAR.rpm_at(1 / 3.6, gear) for gear in range(len(CAR.gear_ratios))]
    for ratio in profile.ratios:
        assert min(abs(ratio / t - 1) for t in true) < 0.03
    assert len(profile.ratios) >= 4


def test_a_short_trip_has_a_grade_only_by_the_profile(profile: VehicleProfile):
    _, samples = driven(9, 1200.0, "mountain")
    timeline = build_timeline(samples, gear_ratios=profile.ratios)
    cells = cut_into_cells(timeline, 10.0)
    assert powertrain_grade(timeline, cells, None).source == ""
    known = powertrain_grade(timeline, cells, None, profile.powertrain)
    assert known.source == "powertrain"
    assert np.isfinite(known.percent).sum() > 20


def test_text_and_back(profile: VehicleProfile, tmp_path):
    again = from_json(profile.to_json(), "x")
    assert again.sha256 == profile.sha256
    assert again.vehicle == "van-1"
    file = tmp_path / "van-1.json"
    file.write_text(profile.to_json().replace("coefficients", "numbers"))
    with pytest.raises(InputError, match=r"van-1\.json: no vehicle profile"):
        read_profile(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_profile(tmp_path / "none.json")


@pytest.mark.parametrize(
    "vehicle", ["../../van", "/tmp/van", "bus/12", "van 12", "van.12", "..", "", "車" * 200]
)
def test_every_name_has_a_file_in_the_folder(profile: VehicleProfile, tmp_path, vehicle: str):
    folder = tmp_path / "deep" / "profiles"
    named = replace(profile, vehicle=vehicle)
    file = write_profile(named, folder)
    assert file.resolve().parent == folder
    write_profile(replace(profile, vehicle=vehicle.replace("/", "_") + "-2"), folder)
    write_profile(replace(named, trips=9), folder)
    found = find_profile(folder, vehicle)
    assert found is not None
    assert (found.vehicle, found.trips) == (vehicle, 9)
    older = find_profile(folder, vehicle, named.sha256)
    assert older is not None
    assert older.trips == named.trips
    assert len(list(folder.iterdir())) == 3


def test_a_damaged_profile_is_made_anew(profile: VehicleProfile, tmp_path):
    file = write_profile(profile, tmp_path)
    for harm in ("", "null", profile.to_json().replace('"trips": 3', '"trips": 1e999'),
                 profile.to_json().replace('"noise_mps2": ', '"noise_mps2": NaN, "was": '),
                 profile.to_json().replace('kmh": [', 'kmh": [-1.0,')):  # fmt: skip
        file.write_text(harm)
        with pytest.raises(InputError, match="no vehicle profile"):
            find_profile(tmp_path, "van-1")
        write_profile(profile, tmp_path)
        assert read_profile(file).sha256 == profile.sha256
    assert list(tmp_path.iterdir()) == [file]
    with pytest.raises(StoreError, match="cannot write"):
        write_profile(profile, file / "below")


def test_one_trip_makes_no_profile():
    assert learn_profile("van-1", [build_timeline(driven(1, 3000.0)[1])]) is None


def test_trips_without_load_teach_the_gears_alone():
    def without(route: int):
        samples = dict(driven(route, 4000.0)[1])
        del samples["load_percent"]
        return build_timeline(samples)

    found = learn_profile("van-1", (without(k) for k in range(2)))
    assert found is not None
    assert found.powertrain is None
    assert found.ratios.size >= 3


def test_an_air_flow_of_nothing_is_no_load():
    samples = dict(driven(2, 2000.0)[1])
    load = samples.pop("load_percent")
    samples["maf_g_s"] = replace(load, value=np.zeros(load.value.size))
    timeline = build_timeline(samples)
    assert np.isnan(engine_load(timeline)).all()
    assert learning_points(timeline) is None


def test_air_flow_stands_in_for_load():
    _, samples = driven(2, 6000.0, "mountain")
    load, rpm = samples["load_percent"], samples["rpm"]
    flow = load.value / 100.0 * np.interp(load.t_mono_ns, rpm.t_mono_ns, rpm.value) * 0.012
    by_flow = {name: s for name, s in samples.items() if name != "load_percent"}
    by_flow["maf_g_s"] = replace(load, value=flow)
    grades = []
    for these in (samples, by_flow):
        timeline = build_timeline(these)
        cells = cut_into_cells(timeline, 10.0)
        grades.append(powertrain_grade(timeline, cells, None).percent)
    both = np.isfinite(grades[0]) & np.isfinite(grades[1])
    assert both.sum() > 100
    assert np.corrcoef(grades[0][both], grades[1][both])[0, 1] > 0.95
