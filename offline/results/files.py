"""Files of the result store: written whole or not at all, found again by name.

    RESULTS/timelines/<trip>.<token>.parquet   one row a grid point
    RESULTS/labels/<trip>.<token>.parquet      one row a labelled frame
    RESULTS/stills/<trip>.<token>.zip          camera stills, uncompressed, named <frame>.jpg

Each scoring writes under a new token, and the database row that names its files is committed
after they are on the disk: at no moment does a row name a file that is not whole. The replaced
files are removed last. A crash in between leaves files that no row names; `sweep` removes them.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import uuid
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Final

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from offline.errors import StoreError

KINDS: Final = ("timelines", "labels", "stills")


def file_stem(trip_id: str, variant: str) -> str:
    """Name of a trip's files: readable, safe on every file system, one folder a vehicle."""
    parts = [re.sub(r"[^\w.+-]", "_", part).lstrip(".") or "_" for part in trip_id.split("/")]
    return "/".join(parts) + ("" if variant == "standard" else f".{variant}")


def sync_folder(folder: Path) -> None:
    """Make the names in a folder as lasting as the files they lead to."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class ResultFiles:
    """The results folder: a path, or an fsspec URL of an object store (`s3://bucket/results`).

    Raises
    ------
    StoreError
        From every method, if the file cannot be read or written.
    """

    def __init__(self, root: str | Path) -> None:
        self.root = str(root)
        self._remote: Any = None
        if "://" in self.root:
            # fsspec is a dependency of large installations only in effect: imported when named.
            import fsspec

            try:
                self._remote, self._base = fsspec.core.url_to_fs(self.root)
            except (ImportError, ValueError) as problem:
                raise StoreError(f"{self.root}: {problem}") from None
        else:
            self._folder = Path(self.root).absolute()

    @property
    def folder(self) -> Path | None:
        """The local folder, None on an object store."""
        return None if self._remote is not None else self._folder

    def write_parquet(self, kind: str, stem: str, frame: pd.DataFrame) -> str:
        """Write a frame and return the name to store in the row."""
        table = pa.Table.from_pandas(frame, preserve_index=False)
        # zstd at level 1: much smaller than snappy's and as fast on timelines.
        return self._write(
            f"{kind}/{stem}.{uuid.uuid4().hex[:8]}.parquet",
            lambda path: pq.write_table(table, path, compression="zstd", compression_level=1),
        )

    def write_stills(self, stem: str, stills: Iterable[tuple[int, bytes]]) -> str | None:
        """Pack stills (frame index, JPEG) into one file; None where there are none."""
        count = 0

        def pack(path: Path) -> None:
            nonlocal count
            # JPEG does not compress further: stored, a still is one read at a known offset.
            with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
                for frame, jpeg in stills:
                    archive.writestr(zipfile.ZipInfo(f"{frame}.jpg"), jpeg)
                    count += 1

        name = self._write(f"stills/{stem}.{uuid.uuid4().hex[:8]}.zip", pack)
        if count == 0:
            self.remove(name)
            return None
        return name

    def read_parquet(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read a frame, or those of some columns that it has."""
        with self._open(name) as file:
            try:
                parquet = pq.ParquetFile(file)
                if columns is None:
                    table = parquet.read()
                else:
                    wanted = [name for name in columns if name in parquet.schema_arrow.names]
                    table = parquet.read(wanted).select(wanted)
            except (pa.ArrowException, OSError) as problem:
                raise StoreError(f"{name}: {problem}") from None
        return table.to_pandas()

    def still(self, name: str, frame: int) -> bytes | None:
        """Return the JPEG of one frame, None where the pack has none."""
        with self._open(name) as file, zipfile.ZipFile(file) as archive:
            try:
                return archive.read(f"{frame}.jpg")
            except KeyError:
                return None

    def still_frames(self, name: str) -> list[int]:
        """Return the frames that have a still, in order."""
        with self._open(name) as file, zipfile.ZipFile(file) as archive:
            return sorted(int(entry.removesuffix(".jpg")) for entry in archive.namelist())

    def size(self, name: str) -> int:
        """Return a file's size in bytes, 0 where there is none."""
        try:
            if self._remote is not None:
                return int(self._remote.size(f"{self._base}/{name}") or 0)
            return (self._folder / name).stat().st_size
        except FileNotFoundError:
            return 0

    def remove(self, name: str) -> int:
        """Remove a file if it is there; returns its size in bytes, 0 where there was none."""
        size = self.size(name)
        try:
            if self._remote is not None:
                self._remote.rm_file(f"{self._base}/{name}")
            else:
                (self._folder / name).unlink()
        except FileNotFoundError:
            return 0
        except OSError as problem:
            raise StoreError(f"cannot remove {name}: {problem}") from None
        return size

    def names(self) -> list[str]:
        """Name every file, relative to the root."""
        found: list[str] = []
        for kind in KINDS:
            if self._remote is not None:
                base = self._base.strip("/") + "/"
                paths = self._remote.find(f"{self._base}/{kind}")
                found += [path.strip("/").removeprefix(base) for path in paths]
            else:
                paths = (self._folder / kind).rglob("*")
                found += [p.relative_to(self._folder).as_posix() for p in paths if p.is_file()]
        return found

    def sweep(self, named: set[str]) -> int:
        """Remove the files that no row names; returns how many. Only the one writer may call it."""
        orphans = [name for name in self.names() if name not in named]
        for name in orphans:
            self.remove(name)
        return len(orphans)

    def _open(self, name: str) -> IO[bytes]:
        try:
            if self._remote is not None:
                opened: IO[bytes] = self._remote.open(f"{self._base}/{name}", "rb")
                return opened
            return (self._folder / name).open("rb")
        except OSError as problem:
            raise StoreError(f"cannot read {name} in {self.root}: {problem}") from None

    def _write(self, name: str, fill: Callable[[Path], object]) -> str:
        """Write through a temporary file, so that `name` is whole or does not exist."""
        try:
            if self._remote is not None:
                # Object stores publish an upload only once it is complete.
                with tempfile.TemporaryDirectory() as scratch:
                    local = Path(scratch) / "file"
                    fill(local)
                    self._remote.makedirs(f"{self._base}/{name}".rpartition("/")[0], exist_ok=True)
                    self._remote.put_file(str(local), f"{self._base}/{name}")
                return name
            target = self._folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            temporary = target.with_name(f".{target.name}.tmp")
            try:
                fill(temporary)
                descriptor = os.open(temporary, os.O_RDONLY)
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
                temporary.replace(target)
            finally:
                temporary.unlink(missing_ok=True)
            sync_folder(target.parent)
        except OSError as problem:
            free = ""
            if self._remote is None and Path(self._folder).exists():
                free = f" ({shutil.disk_usage(self._folder).free // 2**20} MB free)"
            raise StoreError(f"cannot write {name} in {self.root}{free}: {problem}") from problem
        return name
