"""What the fairness benchmark counts: whose an event was, and what became of it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from data_samples.simulator.driver import driver_of_harshness
from data_samples.simulator.road import STEP_M, Road
from data_samples.simulator.truth import TrueEvent, TrueTrip, drive_with_truth
from data_samples.simulator.vehicle import CAR
from offline.policy import load_policy
from offline.verdicts import Event, EventKind, Outcome, Verdict


@pytest.fixture(scope="module")
def fairness() -> ModuleType:
    sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
    try:
        import fairness
    finally:
        sys.path.pop(0)
    return fairness


def event(start_s: float, kind: EventKind = EventKind.OVER_REVVING) -> Event:
    return Event(kind, start_s, start_s + 5.0, 4200.0, 4000.0, "rpm", 1.2)


def verdict(of: Event, outcome: Outcome, points: float, spared: float) -> Verdict:
    return Verdict(of, outcome, "row", "uphill", 0.9, 0.9, (), True, points, spared, "why")


@pytest.fixture(scope="module")
def trip() -> TrueTrip:
    """A drive whose events are: the road's at 10 s, the driver's at 100 s, both at 200 s."""
    count = int(300 / STEP_M) + 1
    road = Road(np.zeros(count), np.zeros(count), np.full(count, 50.0))
    driven = drive_with_truth(road, CAR, driver_of_harshness(0.0), load_policy("car"), seed=0)
    return TrueTrip(
        driven.drive,
        (
            TrueEvent(event(10.0), True, False, False),
            TrueEvent(event(100.0), False, False, False),
            TrueEvent(event(200.0), True, True, False),
            TrueEvent(event(204.0), False, False, True),
        ),
    )


def test_the_truth_spares_what_the_road_alone_caused(fairness: ModuleType, trip: TrueTrip) -> None:
    judged = fairness.true_verdicts(
        trip,
        (
            verdict(event(11.0), Outcome.KEPT, 2.0, 0.0),
            verdict(event(99.0), Outcome.EXONERATED, 0.0, 3.0),
            verdict(event(203.0), Outcome.UNDETERMINED, 0.0, 4.0),
            verdict(event(280.0), Outcome.UNDETERMINED, 0.0, 5.0),
            verdict(event(10.0, EventKind.IDLING), Outcome.KEPT, 6.0, 0.0),
        ),
    )
    # What touches an event of each is the driver's, and so is what nobody caused.
    assert [each.points for each in judged] == [0.0, 3.0, 4.0, 5.0, 6.0]


def test_each_true_event_is_counted_once_with_what_became_of_it(
    fairness: ModuleType, trip: TrueTrip
) -> None:
    found = fairness.compare(
        trip,
        (
            verdict(event(12.0), Outcome.EXONERATED, 0.0, 2.0),
            verdict(event(13.0), Outcome.KEPT, 2.0, 0.0),
            verdict(event(98.0), Outcome.EXONERATED, 0.0, 2.0),
        ),
    )
    # Of two detections of one event the one that costs counts.
    assert found.road == {"kept": 1, "missed": 1}
    assert found.driver == {"exonerated": 1, "missed": 1}
    assert found.both == {"missed": 1}
    assert found.clear == {"kept": 1}


def test_a_networks_row_is_the_same_whichever_others_are_asked(fairness: ModuleType) -> None:
    asked = {
        accuracies: fairness.run(fairness.Task(1, 2, 0.8, "mountain", 3, accuracies, "car"))
        for accuracies in ((0.85,), (None, 0.6, 0.85))
    }
    alone, among = (figures.outcomes[0.85] for figures in asked.values())
    assert sum(alone.by_kind.values()) > 0
    assert alone == among
