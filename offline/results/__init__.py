"""The result store: what the scoring stage writes and the dashboard reads."""

from offline.results.rows import (
    FailedTrip,
    PastResult,
    Period,
    Standing,
    StoredTrip,
    TripFilter,
    TripRow,
    VehicleEvent,
)
from offline.results.store import ResultStore

__all__ = [
    "FailedTrip",
    "PastResult",
    "Period",
    "ResultStore",
    "Standing",
    "StoredTrip",
    "TripFilter",
    "TripRow",
    "VehicleEvent",
]
