"""Retention: which trips go first."""

from __future__ import annotations

import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from onboard.disk import Limits, StoredTrip, make_room, stored_trips, sweep, to_delete
from onboard.trip import TripWriter

DAY_S = 86_400.0


def trip(name: str, age_days: float, *, sent: bool = True, locked: bool = False) -> StoredTrip:
    return StoredTrip(Path(name), -age_days * DAY_S, 100, sent, locked)


def chosen(trips: list[StoredTrip], free: float = 1e9, **limits: float) -> list[str]:
    given_limits = {"keep_s": 90 * DAY_S, "keep_bytes": 1e9, "delete_below_bytes": 1000} | limits
    return [t.path.name for t, _ in to_delete(trips, Limits(**given_limits), free, 0.0)]


def test_nothing_goes_while_there_is_room() -> None:
    assert chosen([trip("a", 10), trip("b", 1)]) == []


def test_by_age_only_sent_ones() -> None:
    trips = [trip("old", 100), trip("unsent", 200, sent=False), trip("new", 1)]
    assert chosen(trips) == ["old"]


def test_by_size_oldest_first_and_no_more_than_needed() -> None:
    trips = [trip("a", 3), trip("b", 2), trip("c", 1)]
    assert chosen(trips, keep_bytes=200) == ["a"]
    assert chosen(trips, keep_bytes=150) == ["a", "b"]


def test_a_full_disk_takes_sent_ones_before_older_unsent_ones() -> None:
    trips = [trip("unsent", 9, sent=False), trip("sent", 1), trip("locked", 99, locked=True)]
    assert chosen(trips, free=950) == ["sent"]
    assert chosen(trips, free=850) == ["sent", "unsent"]
    assert chosen(trips, free=0) == ["sent", "unsent"]


def test_the_loss_of_an_unsent_trip_is_said() -> None:
    limits = Limits(90 * DAY_S, 1e9, 1000)
    ((_, why),) = to_delete([trip("a", 1, sent=False)], limits, 0.0, 0.0)
    assert "NOT SENT YET" in why


@given(
    st.lists(
        st.builds(
            StoredTrip,
            st.just(Path("t")),
            st.floats(-1e8, 0),
            st.integers(1, 1000),
            st.booleans(),
            st.booleans(),
        ),
        max_size=12,
    ),
    st.floats(0, 5000),
)
def test_never_a_locked_one_and_never_an_unsent_one_before_a_sent_one(
    trips: list[StoredTrip], free: float
) -> None:
    gone = [t for t, _ in to_delete(trips, Limits(1e7, 3000, 1000), free, 0.0)]
    assert not any(t.locked for t in gone)
    assert [t.sent for t in gone] == sorted((t.sent for t in gone), reverse=True)
    for sent in (True, False):
        ages = [t.closed_s for t in gone if t.sent is sent]
        assert ages == sorted(ages)


def test_on_a_real_disk(tmp_path: Path) -> None:
    paths = []
    for number in range(3):
        writer = TripWriter.create(tmp_path, vehicle="v", driver="d", trip_id=f"t{number}")
        writer.close("test")
        os.utime(writer.path / "manifest.json", (1000 + number, 1000 + number))
        paths.append(writer.path)
    still_open = TripWriter.create(tmp_path, vehicle="v", driver="d", trip_id="open")
    (paths[0] / "sent.json").write_text("{}")
    (paths[1] / "locked").touch()
    assert [t.path for t in stored_trips(tmp_path)] == paths
    (line,) = make_room(tmp_path, Limits(60.0, 1e12, 0.0))
    assert "deleted t0" in line
    assert "older than" in line
    assert [t.path for t in stored_trips(tmp_path)] == paths[1:]
    lines = make_room(tmp_path, Limits(1e12, 0.0, 0.0))
    assert ["t2" in line for line in lines] == [True]
    assert [t.path for t in stored_trips(tmp_path)] == [paths[1]]
    still_open.close("test")
    (tmp_path / "v" / ".half.deleted").mkdir()
    sweep(tmp_path)
    assert sorted(p.name for p in (tmp_path / "v").iterdir()) == ["open", "t1"]
