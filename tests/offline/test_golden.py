"""Golden recordings are replayed and compared with tolerances.

The recordings are in `golden/`, with what makes them; a change of result is a decision.
"""

from __future__ import annotations

import json

import pytest

from .golden.make_golden import HERE, TRIPS, replay, summary


@pytest.mark.parametrize("name", TRIPS)
def test_golden_trip(name: str):
    expected = json.loads((HERE / f"{name}.json").read_text("utf-8"))
    found = summary(replay(name))
    assert found["score"] == pytest.approx(expected["score"], abs=0.5)
    assert found["score_without_context"] == pytest.approx(
        expected["score_without_context"], abs=0.5
    )
    assert found["distance_km"] == pytest.approx(expected["distance_km"], rel=0.002)
    assert found["scene_coverage"] == pytest.approx(expected["scene_coverage"], abs=0.02)
    assert len(found["verdicts"]) == len(expected["verdicts"])
    for one, other in zip(found["verdicts"], expected["verdicts"], strict=True):
        assert (one["kind"], one["outcome"], one["rule"]) == (
            other["kind"],
            other["outcome"],
            other["rule"],
        )
        assert one["start_s"] == pytest.approx(other["start_s"], abs=0.4)
        assert one["end_s"] == pytest.approx(other["end_s"], abs=0.4)
        assert one["peak"] == pytest.approx(other["peak"], rel=0.01)


def test_the_golden_trips_hold_every_outcome():
    outcomes = set()
    for name in TRIPS:
        verdicts = json.loads((HERE / f"{name}.json").read_text("utf-8"))["verdicts"]
        outcomes |= {verdict["outcome"] for verdict in verdicts}
    assert outcomes == {"kept", "exonerated", "undetermined"}
