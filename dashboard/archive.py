"""What the pages read: the result store, with the last opened timelines at hand."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from threading import Lock
from typing import Final

import pandas as pd
import sqlalchemy as sa

from offline.errors import StoreError
from offline.results import schema
from offline.results.rows import StoredTrip
from offline.results.store import ResultStore
from offline.verdicts import Verdict

TRIPS_AT_HAND: Final = 6
"""Timelines kept in memory a worker: about 40 MB for a day's drive at 5 Hz, 1 MB for an hour's."""


class TripAbsentError(StoreError):
    """The store has no such trip, or has no more; the page says so."""


class OpenTrip:
    """A trip with its events, timeline and labels, as one scoring left them."""

    def __init__(
        self,
        stored: StoredTrip,
        verdicts: tuple[Verdict, ...],
        timeline: pd.DataFrame,
        labels: pd.DataFrame,
    ) -> None:
        self.stored = stored
        self.verdicts = verdicts
        self.timeline = timeline
        self.labels = labels


class Archive:
    """Reads a result store for the pages; safe for the threads of one worker."""

    def __init__(self, store: ResultStore) -> None:
        self.store = store
        self._lock = Lock()
        self._at_hand: OrderedDict[tuple[str, int], OpenTrip] = OrderedDict()

    def trip(self, trip_id: str) -> StoredTrip:
        """Return one trip.

        Raises
        ------
        TripAbsentError
            If the store has none of that name.
        """
        trips = schema.trips.c
        known = sa.select(trips.id).where(
            trips.trip_id == trip_id, trips.variant == schema.STANDARD
        )
        # The id came from a browser: only one that the store lists leads to a file.
        with self.store.transaction() as connection:
            if connection.execute(known).first() is None:
                raise TripAbsentError(f"the store has no trip {trip_id}")
        return self.store.trip(trip_id)

    def open(self, trip_id: str) -> OpenTrip:
        """Return a trip with its events, timeline and labels.

        Raises
        ------
        TripAbsentError
            If the store has none of that name.
        """
        stored = self.trip(trip_id)
        # Scored again means another instant of scoring: nothing stale is ever shown.
        key = (trip_id, stored.scored_utc_ns)
        with self._lock:
            if key in self._at_hand:
                self._at_hand.move_to_end(key)
                return self._at_hand[key]
        opened = OpenTrip(
            stored,
            self.store.events(trip_id),
            self.store.timeline(trip_id),
            self.store.labels(trip_id),
        )
        with self._lock:
            self._at_hand[key] = opened
            while len(self._at_hand) > TRIPS_AT_HAND:
                self._at_hand.popitem(last=False)
        return opened

    def intervals(self, trip_ids: Sequence[str]) -> dict[str, tuple[float, float]]:
        """Return the intervals of some trips' scores, in one query."""
        trips, scores = schema.trips.c, schema.scores.c
        query = (
            sa.select(trips.trip_id, scores.low, scores.high)
            .join_from(schema.trips, schema.scores, scores.trip == trips.id)
            .where(
                trips.trip_id.in_(trip_ids),
                trips.variant == schema.STANDARD,
                scores.with_road_context,
                scores.low.is_not(None),
                scores.high.is_not(None),
            )
        )
        with self.store.transaction() as connection:
            return {row[0]: (row[1], row[2]) for row in connection.execute(query)}
