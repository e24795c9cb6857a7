"""A store with made-up scored trips: no classifier and no scoring is needed to show one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from offline.results import ResultStore
from offline.results.staging import stage
from offline.scenelabels import SceneLabels
from offline.verdicts import (
    Event,
    EventKind,
    Exposure,
    Outcome,
    Provenance,
    Score,
    TripResult,
    Verdict,
)


def made_timeline(duration_s: float = 300.0, rate_hz: float = 5.0, seed: int = 7) -> pd.DataFrame:
    """A drive with a climb from 100 to 160 s, a left turn, and a gap from 200 to 212 s."""
    rng = np.random.default_rng(seed)
    t_s = np.arange(0.0, duration_s, 1.0 / rate_hz)
    n = t_s.size
    speed = np.clip(60 * np.sin(np.pi * t_s / duration_s) ** 0.5 + 8 * np.sin(t_s / 11), 0, None)
    rpm = 850 + 32 * speed + np.where((t_s > 100) & (t_s < 160), 900, 0) + rng.normal(0, 25, n)
    accel = np.gradient(speed / 3.6, t_s)
    gap = (t_s > 200) & (t_s < 212)
    scene = np.full(n, "straight", dtype=object)
    scene[(t_s > 100) & (t_s < 160)] = "uphill"
    scene[(t_s > 170) & (t_s < 178)] = "left_turn"
    scene[(t_s > 180) & (t_s < 230)] = "curve"
    scene[(t_s > 240) & (t_s < 255)] = "undetermined"
    scene[(t_s > 265) & (t_s < 285)] = "downhill"
    p_uphill = np.where(scene == "uphill", 0.93, 0.04)
    p_downhill = np.where(scene == "downhill", 0.9, 0.03)
    p_left = np.where(scene == "left_turn", 0.88, 0.02)
    p_curve = np.where(scene == "curve", 0.8, 0.05)
    return pd.DataFrame(
        {
            "t_s": t_s,
            "t_mono_ns": (1_000_000_000 + t_s * 1e9).astype(np.int64),
            "utc_ns": pd.array((1_780_000_000_000_000_000 + t_s * 1e9).astype(np.int64), "Int64"),
            "rpm": np.where(gap, np.nan, np.round(rpm * 4) / 4),
            "rpm_age_s": 0.05,
            "speed_kmh": np.where(gap, np.nan, np.round(speed)),
            "speed_kmh_age_s": 0.15,
            "coolant_temp_c": np.round(np.minimum(90, 20 + t_s * 0.4)),
            "coolant_temp_c_age_s": 2.5,
            "load_percent": np.where(gap, np.nan, np.clip(20 + speed, 0, 100)),
            "load_percent_age_s": 0.4,
            "speed_smooth_kmh": np.where(gap, np.nan, speed),
            "speed_sd_kmh": 0.4,
            "accel_mps2": np.where(gap, np.nan, accel),
            "accel_sd_mps2": 0.1,
            "distance_m": np.cumsum(speed / 3.6) / rate_hz,
            "gear": pd.array(np.clip(speed // 14 + 1, 1, 5).astype(int), "Int64"),
            "engine_on": pd.array(np.ones(n, bool), "boolean"),
            "moving": pd.array(speed > 1, "boolean"),
            "p_level": 1 - p_uphill - p_downhill,
            "p_uphill": p_uphill,
            "p_downhill": p_downhill,
            "p_course_straight": 1 - p_left - p_curve - 0.01,
            "p_course_curve": p_curve,
            "p_course_left_turn": p_left,
            "p_course_right_turn": 0.01,
            "scene": scene,
            "frame": pd.array((t_s * 2).astype(int), "Int64"),
            "grade_percent": np.where(scene == "uphill", 6.5, np.nan),
            "grade_sd_percent": np.where(scene == "uphill", 1.5, np.nan),
            "ideal_speed_kmh": np.where(gap, np.nan, speed * 0.95),
            "ideal_accel_mps2": np.where(gap, np.nan, np.clip(accel, -1.2, 1.0)),
            "ideal_rpm_low": np.where(gap, np.nan, 1200.0 + np.where(scene == "uphill", 500, 0)),
            "ideal_rpm_high": np.where(gap, np.nan, 2500.0 + np.where(scene == "uphill", 900, 0)),
            "ideal_coolant_low_c": 80.0,
            "ideal_coolant_high_c": 105.0,
        }
    )


def made_labels() -> SceneLabels:
    """What the network said, twice a second: less sure than fusion."""
    t_s = np.arange(0.0, 300.0, 0.5)
    uphill = np.where((t_s > 100) & (t_s < 160), 0.71, 0.10)
    curve = np.where((t_s > 180) & (t_s < 230), 0.64, 0.12)
    return SceneLabels(
        (1_000_000_000 + t_s * 1e9).astype(np.int64),
        np.arange(t_s.size, dtype=np.int64),
        np.stack([0.9 - uphill, uphill, np.full_like(t_s, 0.1)], axis=1).astype(np.float32),
        np.stack([0.8 - curve, curve, np.full_like(t_s, 0.1), np.full_like(t_s, 0.1)], axis=1)
        .astype(np.float32),
        0.5,
        0.5,
        "road_scene",
        "b" * 64,
    )  # fmt: skip


def made_stills() -> list[tuple[int, bytes]]:
    """Camera stills of every second labelled frame: plain grey, with the frame's number."""
    pictures = []
    for frame in range(0, 600, 2):
        picture = np.full((180, 320, 3), 90, np.uint8)
        cv2.putText(
            picture, f"frame {frame}", (40, 100), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255,) * 3, 2
        )
        pictures.append((frame, cv2.imencode(".jpg", picture)[1].tobytes()))
    return pictures


def made_verdicts() -> tuple[Verdict, ...]:
    """One event of each outcome."""
    return (
        Verdict(
            Event(EventKind.COLD_ENGINE_REVVING, 40.0, 47.0, 3100.0, 2800.0, "rpm", 1.2),
            Outcome.UNDETERMINED, "", "uphill", 0.55, 0.5, (), None, 0.0, 1.8,
            "The road could not be told with enough certainty, so nothing is held against you.",
        ),
        Verdict(
            Event(EventKind.OVER_REVVING, 118.0, 131.0, 4120.0, 3500.0, "rpm", 1.4),
            Outcome.EXONERATED, "over_revving_uphill", "uphill", 0.93, 0.9, (250, 252, 254), True,
            0.0, 4.2,
            "3,600 to 4,120 rpm for 13 s while climbing: the camera saw the hill in 90 % of the "
            "frames (probability 0.93) and the engine load agrees.",
        ),
        Verdict(
            Event(EventKind.HARSH_BRAKING, 289.0, 291.2, -3.6, -3.2, "m/s²", 1.1),
            Outcome.KEPT, "", "", None, None, (), None, 3.1, 0.0,
            "Braked at 3.6 m/s² for 2.2 s; the limit is 3.2 m/s².",
        ),
    )  # fmt: skip


def made_result(
    trip_id: str = "van-07/20260528T080000Z-abc123",
    driver: str = "Jana Novák",
    *,
    origin: dict[str, str] | None = None,
    scored: bool = True,
) -> TripResult:
    """A scored trip as the pipeline would hand it to the store."""
    return TripResult(
        trip_id=trip_id,
        trip_path=f"/nowhere/{trip_id}",
        vehicle=trip_id.split("/")[0],
        vehicle_class="van",
        driver=driver,
        started_utc_ns=1_780_000_000_000_000_000,
        origin=origin
        or {"video": "recorded", "obd": "simulated", "note": "OBD log made by a vehicle model."},
        road_context="camera",
        exposure=Exposure(4.1, 300.0, 280.0, 300.0, 0.96, 0.9),
        verdicts=made_verdicts(),
        score=Score(
            87.4, "B", 79.0, 93.0, "",
            {"smoothness": 82.0, "engine_care": 95.0, "economy": 88.0, "speed": None},
        )
        if scored
        else Score(None, None, None, None, "Less than 1 km was driven: too short to score."),
        score_without_context=Score(74.2, "C", 66.0, 81.0, "", {"smoothness": 82.0}),
        provenance=Provenance("a" * 64, "road_scene", "b" * 64, "car", "c" * 64, "gradewise 0.1.0"),
        timeline=made_timeline(),
        labels=made_labels(),
    )  # fmt: skip


@pytest.fixture
def make_trip() -> Callable[..., TripResult]:
    """The function that makes scored trips."""
    return made_result


@pytest.fixture(scope="session")
def results_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A results folder with its store: one trip in full, one without camera, sixty short ones."""
    folder = tmp_path_factory.mktemp("results")
    with ResultStore.open(None, folder) as store:
        store.put(made_result(), made_stills())
        bare = made_result(
            "van-08/20260529T090000Z-def456",
            "",
            scored=False,
            origin={"video": "none", "obd": "measured", "note": ""},
        )
        columns = [
            name
            for name in bare.timeline.columns
            if not name.startswith(("p_", "scene", "frame", "coolant", "ideal_coolant", "utc"))
        ]
        store.put(
            replace(
                bare,
                road_context="no video",
                verdicts=(),
                labels=None,
                started_utc_ns=None,
                timeline=bare.timeline[columns],
            )
        )
        measured = {"video": "recorded", "obd": "measured", "note": ""}
        staged = []
        for number in range(60):
            trip = made_result(
                f"car-{number % 7:02d}/20260401T{number:06d}Z-x",
                ("Ana Ruiz", "Ben Okoye", "Chloé Martin")[number % 3],
                origin=measured,
            )
            short = replace(
                trip,
                started_utc_ns=1_775_000_000_000_000_000 + number * 3_600_000_000_000,
                score=replace(trip.score, value=30.0 + number),
                timeline=pd.DataFrame(),
                labels=None,
            )
            staged.append(stage(short, store.files))
        store.commit(staged)
    return folder
