"""Takes offloaded trips in at the depot: verified, once, whole or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from offline.errors import InputError
from onboard.errors import TripError
from onboard.trip import Trip, find_trips


class Outcome(StrEnum):
    """What became of one offloaded trip."""

    TAKEN = "taken in"
    KNOWN = "already here"
    ARRIVING = "still arriving"
    """It has no manifest yet, which offloading sends last."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Ingested:
    """One offloaded trip and what became of it."""

    source: Path
    target: Path | None
    outcome: Outcome
    problem: str = ""


def ingest(source: Path, archive: Path, *, remove: bool = False) -> Iterator[Ingested]:
    """Take every trip under `source` into `archive/<vehicle>/<trip>`.

    Every file is compared with its SHA-256 before and after copying. A trip that is there
    already with the same hash is left alone, so running twice changes nothing.

    Parameters
    ----------
    remove : bool
        Delete a trip from `source` once it is in the archive.

    Raises
    ------
    InputError
        If the archive cannot be written.
    TripError
        If `source` is no folder.
    """
    for trip in find_trips(source):
        if not (trip / "manifest.json").exists():
            yield Ingested(trip, None, Outcome.ARRIVING)
            continue
        try:
            result = _take(trip, archive)
        except TripError as problem:
            yield Ingested(trip, None, Outcome.REFUSED, str(problem))
            continue
        except OSError as problem:
            raise InputError(f"{archive} cannot be written: {problem.strerror}") from problem
        if remove and result.outcome in (Outcome.TAKEN, Outcome.KNOWN):
            shutil.rmtree(trip)
        yield result


def _take(trip: Path, archive: Path) -> Ingested:
    with Trip.open(trip) as opened:
        opened.verify()
        sha256 = opened.sha256()
        names = [*opened.manifest.files, "manifest.json"]
    target = archive / trip.parent.name / trip.name
    if target.exists():
        with Trip.open(target) as known:
            same = known.sha256() == sha256
        if same:
            return Ingested(trip, target, Outcome.KNOWN)
        raise TripError(f"{target} is there already with other content; move one of them away")
    beside = target.with_name(f".{target.name}.new")
    shutil.rmtree(beside, ignore_errors=True)
    (beside / "video").mkdir(parents=True)
    try:
        for name in names:
            shutil.copyfile(trip / name, beside / name)
        with Trip.open(beside) as copied:
            copied.verify()
        beside.rename(target)
    except (OSError, TripError):
        shutil.rmtree(beside, ignore_errors=True)
        raise
    return Ingested(trip, target, Outcome.TAKEN)
