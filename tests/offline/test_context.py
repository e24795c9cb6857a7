"""Fusion and verdicts: who is spared, who is not, and when doubt decides."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from offline.pipeline import Scored, score_samples
from offline.policy import Policy, load_policy, parse_policy
from offline.scenelabels import SceneLabels
from offline.verdicts import EventKind, Outcome, Verdict

from .recordings import labels, ramp, recording, without
from .test_policy import shipped_text

CAR = load_policy("car")
UPHILL, DOWNHILL, STRAIGHT, CURVE = 1, 2, 0, 1
CLIMB = (60.0, 80.0)
"""The stretch of time in which `climbing` revs high."""


def climbing(load: float = 80.0):
    """Two minutes at 60 km/h; for twenty seconds in a low gear."""
    high = ramp((0, 2000), (60, 2000), (61, 4000), (80, 4000), (81, 2000), (120, 2000))
    return recording(
        120,
        speed_kmh=60.0,
        rpm=high,
        load_percent=ramp((0, 30), (59, 30), (61, load), (80, load), (81, 30), (120, 30)),
    )


def around(t: float, value: int, *, first: float = 45.0, last: float = 95.0) -> int:
    return value if first <= t <= last else 0


def over_revving(scored: Scored) -> Verdict:
    (verdict,) = [v for v in scored.verdicts if v.event.kind is EventKind.OVER_REVVING]
    return verdict


def judged(seen: SceneLabels | None, samples=None, policy: Policy = CAR) -> Verdict:
    return over_revving(score_samples(samples or climbing(), None, seen, policy))


def test_high_rpm_uphill_is_exonerated_with_reason_and_frames():
    verdict = judged(labels(120, lambda t: around(t, UPHILL)))
    assert verdict.outcome is Outcome.EXONERATED
    assert verdict.rule == "high-rpm-uphill"
    assert verdict.probability is not None
    assert verdict.probability > 0.95
    assert verdict.frames_agree == 1.0
    assert len(verdict.frames) == 3
    assert all(55 * 2 * 15 < frame < 85 * 2 * 15 for frame in verdict.frames)
    assert verdict.points == 0
    assert verdict.points_spared > 0
    assert "climbs" in verdict.sentence


def test_without_road_context_the_same_event_costs_its_points():
    seen = labels(120, lambda t: around(t, UPHILL))
    scored = score_samples(climbing(), None, seen, CAR, road_context=False)
    verdict = over_revving(scored)
    assert verdict.outcome is Outcome.KEPT
    assert verdict.points > 0
    assert verdict.probability is None
    assert (scored.timeline["scene"] == "").all()
    spared = score_samples(climbing(), None, seen, CAR)
    assert spared.score.value > scored.score.value
    assert spared.score_without_context.value == scored.score.value


def test_no_video_means_kept():
    assert judged(None).outcome is Outcome.KEPT


def test_a_network_that_needs_sensors_exonerates_with_them_only():
    seen = replace(labels(120, lambda t: around(t, UPHILL)), slope_needs_sensors=True)
    assert judged(seen).outcome is Outcome.EXONERATED
    samples = climbing()
    del samples["load_percent"]
    alone = judged(seen, samples)
    assert alone.outcome is Outcome.UNDETERMINED
    assert "Only the camera" in alone.sentence
    assert judged(replace(seen, slope_needs_sensors=False), samples).outcome is Outcome.EXONERATED


def test_on_the_level_it_is_kept():
    verdict = judged(labels(120))
    assert verdict.outcome is Outcome.KEPT
    assert verdict.points > 0


def test_hesitant_frames_decide_nothing():
    samples = climbing()
    del samples["load_percent"]
    verdict = judged(labels(120, lambda t: around(t, UPHILL), confidence=0.5), samples)
    assert verdict.outcome is Outcome.UNDETERMINED
    assert verdict.points == 0
    assert verdict.points_spared > 0


def test_frames_that_disagree_among_themselves_decide_nothing():
    def mixed(t: float) -> int:
        return around(t, UPHILL) if int(t * 2) % 5 < 3 else 0

    assert judged(labels(120, mixed)).outcome is Outcome.UNDETERMINED


def test_unreadable_frames_decide_nothing():
    seen = labels(120, lambda t: around(t, UPHILL))
    t_s = (seen.t_mono_ns - seen.t_mono_ns[0]) / 1e9
    dark = (t_s > 40) & (t_s < 100)
    p = seen.p_slope.copy()
    p[dark] = np.nan
    assert judged(replace(seen, p_slope=p)).outcome is not Outcome.EXONERATED


def test_with_strength_to_spare_a_higher_gear_would_have_done():
    seen = labels(120, lambda t: around(t, UPHILL))
    assert judged(seen, climbing(load=21.0)).outcome is Outcome.KEPT


@pytest.mark.parametrize(
    ("seconds", "load", "rpm", "outcome", "rule"),
    [
        (7.0, 92.0, 4000.0, Outcome.EXONERATED, "full-pull-uphill"),
        (7.0, 70.0, 4000.0, Outcome.UNDETERMINED, "easy-rpm-uphill"),
        (7.0, 92.0, 4900.0, Outcome.UNDETERMINED, "easy-rpm-uphill"),
        (7.0, None, 4000.0, Outcome.UNDETERMINED, "full-pull-uphill"),
        # On the level, too, so much speed would have been gained for long.
        (16.0, 92.0, 4000.0, Outcome.UNDETERMINED, "easy-rpm-uphill"),
    ],
)
def test_gaining_speed_uphill_at_full_pull_a_little_over_the_limit_is_the_roads(
    seconds: float, load: float | None, rpm: float, outcome: Outcome, rule: str
):
    end = 60.0 + seconds
    gained = 35.0 + seconds * 0.65 * 3.6
    kmh = ramp((0, 35), (60, 35), (end, gained), (120, gained))
    revs = ramp((0, 2000), (60, 2000), (60.5, rpm), (end, rpm), (end + 0.5, 2000), (120, 2000))
    pull = load or 0.0
    loads = ramp((0, 30), (59.5, 30), (60, pull), (end, pull), (end + 0.5, 30), (120, 30))
    # A barometer on a climb of some 7 %.
    kpa = ramp((0, 100), (40, 100), (100, 99.5), (120, 99.5))
    samples = recording(120, speed_kmh=kmh, rpm=revs, load_percent=loads, baro_pressure_kpa=kpa)
    if load is None:
        del samples["load_percent"]
    verdict = judged(labels(120, lambda t: around(t, UPHILL, first=35.0, last=100.0)), samples)
    assert (verdict.outcome, verdict.rule) == (outcome, rule)


def test_a_jump_in_speed_uphill_is_the_drivers():
    jump = ramp((0, 30), (60, 30), (66, 30 + 6 * 3.0 * 3.6), (120, 95))
    samples = climbing() | {"speed_kmh": recording(120, speed_kmh=jump)["speed_kmh"]}
    seen = labels(120, lambda t: around(t, UPHILL, first=0, last=120))
    scored = score_samples(samples, None, seen, CAR)
    harsh = [v for v in scored.verdicts if v.event.kind is EventKind.HARSH_ACCELERATION]
    assert len(harsh) == 1
    assert harsh[0].outcome is Outcome.KEPT


def test_engine_braking_downhill_is_exonerated_and_pulling_downhill_is_not():
    seen = labels(120, lambda t: around(t, DOWNHILL))
    braking = judged(seen, climbing(load=5.0))
    assert (braking.outcome, braking.rule) == (Outcome.EXONERATED, "engine-braking-downhill")
    partly = judged(seen, climbing(load=21.0))
    assert (partly.outcome, partly.rule) == (Outcome.UNDETERMINED, "partly-braking-downhill")
    # An engine that pulls hard at a steady speed climbs, whatever the camera says.
    assert judged(seen, climbing(load=80.0)).outcome is Outcome.UNDETERMINED


@pytest.mark.parametrize(
    ("gain_kmh", "outcome", "rule"),
    [
        (6.0, Outcome.EXONERATED, "engine-braking-downhill"),
        (18.0, Outcome.UNDETERMINED, "partly-braking-downhill"),
    ],
)
def test_an_engine_that_brakes_holds_the_speed(gain_kmh: float, outcome: Outcome, rule: str):
    faster = ramp((0, 50), (60, 50), (80, 50 + gain_kmh), (120, 50 + gain_kmh))
    verdict = judged(labels(120, lambda t: around(t, DOWNHILL)), braking_engine(faster))
    assert (verdict.outcome, verdict.rule) == (outcome, rule)


def braking_engine(speed_kmh):
    return climbing(load=5.0) | {"speed_kmh": recording(120, speed_kmh=speed_kmh)["speed_kmh"]}


@pytest.mark.parametrize(
    "speed_kmh",
    [
        ramp((0, 50), (60, 50), (71, 68), (80, 55), (120, 55)),
        ramp((0, 66), (60, 66), (69, 50), (80, 68), (120, 68)),
    ],
    ids=["then slowed", "slowed before"],
)
def test_speed_gained_and_lost_again_was_gained(speed_kmh):
    verdict = judged(labels(120, lambda t: around(t, DOWNHILL)), braking_engine(speed_kmh))
    assert (verdict.outcome, verdict.rule) == (Outcome.UNDETERMINED, "partly-braking-downhill")


def test_what_was_gained_in_a_gap_is_not_known():
    faster = ramp((0, 50), (60, 50), (80, 68), (120, 68))
    samples = braking_engine(faster)
    speed = without({"speed_kmh": samples["speed_kmh"]}, 66, 90)
    seen = labels(120, lambda t: around(t, DOWNHILL))
    assert judged(seen, samples | speed).outcome is Outcome.UNDETERMINED


@pytest.mark.parametrize(
    ("seconds", "outcome", "rule"),
    [
        (8.0, Outcome.EXONERATED, "high-rpm-uphill"),
        (24.0, Outcome.UNDETERMINED, "easy-rpm-uphill"),
        (50.0, Outcome.KEPT, ""),
    ],
)
def test_revs_that_the_level_would_have_had_as_long_are_the_drivers(
    seconds: float, outcome: Outcome, rule: str
):
    # 0.3 m/s² on a climb of 6 %: a third of the time would have done on the level.
    end = 60.0 + seconds
    samples = recording(
        140,
        speed_kmh=ramp((0, 35), (60, 35), (end, 35 + seconds * 0.3 * 3.6), (140, 90)),
        rpm=ramp((0, 2000), (60, 2000), (60.5, 4000), (end, 4000), (end + 0.5, 2000), (140, 2000)),
        load_percent=ramp((0, 30), (59.5, 30), (60, 75), (end, 75), (end + 0.5, 30), (140, 30)),
        baro_pressure_kpa=pressure_of_a_climb(35.0, seconds),
    )
    verdict = judged(labels(140, lambda t: around(t, UPHILL, first=35.0, last=120.0)), samples)
    assert (verdict.outcome, verdict.rule) == (outcome, rule)


def on_a_hill(speed_kmh, *, load: float | None = 75.0, barometer: bool = True):
    """Revving high from 60 to 110 s on 6 %, at any speed."""
    signals = {"baro_pressure_kpa": ramp((0, 101), (30, 101), (130, 100.3), (140, 100.3))}
    if load is not None:
        signals["load_percent"] = ramp((0, 30), (59, 30), (60, load), (110, load), (111, 30))
    return recording(
        140,
        speed_kmh=speed_kmh,
        rpm=ramp((0, 2000), (59, 2000), (60, 4000), (110, 4000), (111, 2000), (140, 2000)),
        **{name: signals[name] for name in signals if barometer or name == "load_percent"},
    )


HILL = labels(140, lambda t: around(t, UPHILL, first=25.0, last=135.0))


def test_what_the_brakes_took_is_gained_again():
    regained = ramp((0, 55), (62, 55), (66, 35), (108, 55), (140, 55))
    steady = ramp((0, 55), (140, 55))
    assert judged(HILL, on_a_hill(steady)).outcome is Outcome.EXONERATED
    assert judged(HILL, on_a_hill(regained)).outcome is not Outcome.EXONERATED


@pytest.mark.parametrize(
    ("gap", "outcome"),
    [(None, Outcome.UNDETERMINED), ((80, 88), Outcome.UNDETERMINED)],
    ids=["whole", "gap"],
)
def test_a_gap_hides_no_gain_of_speed_uphill(gap: tuple[float, float] | None, outcome: Outcome):
    samples = on_a_hill(ramp((0, 35), (79, 35), (90, 58), (140, 58)))
    if gap is not None:
        samples |= without({"speed_kmh": samples["speed_kmh"]}, *gap)
    assert judged(HILL, samples).outcome is outcome


def test_what_was_surely_gained_beside_a_gap_is_the_drivers():
    samples = on_a_hill(ramp((0, 35), (60, 35), (110, 95), (140, 95)))
    assert judged(HILL, samples).outcome is Outcome.KEPT
    samples |= without({"speed_kmh": samples["speed_kmh"]}, 62, 72)
    assert judged(HILL, samples).outcome is Outcome.KEPT


@pytest.mark.parametrize("gap", [(62, 85), (62, 108), (58, 112)])
def test_less_data_never_costs_more(gap: tuple[float, float]):
    samples = on_a_hill(50.0)
    for signal in ("speed_kmh", "load_percent"):
        kept = samples | without({signal: samples[signal]}, *gap)
        assert judged(HILL, kept).outcome is not Outcome.KEPT, signal


def test_whoever_stands_on_a_hill_does_not_climb_it():
    standing = ramp((0, 50), (50, 50), (58, 0), (112, 0), (118, 50), (140, 50))
    assert judged(HILL, on_a_hill(standing, load=None)).outcome is Outcome.KEPT


def cold_revving(scored: Scored) -> Verdict:
    (verdict,) = [v for v in scored.verdicts if v.event.kind is EventKind.COLD_ENGINE_REVVING]
    return verdict


@pytest.mark.parametrize(
    ("seconds", "outcome", "rule"),
    [
        (6.0, Outcome.EXONERATED, "cold-engine-uphill"),
        (18.0, Outcome.UNDETERMINED, "cold-easy-uphill"),
        (50.0, Outcome.KEPT, ""),
    ],
)
def test_a_cold_engine_is_judged_by_the_level_too(seconds: float, outcome: Outcome, rule: str):
    end = 60.0 + seconds
    samples = recording(
        140,
        speed_kmh=ramp((0, 35), (60, 35), (end, 35 + seconds * 0.3 * 3.6), (140, 90)),
        rpm=ramp((0, 2000), (60, 2000), (60.5, 3000), (end, 3000), (end + 0.5, 2000), (140, 2000)),
        load_percent=ramp((0, 30), (59.5, 30), (60, 75), (end, 75), (end + 0.5, 30), (140, 30)),
        coolant_temp_c=20.0,
        baro_pressure_kpa=pressure_of_a_climb(35.0, seconds),
    )
    seen = labels(140, lambda t: around(t, UPHILL, first=35.0, last=120.0))
    verdict = cold_revving(score_samples(samples, None, seen, CAR))
    assert (verdict.outcome, verdict.rule) == (outcome, rule)


@pytest.mark.parametrize(
    ("gain_kmh", "outcome", "rule"),
    [
        (6.0, Outcome.EXONERATED, "cold-engine-braking"),
        (18.0, Outcome.UNDETERMINED, "cold-partly-braking"),
    ],
)
def test_a_cold_engine_that_brakes_holds_the_speed(gain_kmh: float, outcome: Outcome, rule: str):
    faster = ramp((0, 50), (60, 50), (80, 50 + gain_kmh), (120, 50 + gain_kmh))
    samples = braking_engine(faster) | recording(120, coolant_temp_c=20.0)
    seen = labels(120, lambda t: around(t, DOWNHILL))
    verdict = cold_revving(score_samples(samples, None, seen, CAR))
    assert (verdict.outcome, verdict.rule) == (outcome, rule)


@pytest.mark.parametrize("ripple_kmh", [0.0, 1.0, 2.0])
def test_a_long_climb_at_an_unsteady_pace_is_the_roads(ripple_kmh: float):
    metres = 50.0 / 3.6 * 240.0
    drop = 0.06 * metres / 84.3
    samples = recording(
        300,
        speed_kmh=lambda t: 50.0 + ripple_kmh * np.sin(t / 3.0),
        rpm=ramp((0, 2000), (40, 2000), (41, 4000), (270, 4000), (271, 2000), (300, 2000)),
        load_percent=ramp((0, 30), (39, 30), (40, 75), (270, 75), (271, 30), (300, 30)),
        baro_pressure_kpa=ramp((0, 101), (30, 101), (270, 101 - drop), (300, 101 - drop)),
    )
    seen = labels(300, lambda t: around(t, UPHILL, first=25.0, last=275.0))
    verdict = judged(seen, samples)
    assert (verdict.outcome, verdict.rule) == (Outcome.EXONERATED, "high-rpm-uphill")


def test_a_road_that_nobody_saw_is_no_level_road():
    # 62 km/h at the start, 66 at the end: 32 s of gaining speed, were the road level.
    seen = labels(120, confidence=0.99)
    t_s = (seen.t_mono_ns - seen.t_mono_ns[0]) / 1e9
    p = seen.p_slope.copy()
    p[t_s > 20] = np.nan
    samples = recording(
        120,
        speed_kmh=ramp((0, 62), (50, 62), (85, 66), (120, 66)),
        rpm=ramp((0, 2000), (50, 2000), (51, 4000), (85, 4000), (86, 2000), (120, 2000)),
        # Too little pulling to learn the vehicle from.
        load_percent=ramp((0, 15), (49, 15), (50, 75), (85, 75), (86, 15), (120, 15)),
    )
    verdict = judged(replace(seen, p_slope=p), samples)
    assert (verdict.outcome, verdict.points) == (Outcome.UNDETERMINED, 0.0)
    assert "was not seen" in verdict.sentence


def pressure_of_a_climb(kmh: float, seconds: float):
    """What a barometer reads on 6 % from the 30th second on, `kmh` fast until the 60th."""
    before = 0.06 * kmh / 3.6 * 30.0 / 84.3
    after = 0.06 * (kmh / 3.6 + 0.15 * seconds) * seconds / 84.3
    return ramp((0, 101), (30, 101), (60, 101 - before), (60 + seconds, 101 - before - after),
                (140, 101 - before - after))  # fmt: skip


def test_downhill_without_engine_load_only_a_steady_speed_rules_out_a_pull():
    samples = climbing()
    del samples["load_percent"]
    seen = labels(120, lambda t: around(t, DOWNHILL))
    assert judged(seen, samples).outcome is Outcome.EXONERATED
    samples["speed_kmh"] = recording(120, speed_kmh=ramp((0, 30), (58, 30), (82, 75), (120, 75)))[
        "speed_kmh"
    ]
    assert judged(seen, samples).outcome is Outcome.UNDETERMINED


@pytest.mark.parametrize(
    ("gain_kmh", "outcome"),
    [(8.0, Outcome.EXONERATED), (22.0, Outcome.UNDETERMINED), (55.0, Outcome.KEPT)],
)
def test_a_pull_uphill_is_judged_by_how_long_it_would_have_been_on_the_level(
    gain_kmh: float, outcome: Outcome
):
    seconds = 20.0
    kmh = ramp((0, 30), (60, 30), (60 + seconds, 30 + gain_kmh), (120, 30 + gain_kmh))
    load = ramp((0, 30), (59, 30), (60, 95), (60 + seconds, 95), (61 + seconds, 30), (120, 30))
    samples = recording(120, speed_kmh=kmh, rpm=2200.0, load_percent=load)
    seen = labels(120, lambda t: around(t, UPHILL))
    scored = score_samples(samples, None, seen, CAR)
    pulls = [v for v in scored.verdicts if v.event.kind is EventKind.SUSTAINED_PULL]
    assert [v.outcome for v in pulls] == [outcome]


@pytest.mark.parametrize(("mps2", "outcome"), [(3.0, Outcome.EXONERATED), (4.5, Outcome.KEPT)])
def test_slowing_for_a_bend_is_excused_within_comfort_only(mps2: float, outcome: Outcome):
    seconds = 4.0
    slow = 90 - seconds * mps2 * 3.6
    kmh = ramp((0, 90), (40, 90), (40 + seconds, slow), (90, slow))
    seen = labels(90, course=lambda t: CURVE if 41 <= t <= 55 else STRAIGHT)
    wide = parse_policy(shipped_text().replace("max_peak = 3.0", "max_peak = 3.3"), source="x")
    scored = score_samples(recording(90, speed_kmh=kmh), None, seen, wide)
    (braking,) = [v for v in scored.verdicts if v.event.kind is EventKind.HARSH_BRAKING]
    assert braking.outcome is outcome


def test_labels_are_moved_to_where_they_apply():
    # At 18 km/h the slope, seen half its look-ahead away, is reached after 1.5 s.
    seen = labels(60, lambda t: UPHILL if t >= 30 else 0, confidence=0.99)
    scored = score_samples(recording(60, speed_kmh=18.0), None, seen, CAR)
    p = scored.timeline["p_uphill"].to_numpy()
    t = scored.timeline["t_s"].to_numpy()
    turned = t[np.argmax(p > 0.5)]
    assert 30.0 <= turned <= 33.5


def test_standing_still_adds_no_evidence():
    kmh = ramp((0, 50), (30, 50), (35, 0), (200, 0), (205, 50), (230, 50))
    short = ramp((0, 50), (30, 50), (35, 0), (45, 0), (50, 50), (75, 50))
    long_stop = score_samples(
        recording(230, speed_kmh=kmh),
        None,
        labels(230, lambda t: UPHILL if 34 < t < 202 else 0),
        CAR,
    )
    short_stop = score_samples(
        recording(75, speed_kmh=short),
        None,
        labels(75, lambda t: UPHILL if 34 < t < 47 else 0),
        CAR,
    )
    at_long = long_stop.timeline["p_uphill"].iloc[5 * 100]
    at_short = short_stop.timeline["p_uphill"].iloc[5 * 40]
    assert at_long == pytest.approx(at_short, abs=0.05)


def test_measured_slope_replaces_guesses():
    # The camera sees nothing; GPS altitude climbs 6 % for half a kilometre.
    seen = labels(120, confidence=0.4)
    metres = 60 / 3.6
    altitude = ramp((0, 100), (45, 100), (95, 100 + 0.06 * metres * 50), (120, 150))
    samples = recording(120, speed_kmh=60.0, gps_altitude_m=altitude)
    scored = score_samples(samples, None, seen, CAR)
    middle = scored.timeline.iloc[5 * 70]
    assert middle["grade_percent"] == pytest.approx(6.0, abs=1.0)
    assert middle["p_uphill"] > 0.9
    level = scored.timeline.iloc[5 * 20]
    assert level["p_uphill"] < 0.2


def test_powertrain_learns_the_grade_from_load_and_speed():
    # a = 5.2 load*gearing - 0.13 - 4e-4 v² - g*grade, driven with changing load.
    t = np.arange(0, 600, 0.2)
    grade = np.where((t > 300) & (t < 360), 0.06, 0.0)
    load = 45 + 25 * np.sign(np.sin(2 * np.pi * t / 40)) + np.where(grade > 0, 25.0, 0.0)
    v = np.empty(t.size)
    v[0] = 18.0
    gearing = 40.0
    for i in range(1, t.size):
        a = load[i] / 100 * gearing * 0.0165 - 0.13 - 4e-4 * v[i - 1] ** 2 - 9.81 * grade[i]
        v[i] = np.clip(v[i - 1] + 0.2 * a, 8.0, 33.0)
    kmh = v * 3.6
    at = lambda values: lambda s: np.interp(s, t, values)  # noqa: E731
    samples = recording(600, speed_kmh=at(kmh), rpm=at(kmh * gearing), load_percent=at(load))
    scored = score_samples(samples, None, labels(600, confidence=0.5), CAR)
    seconds = scored.timeline["t_s"].to_numpy()
    estimate = scored.timeline["grade_percent"].to_numpy()
    up = np.nanmean(estimate[(seconds > 310) & (seconds < 350)])
    flat = np.nanmean(estimate[(seconds > 200) & (seconds < 290)])
    assert up - flat > 3.0


def test_a_policy_may_leave_doubt_but_no_policy_can_add_a_penalty():
    text = shipped_text().replace('verdict = "exonerated"', 'verdict = "undetermined"')
    lenient = parse_policy(text, source="fleet")
    seen = labels(120, lambda t: around(t, UPHILL))
    verdict = judged(seen, policy=lenient)
    assert verdict.outcome is Outcome.UNDETERMINED
    plain = judged(None)
    for seen in (labels(120), labels(120, UPHILL), labels(120, DOWNHILL)):
        assert judged(seen).points <= plain.points


def over_a_hill(steep: float = 0.06, **further):
    """`climbing` without a camera: altitude tells of a hill from 45 to 95 s."""
    metres = 60 / 3.6
    altitude = ramp((0, 100), (45, 100), (95, 100 + steep * metres * 50), (120, 150))
    high = ramp((0, 2000), (60, 2000), (61, 4000), (80, 4000), (81, 2000), (120, 2000))
    load = ramp((0, 30), (59, 30), (61, 80), (80, 80), (81, 30), (120, 30))
    return recording(
        120, speed_kmh=60.0, rpm=high, load_percent=load, gps_altitude_m=altitude, **further
    )


def test_without_video_a_measured_slope_speaks_for_the_driver():
    scored = score_samples(over_a_hill(), None, None, CAR)
    verdict = over_revving(scored)
    assert verdict.outcome is Outcome.EXONERATED
    assert (verdict.frames, verdict.frames_agree, verdict.sensors_agree) == ((), None, True)
    assert scored.timeline["scene"].iloc[5 * 70] == "uphill"
    assert scored.timeline["scene"].iloc[5 * 20] == "undetermined"  # level, but perhaps a bend
    assert scored.timeline["frame"].isna().all()
    assert score_samples(over_a_hill(0.0), None, None, CAR).verdicts[0].outcome is Outcome.KEPT


def with_barometer(samples):
    """The altitude as a phone's barometer tells it, in steps of 1 Pa."""
    altitude = samples["gps_altitude_m"]
    others = {name: signal for name, signal in samples.items() if name != "gps_altitude_m"}
    kpa = np.round(101.3 - altitude.value / 84.3, 3)
    return others | {"baro_pressure_kpa": replace(altitude, value=kpa)}


@pytest.mark.parametrize("course", [0, 1, 2])
@pytest.mark.parametrize("shown", [0, UPHILL, DOWNHILL])
def test_what_a_barometer_measured_no_camera_changes(shown: int, course: int):
    pictures = labels(120, shown, course)
    for steep, outcome in ((0.06, Outcome.EXONERATED), (0.0, Outcome.KEPT)):
        samples = with_barometer(over_a_hill(steep, coolant_temp_c=90.0))
        if steep == 0.0:
            # Half a metre of noise, as one value all the time is no measurement.
            flat = samples["baro_pressure_kpa"]
            noise = np.resize([0.0, 0.003], flat.value.size)
            samples["baro_pressure_kpa"] = replace(flat, value=flat.value + noise)
        with_camera = score_samples(samples, None, pictures, CAR)
        without_camera = score_samples(samples, None, None, CAR)
        assert over_revving(with_camera).outcome is outcome
        assert over_revving(without_camera).outcome is outcome
        p = [scored.timeline["p_uphill"] for scored in (with_camera, without_camera)]
        assert np.allclose(*p, atol=0.01)
        assert with_camera.timeline["grade_is_measured"].all()


@pytest.mark.parametrize("shown", [0, DOWNHILL])
def test_pictures_that_contradict_a_gps_leave_doubt_and_cost_nothing(shown: int):
    verdict = over_revving(score_samples(over_a_hill(), None, labels(120, shown), CAR))
    assert (verdict.outcome, verdict.points) == (Outcome.UNDETERMINED, 0.0)
    assert "disagree" in verdict.sentence


def test_pictures_that_contradict_an_inertial_sensor_leave_doubt():
    # Its tilt is the median of the trip, so two minutes of level road read as a descent after a
    # longer climb.
    felt = ramp((0, 0.5), (199, 0.5), (201, 0.0), (320, 0.0))
    high = ramp((0, 2000), (240, 2000), (241, 4000), (260, 4000), (261, 2000), (320, 2000))
    samples = recording(320, speed_kmh=60.0, rpm=high, load_percent=5.0, accel_forward_m_s2=felt)
    alone = over_revving(score_samples(samples, None, None, CAR))
    assert alone.outcome is Outcome.EXONERATED
    seen = over_revving(score_samples(samples, None, labels(320), CAR))
    assert (seen.outcome, seen.points) == (Outcome.UNDETERMINED, 0.0)


@pytest.mark.parametrize("step_at_s", [2, 30, 70, 110])
def test_whole_kilopascals_say_nothing_to_camera_and_powertrain(step_at_s: int):
    samples = recording(
        120,
        speed_kmh=60.0,
        rpm=ramp((0, 2000), (60, 2000), (61, 4000), (80, 4000), (81, 2000), (120, 2000)),
        load_percent=80.0,
    )
    seen = labels(120, lambda t: around(t, UPHILL))
    plain = score_samples(samples, None, seen, CAR)
    coarse = ramp((0, 101), (step_at_s, 101), (step_at_s + 0.1, 100), (120, 100))
    for pressure in (coarse, 101.0):
        pascals = recording(120, baro_pressure_kpa=pressure)
        scored = score_samples(samples | pascals, None, seen, CAR)
        assert over_revving(scored).outcome is over_revving(plain).outcome
        assert np.allclose(scored.timeline["p_uphill"], plain.timeline["p_uphill"])


def test_where_the_altitude_fails_the_camera_is_asked_again():
    samples = over_a_hill()
    samples |= without({"gps_altitude_m": samples["gps_altitude_m"]}, 30, 120)
    blind = over_revving(score_samples(samples, None, labels(120), CAR))
    seeing = over_revving(
        score_samples(samples, None, labels(120, lambda t: around(t, UPHILL)), CAR)
    )
    assert (blind.outcome, seeing.outcome) == (Outcome.KEPT, Outcome.EXONERATED)


def test_a_measured_slope_counts_for_nothing_when_the_road_is_switched_off():
    scored = score_samples(over_a_hill(), None, None, CAR, road_context=False)
    assert over_revving(scored).outcome is Outcome.KEPT
    assert scored.timeline["p_uphill"].isna().all()
    with_hill = score_samples(over_a_hill(), None, None, CAR)
    assert with_hill.score_without_context.value == pytest.approx(scored.score.value)


def test_without_video_braking_is_not_excused_by_a_bend_nobody_saw():
    kmh = ramp((0, 60), (60, 60), (64, 20), (120, 20))
    altitude = ramp((0, 100), (120, 100))
    samples = recording(120, speed_kmh=kmh, gps_altitude_m=altitude)
    scored = score_samples(samples, None, None, CAR)
    (braking,) = [v for v in scored.verdicts if v.event.kind is EventKind.HARSH_BRAKING]
    assert braking.outcome is Outcome.KEPT


def test_an_altitude_in_coarse_steps_proves_no_hill():
    # Whole kilopascals on a level road: one step of 84 m in the middle of the event.
    high = ramp((0, 2000), (60, 2000), (61, 4000), (80, 4000), (81, 2000), (120, 2000))
    samples = recording(
        120,
        speed_kmh=60.0,
        rpm=high,
        load_percent=80.0,
        baro_pressure_kpa=ramp((0, 101), (69.9, 101), (70, 100), (120, 100)),
    )
    assert over_revving(score_samples(samples, None, None, CAR)).outcome is not Outcome.EXONERATED


def test_metres_climbed_in_a_gap_of_the_speed_are_no_cliff():
    altitude = ramp((0, 100), (60, 100), (128, 160), (240, 160))
    whole = recording(240, speed_kmh=60.0, rpm=2000.0, gps_altitude_m=altitude)
    cut = whole | without({"speed_kmh": whole["speed_kmh"]}, 60, 128)
    assert score_samples(whole, None, None, CAR).timeline["p_uphill"].max() > 0.9
    assert score_samples(cut, None, None, CAR).timeline["p_uphill"].max() < 0.1


def test_without_video_a_bend_that_was_only_measured_excuses_nothing():
    kmh = ramp((0, 60), (60, 60), (64, 20), (120, 20))
    turning = ramp((0, 0), (58, 0), (59, 0.3), (70, 0.3), (71, 0), (120, 0))
    gently = ramp((0, 100), (120, 101))
    samples = recording(120, speed_kmh=kmh, yaw_rate_rad_s=turning, gps_altitude_m=gently)
    scored = score_samples(samples, None, None, CAR)
    (braking,) = [v for v in scored.verdicts if v.event.kind is EventKind.HARSH_BRAKING]
    assert braking.outcome is Outcome.KEPT
    assert scored.exposure.scene_coverage > 0.9  # the slope is known nearly everywhere


@pytest.mark.parametrize(("kmh", "scene"), [(20, "left_turn"), (60, "curve")])
def test_a_turn_driven_faster_than_a_turn_can_be_is_a_curve(kmh: float, scene: str):
    samples = recording(120, speed_kmh=kmh, rpm=2000.0)
    scored = score_samples(samples, None, labels(120, 0, lambda t: 2 if 20 < t < 100 else 0), CAR)
    assert scored.timeline["scene"].iloc[5 * 60] == scene
