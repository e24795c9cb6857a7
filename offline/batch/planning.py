"""Finds the trips to score and leaves out those whose result could not change."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from offline.batch.settings import Settings
from offline.errors import InputError
from offline.results.retention import MARK
from offline.results.store import ResultStore
from onboard.errors import TripError
from onboard.manifest import Manifest, read_manifest
from onboard.trip import find_trips
from onboard.tripschema import DATABASE

_FOLDER_DATE: Final = re.compile(r"^(\d{8})T\d{6}")


@dataclass(frozen=True, slots=True)
class PlannedTrip:
    """A trip to be scored.

    Attributes
    ----------
    path : str
        Absolute.
    fingerprint : str
        `Settings.fingerprint`, by the manifest and by what its files are now.
    """

    path: str
    fingerprint: str


@dataclass
class Plan:
    """What a run will do, and what it leaves out.

    Attributes
    ----------
    unchanged : list of str
        Ids of trips that have this result already.
    set_aside : list of str
        Paths that failed before with nothing changed since.
    recording : list of str
        Paths of trips still being recorded or copied.
    """

    to_score: list[PlannedTrip] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    set_aside: list[str] = field(default_factory=list)
    recording: list[str] = field(default_factory=list)
    erased: int = 0
    purged: int = 0


def plan(
    roots: Iterable[Path],
    store: ResultStore,
    settings: Settings,
    *,
    since: date | None = None,
    rescore: bool = False,
    retry_named: bool = True,
    settle_s: float = 0.0,
) -> Plan:
    """Decide for every trip below some folders whether to score it.

    Parameters
    ----------
    since : date, optional
        Leaves out trips that started before.
    rescore : bool
        Score again what is unchanged or was set aside.
    retry_named : bool
        Score again what was set aside if it is a root itself.
    settle_s : float
        A trip that is not closed, or lacks files, counts as still arriving until it has not
        changed for so long.

    Raises
    ------
    InputError
        If a root is no folder, or a trip cannot be read.
    """
    found = Plan()
    known = store.known_results(settings.variant)
    failed = {f.trip_path: f.fingerprint for f in store.failed() if f.variant == settings.variant}
    erased = store.erased()
    seen: set[str] = set()
    for path, named in trips_of(roots):
        if since is not None and _start_day(path) < since:
            continue
        if (path / MARK).exists():
            found.purged += 1
            continue
        try:
            manifest = read_manifest(path)
            sha256 = manifest.sha256()
            if settle_s > 0 and _arriving(path, manifest, settle_s):
                found.recording.append(str(path))
                continue
        except FileNotFoundError:
            sha256 = ""
            if _being_written(path, settle_s):
                found.recording.append(str(path))
                continue
        except TripError:
            # The worker says what is wrong with it.
            sha256 = ""
        except OSError as problem:
            raise InputError(f"cannot read {path}: {problem}") from None
        if sha256:
            if sha256 in seen:
                continue
            seen.add(sha256)
            if sha256 in erased:
                found.erased += 1
                continue
            if not rescore and sha256 in known and settings.made(known[sha256]):
                found.unchanged.append(known[sha256].trip_id)
                continue
        fingerprint = settings.fingerprint(f"{sha256}\n{_state(path)}")
        if failed.get(str(path)) == fingerprint and not rescore and not (named and retry_named):
            found.set_aside.append(str(path))
            continue
        found.to_score.append(PlannedTrip(str(path), fingerprint))
    return found


def require_trips(roots: Iterable[Path]) -> None:
    """Refuse folders without trips, before a store is made for nothing.

    Raises
    ------
    InputError
        If there is no trip under a root.
    """
    for root in roots:
        if next(trips_of([root]), None) is None:
            raise InputError(f"{root} holds no trip (a trip is a folder with a {DATABASE})")


def trips_of(roots: Iterable[Path]) -> Iterator[tuple[Path, bool]]:
    """Yield every trip below some folders once, and whether it was named itself.

    Raises
    ------
    InputError
        If a root is no folder.
    """
    seen: set[Path] = set()
    for root in roots:
        start = root.absolute()
        if not start.is_dir():
            raise InputError(f"{root} is no folder of trips")
        for path in find_trips(start):
            if path not in seen:
                seen.add(path)
                yield path, path == start


def _start_day(path: Path) -> date:
    """Return the day a trip's folder is named after, else that of its last change."""
    match = _FOLDER_DATE.match(path.name)
    if match:
        try:
            return datetime.strptime(match.group(1), "%Y%m%d").replace(tzinfo=UTC).date()
        except ValueError:
            pass
    return datetime.fromtimestamp(path.stat().st_mtime, UTC).date()


def _arriving(path: Path, manifest: Manifest, settle_s: float) -> bool:
    """Tell whether a closed trip's files are still being copied; their order is not known."""

    def whole(name: str, size: int) -> bool:
        try:
            return (path / name).stat().st_size == size
        except FileNotFoundError:
            return False

    if all(whole(name, entry.size) for name, entry in manifest.files.items()):
        return False
    return time.time() - _last_change_s(path) < settle_s


def _being_written(path: Path, settle_s: float) -> bool:
    if settle_s > 0 and time.time() - _last_change_s(path) < settle_s:
        return True
    # The recorder and the recovery hold this lock.
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(descriptor)
    return False


def _last_change_s(path: Path) -> float:
    times = [path.stat().st_mtime]
    for folder, _, files in os.walk(path):
        for name in files:
            # A file may be renamed while it arrives.
            try:
                times.append((Path(folder) / name).stat().st_mtime)
            except FileNotFoundError:
                return time.time()
    return max(times)


def _state(path: Path) -> str:
    state = []
    for folder, _, files in os.walk(path):
        for name in files:
            try:
                status = (Path(folder) / name).stat()
            except FileNotFoundError:
                continue
            state.append(f"{Path(folder) / name} {status.st_size} {status.st_mtime_ns}")
    return "\n".join(sorted(state))
