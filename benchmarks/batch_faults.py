"""What batch scoring survives: killed workers, poisoned trips, a killed coordinator, a full disk.

    python benchmarks/batch_faults.py [--quick] [--only NAME] [--json FILE] [--seed N]

Every campaign runs the real `gradewise-offline score` on real trip folders, does its harm from
outside, and then counts: each trip scored exactly once, every Parquet file whole, the store
sound. Exit code 1 if anything was lost, doubled or torn.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq
from synthetictrips import TICKS_PER_S, record_trip, write_endless_video

from offline.results import ResultStore
from onboard.trip import TripWriter

HERE = Path(__file__).resolve().parent.parent
SCORE = [sys.executable, "-m", "offline.cli", "score"]


@dataclass
class Report:
    """Figures of a campaign, and what went wrong."""

    figures: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def expect(self, condition: bool, what: str) -> None:
        if not condition:
            self.wrong.append(what)


@dataclass(frozen=True)
class Campaign:
    """Where a campaign works and how much it does."""

    folder: Path
    quick: bool
    random: random.Random

    @property
    def trips(self) -> Path:
        return self.folder / "trips"

    @property
    def results(self) -> Path:
        return self.folder / "results"

    def fleet(self, number: int, seconds: float = 20.0) -> None:
        progress(f"recording {number} trips")
        for index in range(number):
            record_trip(self.trips, index, seconds=seconds, vehicle=f"van-{index % 7}")

    def score(self, *options: str, results: Path | None = None) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*SCORE, str(self.trips), "--results", str(results or self.results), "--json",
             "--workers", "2", *options],
            cwd=HERE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


def progress(what: str) -> None:
    """Say on stderr what is under way."""
    print(f"[{time.strftime('%H:%M:%S')}] {what}", file=sys.stderr, flush=True)


def descendants(pid: int) -> dict[int, int]:
    """Depth of every living process below one, by its id."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                after_name = (entry / "stat").read_text().rpartition(")")[2].split()
                if after_name[0] not in "ZX":
                    parents[int(entry.name)] = int(after_name[1])
    found, fresh, depth = {}, {pid}, 0
    while fresh:
        depth += 1
        fresh = {child for child, parent in parents.items() if parent in fresh}
        found.update(dict.fromkeys(fresh, depth))
    return found


def workers_of(coordinator: int) -> list[int]:
    """Processes of the local pool: children of the fork server, the coordinator's child."""
    return sorted(pid for pid, depth in descendants(coordinator).items() if depth == 2)


def check_store(report: Report, results: Path, expected: int) -> None:
    """Count what the store holds and read every file it names, and every file there is."""
    with sqlite3.connect(results / "gradewise.sqlite") as plain:
        sound = plain.execute("PRAGMA integrity_check").fetchone()[0]
    plain.close()
    report.expect(sound == "ok", f"integrity_check: {sound}")
    with ResultStore.open(None, results, read_only=True) as store:
        rows = store.trips(limit=None)
        report.expect(
            len({row.trip_id for row in rows}) == len(rows) == expected,
            f"{len(rows)} results of {expected} trips",
        )
        doubled = sum(bool(store.history(row.trip_id)) for row in rows)
        report.expect(doubled == 0, f"{doubled} trips were scored twice")
        counted = sum(standing.trips for standing in store.drivers())
        report.expect(counted == expected, f"the drivers' summaries count {counted} trips")
        for row in rows:
            report.expect(len(store.timeline(row.trip_id)) > 0, f"{row.trip_id}: no timeline")
            report.expect(bool(store.still_frames(row.trip_id)), f"{row.trip_id}: no stills")
        names = store.files.names()
    report.figures["files_left_over"] = len(names) - 3 * len(rows)
    report.expect(len(names) == 3 * len(rows), f"{len(names)} files of {len(rows)} trips")


def check_files_whole(report: Report, results: Path) -> None:
    """Read every Parquet file that has its final name, named by a row or not."""
    for path in results.rglob("*.parquet"):
        try:
            pq.read_table(path)
        except Exception as problem:  # noqa: BLE001  (any error is the finding)
            report.expect(False, f"{path.name} is torn: {problem}")


def kill_workers(campaign: Campaign) -> Report:
    """A worker killed -9 again and again."""
    report = Report()
    trips, kills = (24, 5) if campaign.quick else (200, 50)
    # Long enough that the batch outlives its kills on a fast machine.
    campaign.fleet(trips, seconds=20 if campaign.quick else 60)
    score = campaign.score()
    killed = 0
    while score.poll() is None and killed < kills:
        time.sleep(campaign.random.uniform(0.05, 0.45 if campaign.quick else 0.6))
        pids = workers_of(score.pid)
        if pids:
            with suppress(ProcessLookupError):
                os.kill(campaign.random.choice(pids), signal.SIGKILL)
                killed += 1
                if killed % 10 == 0:
                    progress(f"{killed} of {kills} kills")
    out, err = score.communicate(timeout=900)
    report.expect(score.returncode == 0, f"exit code {score.returncode}: {err[-300:]}")
    report.figures |= {"kills": killed, "trips": trips, "failed": out.count('"kind"')}
    report.expect(campaign.quick or killed == kills, f"the batch ended after {killed} kills")
    check_store(report, campaign.results, trips)
    report.figures["scored_exactly_once"] = trips - len(report.wrong)
    return report


def poison(campaign: Campaign) -> Report:
    """Trips that cannot be scored are set aside with a reason; the others are scored."""
    report = Report()
    campaign.fleet(4)
    expected = {
        f"20260101T000000Z-{number:06x}": make(campaign.trips, number)
        for number, make in enumerate(POISONS.values(), start=100)
    }
    if not campaign.quick:
        record_trip(campaign.trips, 50, seconds=36_000, stills=False, vehicle="poison")
    score = campaign.score("--timeout", "8")
    _, err = score.communicate(timeout=900)
    report.expect(score.returncode == 1, f"exit code {score.returncode}: {err[-300:]}")
    with ResultStore.open(None, campaign.results, read_only=True) as store:
        failed = {Path(one.trip_path).name: one for one in store.failed()}
        scored = {row.trip_id.rpartition("/")[2] for row in store.trips(limit=None)}
    for name, reason in expected.items():
        if reason is None:
            report.expect(name in scored, f"{name} was not scored: {failed.get(name)}")
        else:
            found = failed.get(name)
            report.expect(
                found is not None and re.search(reason, found.reason) is not None,
                f"{name}: expected {reason!r}, got {found}",
            )
            print(f"    {found.reason if found else 'not set aside'}"[:150])
    report.expect(len(scored) >= 4, "the good trips were not all scored")
    again = campaign.score("--timeout", "8")
    again.communicate(timeout=900)
    report.expect(again.returncode == 0, "what was set aside was tried again")
    report.figures |= {"poisoned": len(expected), "set_aside": len(failed), "scored": len(scored)}
    return report


def _truncated_video(root: Path, number: int) -> str:
    path = record_trip(root, number, seconds=4, stills=False, video_fps=10, vehicle="poison")
    video = next((path / "video").iterdir())
    video.write_bytes(video.read_bytes()[:20_000])
    return r"has \d+ bytes"


def _corrupt_sqlite(root: Path, number: int) -> str:
    path = record_trip(root, number, vehicle="poison") / "trip.sqlite"
    content = bytearray(path.read_bytes())
    content[4096:] = bytes(len(content) - 4096)
    path.write_bytes(content)
    return "damaged"


def _endless_video(root: Path, number: int) -> str:
    frames = 40_000
    trip = TripWriter.create(
        root, vehicle="poison", driver="", started_utc_ns=1_767_225_600_000_000_000,
        trip_id=f"20260101T000000Z-{number:06x}",
    )  # fmt: skip
    write_endless_video(trip.video_path(0), frames)
    for frame in range(frames):
        # Two a second by the trip's clock, so that every one is to be labelled.
        trip.add_frame(frame, 0, frame * TICKS_PER_S // 30, frame * 500_000_000)
    trip.close("benchmark")
    return "took more than 8 s"


def _wrong_clock(root: Path, number: int) -> str:
    record_trip(root, number, started_utc_ns=86_400_000_000_000, vehicle="poison")
    return "its clock says 1970-01-02"


def _no_manifest(root: Path, number: int) -> None:
    record_trip(root, number, close=False, vehicle="poison")


def _text_as_database(root: Path, number: int) -> str:
    path = record_trip(root, number, seconds=2, vehicle="poison") / "trip.sqlite"
    path.write_text("dear diary\n" * 100)
    return "bytes|no SQLite database"


def _empty_trip(root: Path, number: int) -> str:
    record_trip(root, number, seconds=0, stills=False, vehicle="poison")
    return "no samples and no frames"


POISONS: dict[str, Callable[[Path, int], str | None]] = {
    "truncated video": _truncated_video,
    "corrupt SQLite": _corrupt_sqlite,
    "endless video": _endless_video,
    "wrong clock": _wrong_clock,
    "no manifest": _no_manifest,
    "text as database": _text_as_database,
    "empty trip": _empty_trip,
}
"""What makes each poisoned trip; returns the reason to expect, None where it is scored."""


def kill_coordinator(campaign: Campaign) -> Report:
    """The coordinator killed -9, and started again."""
    report = Report()
    # Up to 32 trips are committed together: the first kill must not find them all stored.
    trips, kills = (40, 1) if campaign.quick else (120, 5)
    campaign.fleet(trips)
    for round_ in range(kills):
        score = campaign.score()
        wanted = 1 + trips * round_ // (kills + 1)
        deadline_s = time.monotonic() + 300
        while (
            _stored(campaign.results) < wanted
            and score.poll() is None
            and time.monotonic() < deadline_s
        ):
            time.sleep(0.05)
        below = descendants(score.pid)
        score.kill()
        score.communicate()
        time.sleep(1.5)
        left = [pid for pid in below if Path(f"/proc/{pid}").exists() and _alive(pid)]
        report.expect(not left, f"{len(left)} processes outlived the coordinator")
        check_files_whole(report, campaign.results)
    between = _stored(campaign.results)
    score = campaign.score()
    out, err = score.communicate(timeout=900)
    report.expect(score.returncode == 0, f"exit code {score.returncode}: {err[-300:]}")
    again = len(json.loads(out)["scored"]) if score.returncode == 0 else -1
    report.expect(again == trips - between, f"{again} scored after {between} of {trips}")
    check_store(report, campaign.results, trips)
    report.figures |= {"trips": trips, "kills": kills, "stored_before_restart": between}
    return report


def _stored(results: Path) -> int:
    with suppress(sqlite3.Error):
        plain = sqlite3.connect(f"file:{results / 'gradewise.sqlite'}?mode=ro", uri=True)
        try:
            return int(plain.execute("SELECT count(*) FROM trips").fetchone()[0])
        finally:
            plain.close()
    return 0


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False


def full_disk(campaign: Campaign) -> Report:
    """The results' disk is full in the middle of the batch, then has room again."""
    report = Report()
    trips = 10 if campaign.quick else 60
    campaign.fleet(trips, seconds=60)
    size_mb = 6 if campaign.quick else 24
    with small_disk(campaign.folder / "disk", size_mb) as grow:
        if grow is None:
            # No right to mount: a limit on the size of each file takes the disk's place.
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
        results = campaign.folder / "disk" / "results"
        score = campaign.score(results=results)
        _, err = score.communicate(timeout=600)
        report.figures["mounted"] = float(grow is not None)
        report.expect(score.returncode == 2, f"exit code {score.returncode}: {err[-300:]}")
        report.expect("cannot write" in err or "full" in err, f"unclear: {err[-300:]}")
        report.expect(err.count("\n") <= 2, f"more than one line: {err[-600:]}")
        print("   ", err.strip()[-150:])
        check_files_whole(report, results)
        stored = _stored(results)
        if grow is None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
        else:
            grow(512)
        score = campaign.score(results=results)
        _, err = score.communicate(timeout=600)
        report.expect(score.returncode == 0, f"exit code {score.returncode}: {err[-300:]}")
        check_store(report, results, trips)
        report.figures |= {"trips": trips, "stored_when_full": stored}
    return report


@contextmanager
def small_disk(folder: Path, size_mb: int) -> Iterator[Callable[[int], object] | None]:
    """Mount a disk of some megabytes; gives what makes it larger, None where it may not."""
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size_mb}m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode != 0:
        yield None
        return
    try:
        yield lambda size: subprocess.run(
            ["mount", "-o", f"remount,size={size}m", str(folder)], check=True
        )
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def dask_cluster(campaign: Campaign) -> Report:
    """Two Dask workers, one of them killed for good in the middle."""
    report = Report()
    trips = 16 if campaign.quick else 120
    campaign.fleet(trips)
    environment = os.environ | {
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "5",
        "OMP_NUM_THREADS": "1",
    }

    def start(*command: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "distributed.cli." + command[0], *command[1:]],
            cwd=HERE, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            text=True,
        )  # fmt: skip

    address_file = campaign.folder / "scheduler.json"
    running = [
        start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard",
              "--scheduler-file", str(address_file))
    ]  # fmt: skip
    try:
        for _ in range(200):
            if address_file.exists():
                break
            time.sleep(0.1)
        address = json.loads(address_file.read_text())["address"]
        running += [
            start("dask_worker", address, "--nworkers", "1", "--nthreads", "1", "--no-dashboard",
                  "--local-directory", str(campaign.folder / f"worker-{number}"))
            for number in range(2)
        ]  # fmt: skip
        score = campaign.score("--scheduler", address)
        deadline_s = time.monotonic() + 300
        while (
            _stored(campaign.results) < trips // 4
            and score.poll() is None
            and time.monotonic() < deadline_s
        ):
            time.sleep(0.05)
        victim = running[1]
        # The nanny first, or it starts another.
        for pid in [victim.pid, *descendants(victim.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        stored = _stored(campaign.results)
        _, err = score.communicate(timeout=600)
    finally:
        for process in running:
            for pid in [process.pid, *descendants(process.pid)]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
    report.expect(score.returncode == 0, f"exit code {score.returncode}: {err[-300:]}")
    report.expect(stored < trips, "the worker was killed too late")
    check_store(report, campaign.results, trips)
    report.figures |= {"trips": trips, "stored_at_kill": stored}
    return report


CAMPAIGNS = {
    "kill_workers": kill_workers,
    "poison": poison,
    "kill_coordinator": kill_coordinator,
    "full_disk": full_disk,
    "dask_cluster": dask_cluster,
}


def run(name: str, campaign: Campaign) -> Report:
    """Run a campaign; one that breaks down is a finding, and the others still run."""
    try:
        return CAMPAIGNS[name](campaign)
    except Exception as problem:  # noqa: BLE001  (reported, and the exit code says it)
        return Report(wrong=[f"the campaign ended with {type(problem).__name__}: {problem}"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the short form that the tests run")
    parser.add_argument("--only", choices=CAMPAIGNS, action="append")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    figures: dict[str, float] = {}
    wrong: list[str] = []
    for name in options.only or CAMPAIGNS:
        folder = Path(tempfile.mkdtemp(prefix="gradewise-faults-"))
        print(f"{name}: {(CAMPAIGNS[name].__doc__ or '').splitlines()[0]}", flush=True)
        try:
            started_s = time.monotonic()
            report = run(name, Campaign(folder, options.quick, random.Random(options.seed)))
            report.figures["seconds"] = round(time.monotonic() - started_s, 1)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for figure, value in report.figures.items():
            figures[f"{name}.{figure}"] = value
        figures[f"{name}.wrong"] = len(report.wrong)
        print("   ", ", ".join(f"{k} {v:g}" for k, v in report.figures.items()))
        for line in report.wrong:
            print("    WRONG:", line)
        wrong += report.wrong
        if options.json:
            # After each campaign, so that nothing found is lost.
            options.json.write_text(json.dumps({"figures": figures}, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
