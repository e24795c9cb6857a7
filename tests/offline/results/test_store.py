"""The store gives back what was put in, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from offline.errors import StoreError
from offline.policy import Policy, load_policy
from offline.results import Period, ResultStore, Standing, TripFilter
from offline.results.rows import FailedTrip
from offline.results.schema import NO_ROAD_CONTEXT, metadata
from offline.results.staging import labels_frame, stage
from offline.score import Totals, score_from_totals, trip_totals
from offline.verdicts import SWITCHED_OFF, EventKind, Outcome, Score, TripResult

MakeResult = Callable[..., TripResult]
STILLS = [(frame, b"\xff\xd8 jpeg %d" % frame) for frame in range(0, 1800, 15)]


@pytest.fixture
def store(store_url: str, tmp_path: Path) -> Iterator[ResultStore]:
    with ResultStore.open(store_url, tmp_path / "results") as opened:
        yield opened


def result_files(store: ResultStore) -> list[str]:
    return sorted(store.files.names())


def test_a_result_is_given_back_as_it_was_put(store: ResultStore, make_result: MakeResult) -> None:
    result = make_result(3)
    store.put(result, STILLS)

    trip = store.trip(result.trip_id)
    for name in (
        "trip_id", "trip_path", "vehicle", "vehicle_class", "driver", "started_utc_ns", "origin",
        "road_context", "exposure", "score", "score_without_context", "provenance",
    ):  # fmt: skip
        assert getattr(trip, name) == getattr(result, name), name
    assert store.events(result.trip_id) == result.verdicts
    pd.testing.assert_frame_equal(store.timeline(result.trip_id), result.timeline)
    assert result.labels is not None
    pd.testing.assert_frame_equal(store.labels(result.trip_id), labels_frame(result.labels))
    assert store.still_frames(result.trip_id) == [frame for frame, _ in STILLS]
    assert store.still(result.trip_id, 45) == b"\xff\xd8 jpeg 45"
    assert store.still(result.trip_id, 46) is None


def test_missing_values_stay_missing(store: ResultStore, make_result: MakeResult) -> None:
    result = make_result(1)
    store.put(result)
    timeline = store.timeline(result.trip_id, ["t_s", "speed_kmh", "gear", "engine_on"])
    assert list(timeline.columns) == ["t_s", "speed_kmh", "gear", "engine_on"]
    assert timeline["speed_kmh"].isna().sum() == (timeline["t_s"] > 30).sum() > 0
    assert timeline["gear"].isna().tolist()[:2] == [True, False]
    assert timeline["engine_on"].isna().tolist()[:2] == [True, False]
    assert store.events(result.trip_id)[2].probability is None


def test_a_trip_without_camera_clock_driver_and_score_is_stored(
    store: ResultStore, make_result: MakeResult
) -> None:
    no_score = replace(make_result().score, value=None, band=None, low=None, high=None, reason="x")
    result = make_result(
        2, driver="", started_utc_ns=None, labels=None, road_context="no video",
        score=no_score, score_without_context=no_score, verdicts=(), timeline=pd.DataFrame(),
    )  # fmt: skip
    store.put(result)
    trip = store.trip(result.trip_id)
    assert (trip.has_timeline, trip.has_labels, trip.has_stills) == (False, False, False)
    assert trip.score == no_score
    assert store.timeline(result.trip_id, ["t_s"]).empty
    assert store.still(result.trip_id, 0) is None
    assert store.drivers() == []
    assert result_files(store) == []


def test_rescoring_replaces_the_result_and_keeps_the_old_one_with_what_changed(
    store: ResultStore, make_result: MakeResult
) -> None:
    result = make_result(4)
    store.put(result, STILLS)
    first_files = result_files(store)
    braking, revving, _ = result.verdicts
    newer = replace(
        result,
        score=replace(result.score, value=91.0, band="A"),
        verdicts=(replace(braking, points=5.0), replace(revving, outcome=Outcome.KEPT)),
        provenance=replace(result.provenance, policy_sha256="q" * 64),
    )
    store.put(newer)

    assert store.trip(result.trip_id).score.value == 91.0
    assert store.events(result.trip_id) == newer.verdicts
    assert store.count_trips() == 1
    # The old timeline, labels and stills are gone, the new timeline and labels are there.
    assert len(result_files(store)) == 2
    assert not set(result_files(store)) & set(first_files)
    (past,) = store.history(result.trip_id)
    assert past.result["score"]["value"] == result.score.value
    assert past.result["provenance"]["policy_sha256"] == "p" * 64
    assert len(past.result["verdicts"]) == 3
    assert past.changes == [
        "score 84.0 is now 91.0",
        "harsh braking at 5 s cost 4.00 points, now costs 5.00",
        "over revving at 20 s was exonerated, is now kept",
        "sustained pull at 40 s is no event any more (was undetermined)",
    ]


def test_a_scoring_without_road_context_stands_beside_and_counts_nowhere(
    store: ResultStore, make_result: MakeResult
) -> None:
    result = make_result(5)
    without = replace(result, road_context=SWITCHED_OFF, score=result.score_without_context)
    store.put(result)
    store.put(without)
    assert store.trip(result.trip_id).score.value == 85.0
    assert store.trip(result.trip_id, NO_ROAD_CONTEXT).score.value == 70.0
    assert [row.score for row in store.trips()] == [85.0]
    assert [s.trips for s in store.drivers()] == [1]
    assert len(store.vehicle_events("van-1")) == 3


def test_lists_are_filtered_sorted_and_cut(store: ResultStore, make_result: MakeResult) -> None:
    for number in range(12):
        store.put(
            make_result(
                number,
                vehicle=f"van-{number % 3}",
                driver="ann" if number % 2 else "bob_1",
                verdicts=make_result().verdicts[: number % 3],
            )
        )

    def numbers(filters: TripFilter, order: str = "started", **cut: int) -> list[int]:
        return [int(row.trip_id[-5:]) for row in store.trips(filters, order, **cut)]

    everything = TripFilter()
    assert numbers(everything) == list(range(12))
    assert numbers(everything, "-started", limit=3, offset=1) == [10, 9, 8]
    assert numbers(TripFilter(driver="ann"), "-score") == [11, 9, 7, 5, 3, 1]
    assert numbers(TripFilter(text="VAN-2")) == [2, 5, 8, 11]
    assert numbers(TripFilter(text="b_1")) == [0, 2, 4, 6, 8, 10]
    assert numbers(TripFilter(text="a%")) == []
    assert numbers(TripFilter(with_event=EventKind.OVER_REVVING)) == [2, 5, 8, 11]
    # Four trips a day from 1 January on: the second day holds the trips 4 to 7.
    second = Period(date(2026, 1, 2), date(2026, 1, 2))
    assert numbers(TripFilter(period=second)) == [4, 5, 6, 7]
    assert store.count_trips(TripFilter(period=second, driver="ann")) == 2
    with pytest.raises(StoreError, match="cannot be sorted by 'points; DROP'"):
        store.trips(order="points; DROP")


def test_trips_without_the_sorted_value_come_last_on_every_page(
    store: ResultStore, make_result: MakeResult
) -> None:
    for number in range(7):
        undated = {"started_utc_ns": None} if number % 2 else {}
        store.put(make_result(number, verdicts=(), timeline=pd.DataFrame(), **undated))
    expected = [6, 4, 2, 0, 1, 3, 5]
    for size in (1, 2, 3, 4, 7, 9):
        pages = [store.trips(order="-started", limit=size, offset=o) for o in range(0, 12, size)]
        assert [int(row.trip_id[-5:]) for page in pages for row in page] == expected, size
    assert len(store.trips(limit=None)) == 7


def expected_scores(results: list[TripResult], policy: Policy) -> tuple[Score, Score]:
    """What the documented formula makes of the trips' sums."""
    return tuple(
        score_from_totals(
            sum(
                (trip_totals(r.verdicts, r.exposure, road_context=context) for r in results),
                Totals(),
            ),
            policy,
        )
        for context in (True, False)
    )


def assert_scored(standing: Standing, results: list[TripResult], policy: Policy) -> None:
    score, without = expected_scores(results, policy)
    found = (standing.score, standing.low, standing.high, standing.score_without_context)
    assert found == pytest.approx((score.value, score.low, score.high, without.value))
    assert (standing.band, standing.reason) == (score.band, score.reason)
    assert standing.trips == len(results)
    assert standing.distance_km == pytest.approx(sum(r.exposure.distance_km for r in results))


def fleet_of(make_result: MakeResult, policy: Policy, number: int) -> list[TripResult]:
    """Trips of three drivers in two vehicles, scored with a policy, each unlike the others."""
    made = []
    for n in range(number):
        result = make_result(n, driver=f"d{n % 3}", vehicle=f"v{n % 2}")
        by_kind = {kind: 0.1 + 0.01 * n for kind in EventKind if kind != EventKind.OVERHEATING}
        made.append(
            replace(
                result,
                exposure=replace(result.exposure, by_kind=by_kind, judged=0.99),
                verdicts=tuple(
                    replace(v, points=v.points * (n % 5), points_spared=v.points_spared + n % 4)
                    for v in result.verdicts[: n % 4]
                ),
                provenance=replace(result.provenance, policy_sha256=policy.sha256),
                timeline=pd.DataFrame(),
                labels=None,
            )
        )
    return made


def test_periods_are_scored_by_the_formula_whatever_was_replaced(
    store: ResultStore, make_result: MakeResult
) -> None:
    policy = load_policy("car")
    results = fleet_of(make_result, policy, 130)
    store.commit([stage(result, store.files, policy=policy) for result in results])
    # One trip moves to another driver and loses its own score.
    moved = replace(results[7], driver="d0", score=replace(results[7].score, value=None))
    store.put(moved)
    results[7] = moved

    january = [r for r in results if r.started_utc_ns < Period.month(2026, 2).utc_ns()[0]]
    assert 100 < len(january) < 130
    ranked = store.leaderboard(2026, 1)
    assert [s.name for s in ranked] == [
        s.name for s in sorted(ranked, key=lambda s: -(s.score or 0))
    ]
    assert len({s.score for s in ranked}) == 3
    assert len({s.score_without_context for s in ranked} - {s.score for s in ranked}) == 3
    for standing in ranked:
        own = [r for r in january if r.driver == standing.name]
        assert_scored(standing, own, policy)
        assert standing.scored_trips == len(own) - (standing.name == "d0")
        spared = sum(v.points_spared for r in own for v in r.verdicts)
        assert standing.points_spared == pytest.approx(spared)
    # Days, months and all time; a year in months.
    by_days = store.drivers(Period(date(2026, 1, 1), date(2027, 6, 3)))
    for standings in (by_days, store.drivers(Period.year(2026)), store.drivers()):
        for standing in standings:
            assert_scored(standing, [r for r in results if r.driver == standing.name], policy)
    for standing in store.vehicles(Period(date(2026, 1, 2), date(2026, 1, 20))):
        low, high = Period(date(2026, 1, 2), date(2026, 1, 20)).utc_ns()
        own = [r for r in results if r.vehicle == standing.name]
        assert_scored(standing, [r for r in own if low <= r.started_utc_ns < high], policy)
    year = store.driver_year("d1", 2026)
    assert [s.month for s in year] == [date(2026, 1, 1), date(2026, 2, 1)]
    assert_scored(year[0], [r for r in january if r.driver == "d1"], policy)
    # A computation from nothing agrees.
    before = [ranked, store.vehicles(), by_days]
    store.rebuild_summaries()
    after = [
        store.leaderboard(2026, 1),
        store.vehicles(),
        store.drivers(Period(date(2026, 1, 1), date(2027, 6, 3))),
    ]
    for old, new in zip(before, after, strict=True):
        for one, other in zip(old, new, strict=True):
            assert (one.name, one.reason) == (other.name, other.reason)
            assert (one.score, one.low) == pytest.approx((other.score, other.low))
            assert (one.trips, one.points) == (other.trips, pytest.approx(other.points))


def test_a_period_is_scored_under_the_policy_of_its_latest_trip(
    store: ResultStore, make_result: MakeResult
) -> None:
    car = load_policy("car")
    document = car.model_dump(mode="json")
    document["score"]["half_points"] = 60.0
    stricter = Policy.model_validate(document)
    results = fleet_of(make_result, car, 9)
    # The latest trip is stored first, and one of a policy that the store never saw in between.
    last = results[8]
    last = replace(last, provenance=replace(last.provenance, policy_sha256=stricter.sha256))
    unknown = replace(results[4], provenance=replace(results[4].provenance, policy_sha256="u" * 64))
    store.put(last, policy=stricter)
    store.put(unknown)
    for result in (*results[:4], *results[5:8]):
        store.put(result, policy=car)
    (mixed,) = [s for s in store.vehicles() if s.name == "v0"]
    assert_scored(mixed, [r for r in results if r.vehicle == "v0"], stricter)

    store.put(replace(last, provenance=replace(last.provenance, policy_sha256="x" * 64)))
    lost = store.leaderboard(2026, 1)[-1]
    assert (lost.name, lost.score, lost.band, lost.low) == ("d2", None, None, None)
    assert "lacks the policy xxxxxxxxxxxx" in lost.reason
    assert lost.trips == 3


def test_too_little_driving_has_no_score_and_says_so(
    store: ResultStore, make_result: MakeResult
) -> None:
    policy = load_policy("car")
    result = make_result(1, timeline=pd.DataFrame(), labels=None)
    provenance = replace(result.provenance, policy_sha256=policy.sha256)
    store.put(replace(result, provenance=provenance), policy=policy)
    (standing,) = store.drivers()
    assert (standing.score, standing.band, standing.scored_trips) == (None, None, 1)
    assert standing.reason == "only 11.0 km driven, at least 50 km needed"
    assert store.leaderboard(2026, 1, min_km=12.0) == []


def test_a_store_of_older_software_is_brought_up_to_date(
    store_url: str, tmp_path: Path, make_result: MakeResult
) -> None:
    result = make_result(3)
    by_kind = {"harsh_braking": 0.25, "idling": 0.0}
    result = replace(result, exposure=replace(result.exposure, by_kind=by_kind))
    with ResultStore.open(store_url, tmp_path) as store:
        store.put(result)
    # Back to the tables of the first release, as far as the trip is concerned.
    engine = sa.create_engine(
        store_url.replace("postgresql:", "postgresql+psycopg:"), isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        for statement in (
            "ALTER TABLE exposure ADD COLUMN by_kind JSON",
            """UPDATE exposure SET by_kind = '{"harsh_braking": 0.25, "idling": 0.0}'""",
            *(f"ALTER TABLE exposure DROP COLUMN exposure_{kind}" for kind in EventKind),
            "ALTER TABLE trips DROP COLUMN profile_sha256",
            "DROP TABLE policies",
            "UPDATE alembic_version SET version_num = '0001'",
        ):
            connection.exec_driver_sql(statement)
    engine.dispose()
    with pytest.raises(StoreError, match="has schema 0001: run `gradewise-offline score`"):
        ResultStore.open(store_url, tmp_path, read_only=True)
    with ResultStore.open(store_url, tmp_path) as store:
        assert store.trip(result.trip_id).exposure == result.exposure
        assert store.events(result.trip_id) == result.verdicts
        assert [(s.name, s.trips, s.points) for s in store.drivers()] == [("ann", 1, 4.0)]
        with store.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []


def test_events_of_a_vehicle_come_latest_first(store: ResultStore, make_result: MakeResult) -> None:
    for number in (0, 1, 200):
        store.put(make_result(number))
    events = store.vehicle_events("van-1", Period.month(2026, 1))
    assert [(e.trip_id[-1], e.number) for e in events] == [
        ("1", 2), ("1", 1), ("1", 0), ("0", 2), ("0", 1), ("0", 0),
    ]  # fmt: skip
    assert events[0].verdict == make_result(1).verdicts[2]


def test_a_trip_set_aside_is_listed_until_it_is_scored_or_forgotten(
    store: ResultStore, make_result: MakeResult
) -> None:
    result = make_result(1)
    failed = FailedTrip(result.trip_path, "standard", "crash", "killed", 3, 5, "f")
    store.set_aside(failed)
    store.set_aside(replace(failed, attempts=4))
    store.set_aside(replace(failed, trip_path="/trips/other"))
    assert [(f.trip_path, f.attempts) for f in store.failed()] == [
        ("/trips/other", 3),
        (result.trip_path, 4),
    ]
    store.put(result)
    assert [f.trip_path for f in store.failed()] == ["/trips/other"]
    assert store.forget_failed() == 1


def test_results_are_committed_all_or_none(store: ResultStore, make_result: MakeResult) -> None:
    good = stage(make_result(1), store.files, STILLS)
    bad = stage(make_result(2, vehicle=None), store.files)
    with pytest.raises(StoreError):
        store.commit([good, bad])
    assert store.count_trips() == 0
    assert result_files(store) == []


def test_a_sweep_removes_only_what_no_trip_names(
    store: ResultStore, make_result: MakeResult
) -> None:
    store.put(make_result(1), STILLS)
    kept = result_files(store)
    stage(make_result(2), store.files, STILLS)
    (store.files.folder / "timelines" / ".half.parquet.tmp").write_bytes(b"PAR1")
    assert store.sweep() == 4
    assert result_files(store) == kept


def test_a_reader_cannot_write_and_needs_a_store(
    store_url: str, tmp_path: Path, make_result: MakeResult
) -> None:
    with pytest.raises(StoreError, match="gradewise-offline score"):
        ResultStore.open(store_url, tmp_path, read_only=True)
    with ResultStore.open(store_url, tmp_path) as writer:
        writer.put(make_result(1))
        with ResultStore.open(store_url, tmp_path, read_only=True) as reader:
            assert reader.count_trips() == 1
            with pytest.raises(StoreError, match=r"read-?only"):
                reader.forget_failed()


def test_the_migrations_make_the_tables_that_the_code_uses(store: ResultStore) -> None:
    with store.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_store_of_newer_software_is_refused(store_url: str, tmp_path: Path) -> None:
    with ResultStore.open(store_url, tmp_path) as store, store.transaction() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0999'"))
    with pytest.raises(StoreError, match="schema 0999"):
        ResultStore.open(store_url, tmp_path)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("nonsense", "is no store URL"),
        ("mysql://host/db", "SQLite or PostgreSQL, not mysql"),
        ("sqlite://", "gone when the program ends"),
        ("sqlite:////proc/nowhere/store.sqlite", "cannot make the store's folder"),
        ("postgresql://nobody@/none?host=/nonexistent", "cannot open the store"),
    ],
)
def test_a_bad_address_is_one_clear_line(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=message):
        ResultStore.open(url, tmp_path)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("shopping list\n" * 100)
    with pytest.raises(StoreError, match="file is not a database"):
        ResultStore.open(f"sqlite:///{path}", tmp_path)
    assert path.read_text() == "shopping list\n" * 100


def test_two_writers_take_turns(tmp_path: Path, make_result: MakeResult) -> None:
    url = f"sqlite:///{tmp_path / 's.sqlite'}"
    with ResultStore.open(url, tmp_path) as one, ResultStore.open(url, tmp_path) as other:
        for number in range(10):
            (one if number % 2 else other).put(make_result(number))
        assert one.count_trips() == 10


def test_a_results_folder_may_be_an_object_store(tmp_path: Path, make_result: MakeResult) -> None:
    url = f"sqlite:///{tmp_path / 's.sqlite'}"
    with ResultStore.open(url, "memory://bucket/results") as store:
        result = make_result(1)
        store.put(result, STILLS)
        store.put(result, STILLS)
        pd.testing.assert_frame_equal(store.timeline(result.trip_id), result.timeline)
        assert store.still(result.trip_id, 15) == b"\xff\xd8 jpeg 15"
        assert len(store.files.names()) == 3
        assert store.sweep() == 0


def test_a_closed_store_is_one_plain_file(tmp_path: Path, make_result: MakeResult) -> None:
    url = f"sqlite:///{tmp_path / 'shelf' / 's.sqlite'}"
    with ResultStore.open(url, tmp_path) as store:
        store.put(make_result(1))
    assert [path.name for path in (tmp_path / "shelf").iterdir()] == ["s.sqlite"]
