"""The score: the documented example, the prior, the parts, and what must always hold."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.policy import load_policy
from offline.score import (
    PARTS,
    Totals,
    fit_prior,
    score,
    score_from_totals,
    trip_totals,
)
from offline.verdicts import Event, EventKind, Exposure, Outcome, Verdict

CAR = load_policy("car")
DOC = Path(__file__).parents[2] / "docs" / "scoring.md"


def exposure(km: float = 40.0, **changes) -> Exposure:
    amount = km / 100.0
    usual = Exposure(
        distance_km=km,
        duration_s=km * 72.0,
        moving_s=km * 65.0,
        engine_on_s=km * 72.0,
        speed_coverage=1.0,
        scene_coverage=0.9,
        by_kind={kind.value: amount for kind in EventKind},
    )
    return replace(usual, **changes)


def verdict(kind: EventKind, severity: float, outcome: Outcome = Outcome.KEPT) -> Verdict:
    cost = CAR.events.of(kind).points * severity
    kept = outcome is Outcome.KEPT
    event = Event(kind, 10.0, 14.0, 1.0, 1.0, "", severity)
    return Verdict(event, outcome, "", "", None, None, (), None, cost * kept, cost * (not kept), "")


def test_the_worked_example_of_the_documentation():
    text = DOC.read_text("utf-8").split("## A worked example")[1].split("\n## ")[0]

    def number(label: str) -> float:
        found = re.search(rf"^\| {re.escape(label)} \|.*?([\d.]+) \|$", text, re.MULTILINE)
        assert found, f"docs/scoring.md lacks {label}"
        return float(found.group(1))

    verdicts = [
        verdict(EventKind.HARSH_BRAKING, 1.5),
        verdict(EventKind.OVER_REVVING, 2.0, Outcome.EXONERATED),
        verdict(EventKind.IDLING, 3.0),
    ]
    found = score(verdicts, exposure(40.0), CAR)
    without = score(verdicts, exposure(40.0), CAR, road_context=False)
    assert found.value == pytest.approx(number("score"), abs=0.05)
    assert found.low == pytest.approx(number("lower end"), abs=0.05)
    assert found.high == pytest.approx(number("upper end"), abs=0.05)
    assert without.value == pytest.approx(number("score without road context"), abs=0.05)
    for part, label in (("smoothness", "smoothness"), ("economy", "economy")):
        assert found.parts[part] == pytest.approx(number(label), abs=0.05)
    assert found.band == re.search(r"band ([A-E])", text).group(1)


def test_the_documentation_names_the_policys_numbers():
    text = DOC.read_text("utf-8")
    for kind in EventKind:
        assert f"`{kind.value}`" in text
    assert f"{CAR.score.half_points:g}" in text


def test_the_parts_multiply_to_the_score():
    verdicts = [verdict(kind, 1.3) for kind in EventKind]
    found = score(verdicts, exposure(), CAR)
    product = 100.0
    for part in PARTS:
        product *= found.parts[part] / 100.0
    assert found.value == pytest.approx(product)


def test_every_kind_belongs_to_one_part():
    kinds = [kind for part in PARTS.values() for kind in part]
    assert sorted(kinds) == sorted(EventKind)


def test_a_short_trip_says_little():
    short, long = (score([], exposure(km), CAR) for km in (1.0, 400.0))
    assert short.high - short.low > 3 * (long.high - long.low)
    assert short.low < short.value < short.high
    assert long.value > short.value


def test_unmeasured_parts_are_not_invented():
    by_kind = {kind.value: 0.4 for kind in EventKind}
    for kind in PARTS["engine_care"]:
        by_kind[kind.value] = 0.0
    found = score([], exposure(by_kind=by_kind), CAR)
    assert found.parts["engine_care"] is None
    assert found.value < score([], exposure(), CAR).value


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"distance_km": 0.1}, "0.1 km driven"),
        ({"speed_coverage": 0.3}, "speed known for 30%"),
        ({"speed_coverage": 0.0}, "no vehicle speed"),
        ({"judged": 0.2}, "20% of the driving could be judged"),
    ],
)
def test_no_score_says_why(changes: dict, told: str):
    found = score([], exposure(**changes), CAR)
    assert found.value is None
    assert found.band is None
    assert told in found.reason


def test_a_period_needs_more_than_a_trip():
    totals = trip_totals([], exposure(10.0))
    assert score_from_totals(totals, CAR).value is None
    assert score_from_totals(totals, CAR, min_distance_km=5.0).value is not None


def test_splitting_a_trip_in_two_scores_as_the_whole():
    events = [verdict(kind, 1.7) for kind in EventKind]
    whole = trip_totals(events, exposure(80.0))
    parts = trip_totals(events[:4], exposure(30.0)) + trip_totals(events[4:], exposure(50.0))
    one, two = (score_from_totals(t, CAR, min_distance_km=0.0) for t in (whole, parts))
    assert two.value == pytest.approx(one.value, rel=1e-12)
    assert two.low == pytest.approx(one.low, rel=1e-9)


@given(
    st.lists(
        st.tuples(st.sampled_from(list(EventKind)), st.floats(1.0, 3.0)), min_size=1, max_size=8
    ),
    st.data(),
    st.floats(0.5, 500.0),
)
def test_an_added_exoneration_never_lowers_a_score(events, data, km):
    which = data.draw(st.integers(0, len(events) - 1))
    before = [verdict(kind, severity) for kind, severity in events]
    after = [
        verdict(kind, severity, Outcome.EXONERATED if i == which else Outcome.KEPT)
        for i, (kind, severity) in enumerate(events)
    ]
    low, high = (score(v, exposure(km), CAR) for v in (before, after))
    assert high.value >= low.value
    without = score(after, exposure(km), CAR, road_context=False)
    assert without.value == pytest.approx(low.value)
    assert all(high.parts[part] >= low.parts[part] for part in PARTS)


def test_totals_of_nothing_have_no_score():
    assert score_from_totals(Totals(), CAR).reason == "no vehicle speed was recorded"


def test_the_fleets_prior_is_found_again():
    import numpy as np

    rng = np.random.default_rng(1)
    rate, weight = 2.0, 0.8
    trips = []
    for _ in range(4000):
        true = rng.gamma(rate * weight, 1 / weight)
        driven = rng.uniform(0.1, 1.0)
        trips.append({"harsh_braking": (float(rng.poisson(true * driven)), driven)})
    rates, found = fit_prior(trips)
    assert rates["harsh_braking"] == pytest.approx(rate, rel=0.1)
    assert found == pytest.approx(weight, rel=0.2)
