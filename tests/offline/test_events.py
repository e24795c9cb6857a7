"""Every event: a violating, a borderline and a clean recording."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from offline.events import detect
from offline.events.stretches import stretches
from offline.policy import load_policy
from offline.timeline import build_timeline
from offline.verdicts import Event, EventKind

from .recordings import ramp, recording, without

CAR = load_policy("car")


def stricter(share: float):
    """The car's policy with lower limits on what is estimated from speed."""
    values = CAR.model_dump(mode="json")
    for kind, keys in {
        "harsh_acceleration": ("enter_mps2", "leave_mps2"),
        "harsh_braking": ("enter_mps2", "leave_mps2"),
        "sustained_pull": ("enter_accel_mps2", "leave_accel_mps2"),
    }.items():
        for key in (*keys, "min_duration_s"):
            values["events"][kind][key] *= share
    return type(CAR).model_validate(values)


SLIGHTLY_STRICTER = stricter(0.9)


def events(samples, kind: str, policy=CAR) -> list[Event]:
    return [e for e in detect(build_timeline(samples), policy) if e.kind == kind]


def speed_change(mps2: float, seconds: float, start_kmh: float):
    end = start_kmh + mps2 * seconds * 3.6
    return ramp((0, start_kmh), (20, start_kmh), (20 + seconds, end), (50, end))


# (kind, violating, borderline that still counts, clean that just does not)
CASES = {
    "harsh_acceleration": (
        {"speed_kmh": speed_change(4.0, 3.0, 20)},
        {"speed_kmh": speed_change(2.9, 4.0, 20)},
        {"speed_kmh": speed_change(2.2, 5.0, 20)},
    ),
    "harsh_braking": (
        {"speed_kmh": speed_change(-5.0, 3.0, 80)},
        {"speed_kmh": speed_change(-3.2, 4.0, 80)},
        {"speed_kmh": speed_change(-2.5, 5.0, 80)},
    ),
    "over_revving": (
        {"rpm": ramp((0, 2000), (10, 2000), (11, 4800), (20, 4800), (21, 2000), (40, 2000))},
        {"rpm": ramp((0, 3000), (10, 3000), (10.1, 3520), (13.6, 3520), (13.7, 3000), (40, 3000))},
        {"rpm": 3480.0},
    ),
    "sustained_pull": (
        {"speed_kmh": speed_change(1.8, 14.0, 15)},
        {
            "speed_kmh": 60.0,
            "load_percent": ramp((0, 40), (10, 40), (10.2, 95), (19.4, 95), (19.6, 40), (40, 40)),
        },
        {
            "speed_kmh": 60.0,
            "load_percent": ramp((0, 40), (10, 40), (10.2, 95), (16.4, 95), (16.6, 40), (40, 40)),
        },
    ),
    "idling": (
        {"speed_kmh": 0.0, "rpm": 800.0, "_seconds": 300},
        {"speed_kmh": ramp((0, 0), (61.5, 0), (65, 20), (90, 20)), "rpm": 800.0, "_seconds": 90},
        {"speed_kmh": ramp((0, 0), (56, 0), (60, 20), (90, 20)), "rpm": 800.0, "_seconds": 90},
    ),
    "speeding": (
        {"speed_kmh": 155.0},
        {"speed_kmh": ramp((0, 120), (10, 120), (14, 135), (25, 135), (30, 120), (50, 120))},
        {"speed_kmh": 131.0},
    ),
    "cold_engine_revving": (
        {"speed_kmh": 40.0, "rpm": 3400.0, "coolant_temp_c": 20.0},
        {"speed_kmh": 40.0, "rpm": 2520.0, "coolant_temp_c": 59.0},
        {"speed_kmh": 40.0, "rpm": 2520.0, "coolant_temp_c": 61.0},
    ),
    "overheating": (
        {"speed_kmh": 40.0, "coolant_temp_c": ramp((0, 90), (20, 120), (50, 120))},
        {
            "speed_kmh": 40.0,
            "coolant_temp_c": ramp((0, 108), (10, 112), (22, 112), (30, 100), (50, 90)),
        },
        {"speed_kmh": 40.0, "coolant_temp_c": 111.0},
    ),
}


def sampled(case: dict):
    signals = {k: v for k, v in case.items() if k != "_seconds"}
    return recording(case.get("_seconds", 50), **signals)


@pytest.mark.parametrize("kind", CASES)
def test_violating_borderline_and_clean(kind: str):
    violating, borderline, clean = CASES[kind]
    assert len(events(sampled(violating), kind)) == 1
    assert len(events(sampled(borderline), kind)) == 1
    assert events(sampled(clean), kind) == []
    worse, slight = (events(sampled(c), kind)[0] for c in (violating, borderline))
    assert worse.severity > slight.severity >= 1.0


def coasting_trip(neutral_s: float):
    """Minutes in two gears, then out of gear at idle speed."""
    end = 200 + neutral_s
    kmh = ramp((0, 30), (80, 50), (90, 50), (200, 75), (end, 70), (end + 20, 65))

    def rpm(t):
        v = kmh(t)
        geared = np.where(t < 85, v * 50.0, v * 32.0)
        return np.where((t >= 200) & (t < end), 850.0, geared)

    return recording(end + 20, speed_kmh=kmh, rpm=rpm)


def test_coasting():
    assert len(events(coasting_trip(20), "coasting")) == 1
    assert len(events(coasting_trip(7), "coasting")) == 1
    assert events(coasting_trip(4), "coasting") == []


def test_coasting_claims_nothing_without_gears():
    assert events(recording(60, speed_kmh=50.0, rpm=850.0), "coasting") == []


def test_crawling_in_a_yard_is_not_harsh():
    jerk = ramp((0, 0), (10, 0), (11, 9), (12, 9), (13, 0), (30, 0))
    assert events(recording(30, speed_kmh=jerk), "harsh_acceleration") == []


def test_cold_fast_idle_at_a_standstill_is_not_the_drivers():
    assert (
        events(recording(40, speed_kmh=0.0, rpm=2600.0, coolant_temp_c=15.0), "cold_engine_revving")
        == []
    )


def test_two_brakings_within_the_merge_gap_are_one():
    kmh = ramp((0, 100), (10, 100), (12, 64), (14, 64), (16, 28), (30, 28))
    assert len(events(recording(30, speed_kmh=kmh), "harsh_braking")) == 1


def test_a_truck_is_held_to_its_own_limits():
    samples = recording(60, speed_kmh=70.0, rpm=2100.0)
    assert events(samples, "over_revving") == []
    assert len(events(samples, "over_revving", load_policy("truck"))) == 1


@pytest.mark.parametrize("kind", CASES)
@pytest.mark.parametrize("rate_hz", [0.6, 2.0, 20.0])
def test_a_clean_recording_is_clean_at_any_rate(kind: str, rate_hz: float):
    # Two polls of a slow adapter miss where a ramp begins: its steepness is known to 0.4 m/s².
    calm = {"harsh_acceleration": 1.9, "harsh_braking": -2.1}
    clean = CASES[kind][2]
    if kind in calm:
        clean = {"speed_kmh": speed_change(calm[kind], 5.0, 60)}
    signals = {k: v for k, v in clean.items() if k != "_seconds"}
    assert events(recording(clean.get("_seconds", 50), rate_hz, **signals), kind) == []


@settings(max_examples=20, deadline=None)
@given(
    start=st.floats(0, 60),
    length=st.floats(0.5, 40),
    seed=st.integers(0, 5),
)
def test_a_gap_never_creates_an_event(start: float, length: float, seed: int):
    rng = np.random.default_rng(seed)
    knots = np.arange(0, 101, 5.0)
    kmh = np.clip(50 + np.cumsum(rng.normal(0, 12, knots.size)), 0, 140)
    rpm = np.clip(2800 + np.cumsum(rng.normal(0, 500, knots.size)), 800, 6000)
    samples = recording(
        100,
        2.0,
        speed_kmh=lambda t: np.interp(t, knots, kmh),
        rpm=lambda t: np.interp(t, knots, rpm),
    )
    # Cut data moves an estimate a little: an event just under its limit is no counterexample.
    whole = detect(build_timeline(samples), SLIGHTLY_STRICTER)
    cut = detect(build_timeline(without(samples, start, start + length)), CAR)
    for kind in EventKind:
        # Which gears there are is learnt from the trip: cut out the only use of the highest one,
        # and rolling along in it looks like rolling in none.
        if kind is not EventKind.COASTING:
            assert sum(e.kind is kind for e in cut) <= sum(e.kind is kind for e in whole)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 2), st.booleans()), min_size=1, max_size=60))
@example([(1, True), (2, True), (0, True), (1, True), (1, False), (1, True), (2, True)])
def test_missing_points_never_add_a_stretch(points: list[tuple[int, bool]]):
    level = np.array([p[0] for p in points])
    known = np.array([p[1] for p in points])
    options = {"rate_hz": 1.0, "min_duration_s": 2.0, "merge_gap_s": 1.0}
    everywhere = np.ones(level.size, dtype=bool)
    whole = stretches(level == 2, level >= 1, everywhere, **options)
    cut = stretches(level == 2, level >= 1, known, **options)
    assert len(cut) <= len(whole)
