"""Events: pure functions from a timeline to the stretches that a policy may cost points for."""

from __future__ import annotations

import pandas as pd

from offline.events.engine import (
    coasting,
    cold_engine_revving,
    idling,
    over_revving,
    overheating,
    sustained_pull,
)
from offline.events.motion import harsh_acceleration, harsh_braking, speeding
from offline.policy import Policy
from offline.verdicts import Event

DETECTORS = (
    harsh_acceleration,
    harsh_braking,
    over_revving,
    sustained_pull,
    idling,
    speeding,
    cold_engine_revving,
    overheating,
    coasting,
)


def detect(timeline: pd.DataFrame, policy: Policy) -> list[Event]:
    """Find every event of a trip, in order of time.

    Parameters
    ----------
    timeline : DataFrame
        From `offline.timeline.build_timeline`.
    policy : Policy
        Limits of the vehicle class.
    """
    events = [event for detector in DETECTORS for event in detector(timeline, policy)]
    return sorted(events, key=lambda event: (event.start_s, event.kind.value))


__all__ = ["DETECTORS", "detect"]
