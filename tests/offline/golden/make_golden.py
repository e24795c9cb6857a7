"""Makes the golden recordings and what they were scored as when they were made.

Run it only when a change of result is meant, and read the difference before committing:

    python tests/offline/golden/make_golden.py            # expectations only
    python tests/offline/golden/make_golden.py --record   # the recordings as well
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from data_samples.simulator.drive import drive
from data_samples.simulator.driver import driver_of_harshness, mood_along
from data_samples.simulator.labels import label_drive, network_of_accuracy
from data_samples.simulator.road import Terrain, make_road
from data_samples.simulator.sensors import SensorSuite, sample_drive
from data_samples.simulator.vehicle import CAR, VAN, Vehicle
from offline.pipeline import Scored, score_samples
from offline.policy import load_policy
from offline.scenelabels import SceneLabels
from onboard.trip import Samples

HERE = Path(__file__).parent
TRIPS: dict[str, tuple[Terrain, Vehicle, float, float, int]] = {
    "flat_careful_car": ("flat", CAR, 0.1, 5.0, 11),
    "mountain_harsh_car_1hz": ("mountain", CAR, 0.9, 1.0, 26),
    "hilly_van_slow_polls": ("hilly", VAN, 0.5, 0.55, 13),
}
LABEL_ARRAYS = ("t_mono_ns", "frame", "p_slope", "p_course")


def record(name: str) -> None:
    """Simulate a golden trip and write it down."""
    terrain, vehicle, harshness, rate_hz, seed = TRIPS[name]
    rng = np.random.default_rng(seed)
    driver = driver_of_harshness(harshness, rated_rpm=vehicle.rated_rpm)
    road = make_road(rng, terrain, 7000.0)
    mood = mood_along(driver, road, rng, rated_rpm=vehicle.rated_rpm)
    real = drive(
        road, vehicle, mood, lateral_mps2=driver.lateral_mps2, pedal_share=driver.pedal_share
    )
    samples = sample_drive(real, SensorSuite(rate_hz=rate_hz, outages=1), rng)
    labels = label_drive(real, road, network_of_accuracy(0.85), rng)
    arrays = {f"label/{key}": getattr(labels, key) for key in LABEL_ARRAYS}
    for signal, one in samples.items():
        arrays[f"t/{signal}"] = one.t_mono_ns
        arrays[f"value/{signal}"] = one.value.astype(np.float32)
    np.savez_compressed(HERE / f"{name}.npz", **arrays)


def replay(name: str) -> Scored:
    """Score a golden trip as it was written down."""
    with np.load(HERE / f"{name}.npz") as arrays:
        samples = {
            key.removeprefix("t/"): Samples(
                arrays[key],
                arrays["value/" + key.removeprefix("t/")].astype(np.float64),
                ["ok"] * arrays[key].size,
                np.full(arrays[key].size, np.nan),
            )
            for key in arrays.files
            if key.startswith("t/")
        }
        labels = SceneLabels(
            **{key: arrays[f"label/{key}"] for key in LABEL_ARRAYS},
            slope_threshold=0.65,
            course_threshold=0.65,
            model_name="golden",
            model_sha256="",
        )
    return score_samples(samples, None, labels, load_policy(TRIPS[name][1].vehicle_class))


def summary(scored: Scored) -> dict:
    """What a replay must give again."""
    return {
        "score": scored.score.value,
        "score_without_context": scored.score_without_context.value,
        "distance_km": scored.exposure.distance_km,
        "scene_coverage": scored.exposure.scene_coverage,
        "verdicts": [
            {
                "kind": v.event.kind.value,
                "start_s": v.event.start_s,
                "end_s": v.event.end_s,
                "peak": v.event.peak,
                "outcome": v.outcome.value,
                "rule": v.rule,
            }
            for v in scored.verdicts
        ],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--record", action="store_true")
    recordings = parser.parse_args().record
    for trip in TRIPS:
        if recordings:
            record(trip)
        expected = json.dumps(summary(replay(trip)), indent=1) + "\n"
        (HERE / f"{trip}.json").write_text(expected, "utf-8")
