"""Fleet queries on a million generated trips, on SQLite and on PostgreSQL.

    python benchmarks/store.py [--quick] [--trips N] [--rounds N] [--json FILE] [--seed N]

Goal: p95 of each query under 100 ms (`drivers_all_time` is shown without one). Beside some
stands the same question asked of the table of trips itself, without the summary tables, in the
same run.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import sqlalchemy as sa

from offline.policy import load_policy
from offline.results import Period, ResultStore, summaries
from offline.results import schema as s

GOAL_MS = 100.0
WITH_GOAL = ("leaderboard_month", "driver_year", "vehicle_events", "latest_trips")
FIRST = date(2026, 1, 1)
DAYS = 365
HASHES = (2_654_435_761, 2_246_822_519, 3_266_489_917, 668_265_263, 374_761_393)
EVENTS = (("harsh_braking", "kept"), ("over_revving", "exonerated"), ("idling", "kept"))


def generate(store: ResultStore, trips: int, seed: int) -> tuple[int, int]:
    """Fill a store with a year of trips, about 500 a driver and two drivers a vehicle.

    The database itself makes the rows, from multiplicative hashes of their numbers (Knuth, The
    Art of Computer Programming 3, 6.4), so that both databases hold the same fleet.
    """
    drivers, vehicles = max(2, trips // 500), max(1, trips // 1000)
    policy = load_policy("van")
    # Rows first, indexes, summaries and checks after: a tenth of the time of keeping them.
    indexes = [index for table in s.metadata.sorted_tables for index in table.indexes]
    lite = store.engine.dialect.name == "sqlite"
    hurry(store.engine)
    with store.transaction() as connection:
        if not lite:
            # Foreign keys are triggers; every row is made to obey them.
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica")
            connection.exec_driver_sql("SET LOCAL work_mem = '1GB'")
            connection.exec_driver_sql("SET LOCAL maintenance_work_mem = '1GB'")
        for index in indexes:
            index.drop(connection)

        def padded(number: str, digits: int) -> str:
            return f"printf('%0{digits}d', {number})" if lite else (
                f"lpad(({number})::text, {digits}, '0')"
            )  # fmt: skip

        def series(last: str) -> str:
            return (
                f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {last})"
                " SELECT i FROM n)" if lite else f"generate_series(1, {last}::bigint)"
            )  # fmt: skip

        def uniform(field: int) -> str:
            return f"((i * {HASHES[field]} + {seed * 7919}) % 4294967296)"

        def fill(table: sa.Table, source: str, **values: str) -> None:
            if connection.dialect.name == "postgresql":
                for column in table.columns:
                    if isinstance(column.type, sa.JSON):
                        values[column.name] = f"CAST({values[column.name]} AS json)"
            names = ", ".join(values)
            connection.exec_driver_sql(
                f"INSERT INTO {table.name} ({names}) SELECT {', '.join(values.values())} "
                f"FROM {source}".replace("%", "%%" if not lite else "%")
            )

        connection.execute(
            s.policies.insert(),
            {"policy_sha256": policy.sha256, "document": policy.model_dump(mode="json")},
        )
        false, true = ("0", "1") if lite else ("false", "true")
        fill(s.drivers, f"{series(str(drivers))} AS n(i)" if not lite else series(str(drivers)),
             driver=f"'driver-' || {padded('i - 1', 6)}", first_stored_utc_ns="0")  # fmt: skip
        numbers = series(str(vehicles)) if lite else f"{series(str(vehicles))} AS n(i)"
        fill(s.vehicles, numbers, vehicle=f"'vehicle-' || {padded('i - 1', 6)}",
             vehicle_class="'van'", first_stored_utc_ns="0")  # fmt: skip
        numbers = series(str(trips)) if lite else f"{series(str(trips))} AS n(i)"
        driver = f"({uniform(0)} % {drivers})"
        vehicle = f"'vehicle-' || {padded(f'{driver} % {vehicles}', 6)}"
        day = f"({uniform(1)} % {DAYS})"
        first_ns = Period(FIRST, FIRST).utc_ns()[0]
        started = f"({first_ns} + ({day} * 86400 + {uniform(2)} % 86400) * 1000000000)"
        km = f"(1 + {uniform(3)} % 60)"
        score = f"(40.0 + {uniform(4)} % 30 + {driver} % 30)"
        fill(
            s.trips, numbers,
            id="i", trip_id=f"{vehicle} || '/' || {padded('i', 8)}", variant=f"'{s.STANDARD}'",
            trip_path="'/trips/' || i", vehicle=vehicle, driver=f"'driver-' || {padded(driver, 6)}",
            started_utc_ns=started,
            day=f"date('{FIRST}', '+' || {day} || ' days')" if lite
            else f"DATE '{FIRST}' + CAST({day} AS integer)",
            origin="""'{"video": "simulated", "obd": "simulated", "note": ""}'""", simulated=true,
            road_context="'camera'", score=score, band="'B'", score_without_context=f"{score} - 5",
            distance_km=km, events_kept="2", events_exonerated="1", events_undetermined="0",
            points="8.0", points_spared="4.0", trip_sha256=padded("i", 64),
            model_name="'road_scene'", model_sha256=f"'{'m' * 64}'", policy_name="'van'",
            policy_sha256=f"'{policy.sha256}'", software="'generated'", scored_utc_ns=started,
        )  # fmt: skip
        fill(
            s.exposure, "trips",
            trip="id", distance_km="distance_km", duration_s="distance_km * 90",
            moving_s="distance_km * 80", engine_on_s="distance_km * 88", speed_coverage="1.0",
            scene_coverage="0.9", judged="0.99", cold_s="0.0",
            **dict.fromkeys(s.EXPOSURE_OF.values(), "distance_km / 100.0"),
        )  # fmt: skip
        for with_context, value in ((true, "score"), (false, "score - 5")):
            fill(
                s.scores, "trips",
                trip="id", with_road_context=with_context, value=value, band="'B'",
                low=f"{value} - 6", high=f"{value} + 6", reason="''", parts="'{}'",
            )  # fmt: skip
        for number, (kind, outcome) in enumerate(EVENTS):
            fill(
                s.events, "trips",
                trip="id", number=str(number), variant="variant", vehicle="vehicle",
                started_utc_ns=f"started_utc_ns + {number + 1} * 60000000000", kind=f"'{kind}'",
                start_s=f"{number + 1} * 60.0", end_s=f"{number + 1} * 60.0 + 3", peak="3.4",
                threshold="3.0", unit="'m/s²'", severity="1.2", outcome=f"'{outcome}'",
                rule="'climb'", context="'uphill'", probability="0.9", frames_agree="0.8",
                frames="'[1, 2]'", sensors_agree=true, points="4.0", points_spared="0.0",
                sentence="'Generated for measurement.'",
            )  # fmt: skip
        for index in indexes:
            index.create(connection)
        # The planner must know that all trips are of one variant before it adds them up.
        connection.exec_driver_sql("ANALYZE")
        summaries.rebuild(connection)
        for table in (s.driver_days, s.driver_months, s.vehicle_days, s.vehicle_months):
            connection.exec_driver_sql(f"ANALYZE {table.name}")
    # The next connection has the store's own settings.
    store.engine.dispose()
    return drivers, vehicles


def hurry(engine: sa.Engine) -> None:
    """Let the engine's one pooled SQLite connection fill a database that nobody would miss."""
    if engine.dialect.name != "sqlite":
        return
    pooled = engine.raw_connection()
    for setting in (
        "journal_mode = OFF", "synchronous = OFF", "foreign_keys = OFF", "temp_store = MEMORY",
        "cache_size = -2000000",
    ):  # fmt: skip
        pooled.cursor().execute(f"PRAGMA {setting}")
    pooled.close()


def queries(
    store: ResultStore, drivers: int, vehicles: int, random: np.random.Generator
) -> dict[str, tuple[Callable[[], Any], Callable[[], Any] | None]]:
    """Name each question with how the store answers it, and how it would without summaries."""
    t = s.trips.c

    def month() -> Period:
        return Period.month(2026, int(random.integers(1, 13)))

    def leaderboard() -> Any:
        return store.leaderboard(2026, int(random.integers(1, 13)))

    def leaderboard_of_trips() -> Any:
        period = month()
        mean = sa.func.sum(t.score * t.distance_km) / sa.func.sum(t.distance_km)
        query = (
            sa.select(t.driver, mean, sa.func.count())
            .where(t.variant == s.STANDARD, t.day.between(period.first, period.last))
            .group_by(t.driver).order_by(mean.desc()).limit(100)
        )  # fmt: skip
        with store.transaction() as connection:
            return connection.execute(query).fetchall()

    def driver() -> str:
        return f"driver-{int(random.integers(drivers)):06d}"

    def driver_year() -> Any:
        return store.driver_year(driver(), 2026)

    def driver_year_of_trips() -> Any:
        query = (
            sa.select(t.day, sa.func.sum(t.distance_km), sa.func.sum(t.score * t.distance_km))
            .where(t.driver == driver(), t.day.between(FIRST, FIRST + timedelta(days=DAYS)))
            .group_by(t.day)
        )  # fmt: skip
        with store.transaction() as connection:
            return connection.execute(query).fetchall()

    def vehicle_events() -> Any:
        return store.vehicle_events(f"vehicle-{int(random.integers(vehicles)):06d}", month())

    def list_of_trips() -> Any:
        return store.trips(limit=50)

    return {
        "leaderboard_month": (leaderboard, leaderboard_of_trips),
        "driver_year": (driver_year, driver_year_of_trips),
        "vehicle_events": (vehicle_events, None),
        "latest_trips": (list_of_trips, None),
        # The dashboard's page of drivers: sums of all months, scored when asked for.
        "drivers_all_time": (store.drivers, None),
    }


def measure(store: ResultStore, drivers: int, vehicles: int, rounds: int,
            random: np.random.Generator) -> dict[str, float]:  # fmt: skip
    """Ask all questions in turn, so that the machine's mood falls on all alike."""
    asked = queries(store, drivers, vehicles, random)
    spent: dict[str, list[float]] = {}
    for name, (answer, baseline) in asked.items():
        spent[name] = []
        if baseline:
            spent[f"{name}_of_trips"] = []
        answer()
    for round_ in range(rounds):
        for name, (answer, baseline) in asked.items():
            if round_ % 10 == 0 or name in WITH_GOAL:
                spent[name].append(timed(answer))
            # The long way is slow: a tenth of the rounds tells enough.
            if baseline and round_ % 10 == 0:
                spent[f"{name}_of_trips"].append(timed(baseline))
    figures = {}
    for name, seconds in spent.items():
        p50, p95 = np.percentile(np.array(seconds) * 1000, (50, 95))
        figures |= {f"{name}_p50_ms": float(p50), f"{name}_p95_ms": float(p95)}
    return figures


def timed(function: Callable[[], Any]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


@contextmanager
def postgresql(folder: Path) -> Iterator[str]:
    """Run a PostgreSQL of this machine; gives a URL.

    Settings are the defaults but for those that only writing notices.
    """
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    folder.mkdir()
    if become:
        shutil.chown(folder, "postgres")
        folder.parent.chmod(0o755)
    data = folder / "data"

    def run(*command: object) -> None:
        subprocess.run([*become, *map(str, command)], check=True, cwd=folder,
                       stdout=subprocess.DEVNULL)  # fmt: skip

    run(programs / "initdb", "-D", data, "-A", "trust", "-U", "gradewise", "--locale=C.UTF-8")
    run(programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o",
        f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off "
        "-c max_wal_size=8GB -c wal_level=minimal -c max_wal_senders=0", "start")  # fmt: skip
    try:
        yield f"postgresql://gradewise@/postgres?host={folder}"
    finally:
        run(programs / "pg_ctl", "-D", data, "-m", "fast", "stop")


def progress(what: str) -> None:
    """Say on stderr what is under way."""
    print(f"[{time.strftime('%H:%M:%S')}] {what}", file=sys.stderr, flush=True)


def ask(store: ResultStore, name: str, trips: int, rounds: int, seed: int) -> dict[str, float]:
    """Fill one database and measure on it; prints a table."""
    progress(f"{name}: filling with {trips} trips")
    started = time.perf_counter()
    drivers, vehicles = generate(store, trips, seed)
    filled_s = time.perf_counter() - started
    progress(f"{name}: filled in {filled_s:.0f} s, asking {rounds} rounds of questions")
    found = measure(store, drivers, vehicles, rounds, np.random.default_rng(seed))
    print(f"{name}: {trips} trips of {drivers} drivers, filled in {filled_s:.0f} s")
    for question in dict.fromkeys(figure.rpartition("_p")[0] for figure in found):
        p50, p95 = found[f"{question}_p50_ms"], found[f"{question}_p95_ms"]
        print(f"  {question:28} p50 {p50:8.2f} ms   p95 {p95:8.2f} ms")
    worst = max(found[f"{question}_p95_ms"] for question in WITH_GOAL)
    print(f"  worst p95 of {', '.join(WITH_GOAL)}: {worst:.1f} ms (goal: under {GOAL_MS:.0f})",
          flush=True)  # fmt: skip
    figures = {f"{name}_{figure}": value for figure, value in found.items()}
    return figures | {f"{name}_p95_ms": worst, f"{name}_fill_s": filled_s}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="20,000 trips, 20 rounds")
    parser.add_argument("--trips", type=int, default=1_000_000, help="[default: 1000000]")
    parser.add_argument("--rounds", type=int, default=200, help="[default: 200]")
    parser.add_argument("--json", type=Path, metavar="FILE",
                        help="written after each database: nothing is lost")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1, help="[default: 1]")
    options = parser.parse_args()
    trips, rounds = (20_000, 20) if options.quick else (options.trips, options.rounds)
    folder = Path(tempfile.mkdtemp(prefix="gradewise-store-"))
    figures: dict[str, float] = {"trips": trips, "load_average": os.getloadavg()[0]}

    def keep() -> None:
        if options.json:
            options.json.write_text(json.dumps({"figures": figures}, indent=1) + "\n")

    try:
        with ResultStore.open(None, folder / "sqlite") as store:
            figures |= ask(store, "sqlite", trips, rounds, options.seed)
        size = (folder / "sqlite" / "gradewise.sqlite").stat().st_size
        figures["sqlite_bytes_per_trip"] = size / trips
        print(f"SQLite file: {size / 1e6:.0f} MB, {size / trips:.0f} bytes a trip")
        shutil.rmtree(folder / "sqlite")
        keep()
        with postgresql(folder / "pg") as url, ResultStore.open(url, folder / "results") as store:
            figures |= ask(store, "postgresql", trips, rounds, options.seed)
        keep()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
