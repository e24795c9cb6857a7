"""Sends closed trips elsewhere: resumed where it broke off, verified at the far end."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from onboard.errors import DeviceError, OnboardError, TripError
from onboard.manifest import Manifest, read_manifest, write_atomically
from onboard.trip import find_trips
from onboard.tripschema import MANIFEST, SENT_MARK

BLOCK_BYTES: Final = 1 << 20
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Sent:
    """One trip that has arrived whole."""

    path: Path
    size: int
    resumed_bytes: int


class FarEnd:
    """A folder elsewhere: a local one, on an SFTP server or in an S3 bucket.

    Parameters
    ----------
    url : str
        A path, `sftp://user@host/path` or `s3://bucket/path`.
    bytes_per_s : float or None
        Upper limit of the rate, over all files.

    Raises
    ------
    OnboardError
        If the URL is of no known kind or the far end cannot be reached.
    """

    def __init__(self, url: str, bytes_per_s: float | None = None):
        # fsspec, and what it loads for a URL, is needed for offloading only.
        import fsspec

        self._url = url
        self._bytes_per_s = bytes_per_s
        options: dict[str, Any] = {}
        try:
            if url.startswith(("sftp://", "ssh://")):
                from onboard.knownhosts import KnownHosts

                options["host_key_policy"] = KnownHosts
            self._files, self._root = fsspec.core.url_to_fs(url, **options)
        except ImportError as problem:
            raise OnboardError(f"{url}: {problem}") from problem
        except Exception as problem:
            # Each kind of far end has errors of its own.
            raise OnboardError(f"{url} cannot be reached: {problem}") from problem
        # Object stores write a file whole or not at all.
        kind = self._files.protocol
        kinds = {kind} if isinstance(kind, str) else set(kind)
        self._appends = bool(kinds & {"file", "local", "sftp", "ssh"})
        self._sent_bytes = 0
        self._begun = time.monotonic()

    def send(self, trip: Path, name: PurePosixPath, progress: Progress) -> Sent:
        """Send one closed trip; its manifest goes last, so that a part is never taken for all.

        Raises
        ------
        DeviceError
            If the connection breaks or a file does not arrive as it was sent.
        TripError
            If the trip here differs from its manifest.
        """
        manifest = read_manifest(trip)
        try:
            return self._send(trip, name, manifest, progress)
        except OnboardError:
            raise
        except Exception as problem:
            raise DeviceError(f"{self._url}: {problem}") from problem

    def _send(
        self, trip: Path, name: PurePosixPath, manifest: Manifest, progress: Progress
    ) -> Sent:
        size = resumed = 0
        for file, entry in manifest.files.items():
            target = f"{self._root}/{name}/{file}"
            resumed += self._send_file(trip / file, target, entry.sha256, progress)
            size += entry.size
        own_hash = hashlib.sha256((trip / MANIFEST).read_bytes()).hexdigest()
        self._send_file(trip / MANIFEST, f"{self._root}/{name}/{MANIFEST}", own_hash, progress)
        return Sent(trip, size, resumed)

    def _send_file(self, source: Path, target: str, sha256: str, progress: Progress) -> int:
        """Send one file unless it is there; returns how many bytes were there before."""
        size = source.stat().st_size
        if self._files.exists(target) and self._sha256(target) == sha256:
            progress(size)
            return size
        part = f"{target}.part"
        self._files.makedirs(target.rpartition("/")[0], exist_ok=True)
        there = 0
        if self._appends and self._files.exists(part):
            there = min(int(self._files.size(part) or 0), size)
        for begin in (there, 0) if there else (0,):
            self._copy(source, part if self._appends else target, begin, progress)
            if self._sha256(part if self._appends else target) == sha256:
                if self._appends:
                    if self._files.exists(target):
                        self._files.rm_file(target)
                    self._files.mv(part, target)
                return begin
        with source.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise TripError(f"{source} differs from its SHA-256 in the manifest")
        raise DeviceError(f"{self._url}: {target} did not arrive as it was sent")

    def _copy(self, source: Path, target: str, begin: int, progress: Progress) -> None:
        progress(begin)
        with source.open("rb") as local, self._files.open(target, "ab" if begin else "wb") as far:
            local.seek(begin)
            while block := local.read(BLOCK_BYTES):
                far.write(block)
                progress(len(block))
                self._throttle(len(block))

    def _throttle(self, sent: int) -> None:
        self._sent_bytes += sent
        if self._bytes_per_s is not None:
            due_s = self._sent_bytes / self._bytes_per_s
            ahead_s = due_s - (time.monotonic() - self._begun)
            if ahead_s > 0:
                time.sleep(ahead_s)

    def _sha256(self, target: str) -> str:
        digest = hashlib.sha256()
        with self._files.open(target, "rb") as far:
            while block := far.read(BLOCK_BYTES):
                digest.update(block)
        return digest.hexdigest()


def unsent_trips(folder: Path) -> list[Path]:
    """Closed trips that have not been sent, in name order."""
    return [
        path
        for path in find_trips(folder)
        if (path / MANIFEST).exists() and not (path / SENT_MARK).exists()
    ]


def offload(folder: Path, far_end: FarEnd, url: str, trip: Path, progress: Progress) -> Sent:
    """Send one trip, then mark it as sent.

    Parameters
    ----------
    folder : Path
        Folder of all trips; the trip keeps its place under it at the far end.
    """
    sent = far_end.send(trip, PurePosixPath(*trip.relative_to(folder).parts), progress)
    mark: dict[str, Any] = {
        "to": url.split("@")[-1],
        "utc_ns": time.time_ns(),
        "sha256": read_manifest(trip).sha256(),
    }
    write_atomically(trip / SENT_MARK, json.dumps(mark) + "\n")
    return sent
