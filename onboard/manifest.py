"""The manifest of a closed trip: which files it has, how large they are, and their SHA-256.

It is written last. A trip that has one is whole; a trip that has none was cut short or is still
being recorded.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from onboard.errors import TripError
from onboard.tripschema import DATABASE, MANIFEST, SCHEMA_VERSION, VIDEO

FORMAT = "gradewise-trip"


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a closed trip."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a closed trip consists of; keys of `files` are POSIX paths inside the trip."""

    trip_id: str
    schema_version: int
    files: dict[str, FileEntry]

    def sha256(self) -> str:
        """One hash of the whole trip: SHA-256 over its files' names and hashes, in name order."""
        lines = "".join(f"{name}\t{self.files[name].sha256}\n" for name in sorted(self.files))
        return hashlib.sha256(lines.encode()).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sync_folder(folder: Path) -> None:
    """Make renames inside a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_atomically(path: Path, text: str) -> None:
    """Write a small file so that, whatever happens, it is the old one or the new one, whole."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync_folder(path.parent)


def write_manifest(trip: Path, trip_id: str) -> Manifest:
    """Hash a closed trip's files and write its manifest; the last act of closing."""
    paths = [trip / DATABASE, *sorted((trip / VIDEO).glob("[0-9]*"))]
    files = {
        path.relative_to(trip).as_posix(): FileEntry(path.stat().st_size, file_sha256(path))
        for path in paths
    }
    manifest = Manifest(trip_id, SCHEMA_VERSION, files)
    document = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "trip_id": trip_id,
        "files": {name: {"bytes": e.size, "sha256": e.sha256} for name, e in files.items()},
    }
    write_atomically(trip / MANIFEST, json.dumps(document, indent=1) + "\n")
    return manifest


def read_manifest(trip: Path) -> Manifest:
    """Read a trip's manifest.

    Raises
    ------
    TripError
        If it is damaged, foreign or written by newer software.
    FileNotFoundError
        If the trip has none: it is not closed.
    """
    text = (trip / MANIFEST).read_text(encoding="utf-8", errors="replace")
    damaged = TripError(
        f"{trip}: {MANIFEST} is damaged; run `gradewise-onboard recover` on the trip"
    )
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise TripError(f"{trip} is no trip: its {MANIFEST} belongs to something else")
        version = int(document["schema_version"])
        if version > SCHEMA_VERSION:
            raise TripError(newer(trip, version))
        files = {
            str(name): FileEntry(int(entry["bytes"]), str(entry["sha256"]))
            for name, entry in document["files"].items()
        }
        return Manifest(str(document["trip_id"]), version, files)
    except TripError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise damaged from problem


def newer(trip: Path, version: int) -> str:
    """Say that a trip was written by newer software."""
    return (
        f"{trip} was written by newer software (trip format {version}, this reads up to "
        f"{SCHEMA_VERSION}): update gradewise"
    )
