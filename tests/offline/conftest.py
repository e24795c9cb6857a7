"""A real PostgreSQL for the session, and results made from a seed."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import sqlalchemy as sa

from offline.scenelabels import SceneLabels
from offline.verdicts import (
    Event,
    EventKind,
    Exposure,
    Outcome,
    Provenance,
    Score,
    TripResult,
    Verdict,
)


def postgresql_programs() -> Path:
    """Newest PostgreSQL of this machine (Debian keeps the server's programs off the PATH)."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: p.parts[4])
    if found:
        return found[-1].parent
    initdb = shutil.which("initdb")
    if initdb is None:
        pytest.fail("these tests need PostgreSQL: apt install postgresql")
    return Path(initdb).parent


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """URL, without a database, of a server that lives as long as the tests."""
    programs = postgresql_programs()
    # A short path: a socket's is limited to 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="gw-pg-", dir="/tmp"))
    # PostgreSQL refuses to run as root: there it runs as Debian's postgres user.
    become = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    if become:
        shutil.chown(folder, "postgres")
    data = folder / "data"

    def run(*command: str | Path) -> None:
        subprocess.run(
            [*become, *map(str, command)],
            check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip

    try:
        run(programs / "initdb", "-D", data, "-A", "trust", "-U", "gradewise", "-E", "UTF8",
            "--locale=C.UTF-8", "--no-sync")  # fmt: skip
        # No fsync: the tests of durability kill programs, not the machine.
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off"
        run(programs / "pg_ctl", "-D", data, "-w", "-l", folder / "log", "-o", options, "start")
        try:
            yield f"postgresql://gradewise@/%s?host={folder}"
        finally:
            run(programs / "pg_ctl", "-D", data, "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgresql_url(postgresql_server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """URL of an empty database."""
    name = f"t{abs(hash(request.node.nodeid)):x}"
    address = (postgresql_server % "postgres").replace("postgresql:", "postgresql+psycopg:")
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name}")
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield postgresql_server % name
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """URL of an empty store, once on each database."""
    if request.param == "postgresql":
        url: str = request.getfixturevalue("postgresql_url")
        return url
    return f"sqlite:///{tmp_path / 'store.sqlite'}"


def result_of(
    number: int = 0, *, vehicle: str = "van-1", driver: str = "ann", **changed: Any
) -> TripResult:
    """Make a result with one kept, one exonerated and one undetermined event."""
    random = np.random.default_rng(number)
    t_s = np.arange(0, 60, 0.2)
    timeline = pd.DataFrame(
        {
            "t_s": t_s,
            "t_mono_ns": (t_s * 1e9).astype(np.int64),
            "utc_ns": pd.array((t_s * 1e9).astype(np.int64), dtype="Int64"),
            "speed_kmh": np.where(t_s > 30, np.nan, 40 + random.normal(size=t_s.size)),
            "gear": pd.array([None, *[3] * (t_s.size - 1)], dtype="Int64"),
            "engine_on": pd.array([None, *[True] * (t_s.size - 1)], dtype="boolean"),
            "scene": np.where(t_s > 20, "uphill", "undetermined"),
        }
    )
    frames = np.arange(0, 1800, 15)
    labels = SceneLabels(
        t_mono_ns=(frames / 30 * 1e9).astype(np.int64),
        frame=frames,
        p_slope=random.dirichlet(np.ones(3), frames.size).astype(np.float32),
        p_course=random.dirichlet(np.ones(4), frames.size).astype(np.float32),
        slope_threshold=0.5,
        course_threshold=0.5,
        model_name="road_scene",
        model_sha256="m" * 64,
    )
    verdicts = (
        verdict_of(EventKind.HARSH_BRAKING, 5.0, Outcome.KEPT, points=4.0),
        verdict_of(EventKind.OVER_REVVING, 20.0, Outcome.EXONERATED, points_spared=6.5),
        verdict_of(EventKind.SUSTAINED_PULL, 40.0, Outcome.UNDETERMINED, probability=None),
    )
    result = TripResult(
        trip_id=f"{vehicle}/trip-{number:05d}",
        trip_path=f"/trips/{vehicle}/trip-{number:05d}",
        vehicle=vehicle,
        vehicle_class="car",
        driver=driver,
        started_utc_ns=1_767_225_600_000_000_000 + number * 6 * 3_600_000_000_000,  # 2026
        origin={"video": "recorded", "obd": "measured", "note": ""},
        road_context="camera",
        exposure=Exposure(10.0 + number, 900.0, 800.0, 890.0, 0.98, 0.9),
        verdicts=verdicts,
        score=Score(80.0 + number % 20, "B", 70.0, 90.0, "", {"smoothness": 81.0, "economy": None}),
        score_without_context=Score(70.0, "C", 60.0, 80.0, "", {"smoothness": 71.0}),
        provenance=Provenance(f"{number:064d}", "road_scene", "m" * 64, "default", "p" * 64, "0.1"),
        timeline=timeline,
        labels=labels,
    )
    return replace(result, **changed)


def verdict_of(
    kind: EventKind,
    start_s: float,
    outcome: Outcome,
    *,
    points: float = 0.0,
    points_spared: float = 0.0,
    probability: float | None = 0.91,
) -> Verdict:
    """Make a verdict on an event of 3 s."""
    event = Event(kind, start_s, start_s + 3.0, -3.4, -3.0, "m/s²", 1.25)
    return Verdict(
        event, outcome, "climb", "uphill", probability, 0.8, (30, 45), True, points,
        points_spared, f"{kind} is {outcome}",
    )  # fmt: skip


@pytest.fixture
def make_result() -> Callable[..., TripResult]:
    """The function that makes results."""
    return result_of
