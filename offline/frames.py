"""Where pictures come from: a trip, a video, a folder of stills; each by its fastest path.

A trip's stills are read from its database (0.75 ms each). A video with dense keyframes gives
its keyframes only, any other is read once from start to end, with the pictures between by which
motion is followed.
"""

from __future__ import annotations

import heapq
import queue
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, TypeVar

import numpy as np

from offline import video
from offline.errors import InputError
from offline.mounting import MAX_APART_S
from offline.odometer import Odometer
from offline.preprocessing import (
    STILLS_HZ,
    Image,
    between,
    plane,
    plane_of_jpeg,
    plane_of_motion_still,
    still,
)
from onboard.trip import Frames, Trip

DEFAULT_RATE_HZ: Final = STILLS_HZ
"""Labels a second; also the least rate of pictures: up to 50 km/h they are at most 7 m apart, about
as far as the planes of a stack. Above that planes repeat, in training as well."""
STILL_SUFFIXES: Final = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture on its way to the network.

    Attributes
    ----------
    source : str
        Name of the file or trip it comes from.
    sequence : str
        Pictures of one sequence were taken by one camera on one drive and may be stacked.
    index : int
        Index of the frame in its video, or position of the still in its folder.
    t_ns : int
        Capture time: CLOCK_MONOTONIC of a trip, else since the sequence's first picture.
    plane : ndarray of uint8, shape (96, 160), or None
        None where the picture is unreadable.
    wanted : bool
        False for pictures read only as later planes of a stack.
    between : bool
        True for pictures that lie between those, by which the camera's motion is followed; they
        join no stack.
    """

    source: str
    sequence: str
    index: int
    t_ns: int
    plane: Image | None
    wanted: bool = True
    between: bool = False


class FrameSource(Protocol):
    """Something that gives frames, sequence by sequence, each in order of time.

    Attributes
    ----------
    count : int
        How many frames there are to label, for a progress bar.
    start_ns : int
        What `t_ns` is counted from when it is shown as seconds.
    odometer : Odometer or None
        Distance driven at `t_ns`; None where the pictures came without a speed.
    fov_deg : float or None
        Horizontal field of view of the planes; None where nobody told.
    """

    count: int
    start_ns: int
    odometer: Odometer | None
    fov_deg: float | None

    def frames(self) -> Iterator[Frame]: ...


class StillsOfTrip:
    """The stills that the logger keeps in a trip's database, and the motion stills between."""

    def __init__(self, trip: Trip) -> None:
        self._trip = trip
        self.count = sum(1 for _ in trip.stills())
        self.start_ns = start_of_trip_ns(trip)
        self.odometer: Odometer | None = Odometer.of_trip(trip)
        self.fov_deg = trip.info.fov_deg

    def frames(self) -> Iterator[Frame]:
        name = self._trip.path.name
        stills = ((entry, plane_of_jpeg, False) for entry in self._trip.stills())
        motion = ((entry, plane_of_motion_still, True) for entry in self._trip.motion_stills())
        in_order = heapq.merge(stills, motion, key=lambda each: each[0].frame_index)
        for entry, decode, is_between in in_order:
            yield Frame(
                name,
                name,
                entry.frame_index,
                entry.t_mono_ns,
                decode(entry.jpeg),
                wanted=not is_between,
                between=is_between,
            )


class VideoFrames:
    """A video file at an even rate.

    Parameters
    ----------
    path : Path
    rate_hz : float
        Labels a second. Below 2 more pictures are read, so that stacks are complete.
    sequence : str, optional
        Name of the drive it belongs to; the file's own by default.
    fov_deg : float, optional
        Horizontal field of view of the middle 16:9 of the pictures.
    rows : Frames, optional
        For a segment of a trip: what the trip knows of its frames. Pictures without a row are
        left out.

    Raises
    ------
    InputError
        The file is no video.
    """

    def __init__(
        self,
        path: Path,
        *,
        rate_hz: float = DEFAULT_RATE_HZ,
        sequence: str = "",
        fov_deg: float | None = None,
        rows: Frames | None = None,
    ) -> None:
        self._sequence = sequence or path.name
        self._index = video.index_video(path)
        if rows is None:
            positions = np.arange(self._index.pts.size)
            self._number = positions
            self._t_ns = np.round(self._index.t_s * 1e9).astype(np.int64)
        else:
            _, positions, matched = np.intersect1d(
                self._index.pts, rows.pts, assume_unique=True, return_indices=True
            )
            self._number = rows.index[matched]
            self._t_ns = rows.t_mono_ns[matched]
        every = max(1, int(np.ceil(DEFAULT_RATE_HZ / rate_hz - 1e-9)))
        self._chosen, steps = video.nearest_on_grid(
            self._t_ns / 1e9, self._index.keyframe[positions], rate_hz * every
        )
        self._wanted = dict(zip(self._chosen.tolist(), (steps % every == 0).tolist(), strict=True))
        self.count = sum(self._wanted.values())
        read = self._chosen
        if not self._index.keyframe[positions[read]].all():
            # Where all frames are decoded anyway, those between cost little.
            following = between(self._t_ns / 1e9, read, MAX_APART_S)
            read = np.sort(np.concatenate([read, following]))
        self._read, self._positions = read, positions[read]
        self.start_ns = 0
        self.odometer: Odometer | None = None
        self.fov_deg = fov_deg

    def frames(self) -> Iterator[Frame]:
        pictures = video.pictures(self._index, self._positions)
        for known, (_, picture) in zip(self._read.tolist(), pictures, strict=True):
            yield Frame(
                self._sequence,
                self._sequence,
                int(self._number[known]),
                int(self._t_ns[known]),
                None if picture is None else plane(still(picture)),
                wanted=self._wanted.get(known, False),
                between=known not in self._wanted,
            )


class VideoOfTrip:
    """The video segments of a trip that kept no stills, or at a rate they do not have."""

    def __init__(self, trip: Trip, *, rate_hz: float = DEFAULT_RATE_HZ) -> None:
        table = trip.frames()
        self._segments = []
        for path in trip.video_files():
            row = np.flatnonzero(table.segment == int(path.stem))
            if row.size:
                rows = Frames(
                    table.index[row], table.segment[row], table.pts[row], table.t_mono_ns[row]
                )
                self._segments.append(
                    VideoFrames(path, rate_hz=rate_hz, sequence=trip.path.name, rows=rows)
                )
        self.count = sum(segment.count for segment in self._segments)
        self.start_ns = start_of_trip_ns(trip)
        self.odometer: Odometer | None = Odometer.of_trip(trip)
        self.fov_deg = trip.info.fov_deg

    def frames(self) -> Iterator[Frame]:
        for segment in self._segments:
            yield from segment.frames()


class FolderFrames:
    """A folder of stills in name order.

    Stills whose names agree up to the last number (`drive1_000.jpg`, `drive1_001.jpg`) are one
    sequence taken at the given rate; others are never stacked together.

    Raises
    ------
    InputError
        The folder holds no picture file.
    """

    def __init__(
        self, folder: Path, *, rate_hz: float = DEFAULT_RATE_HZ, fov_deg: float | None = None
    ) -> None:
        self._rate_hz = rate_hz
        self._files = sorted(
            (path for path in folder.iterdir() if path.suffix.lower() in STILL_SUFFIXES),
            key=_name_order,
        )
        if not self._files:
            raise InputError(
                f"{folder} holds no pictures ({', '.join(STILL_SUFFIXES)}) and is no trip"
            )
        self.count = len(self._files)
        self.start_ns = 0
        self.odometer: Odometer | None = None
        self.fov_deg = fov_deg

    def frames(self) -> Iterator[Frame]:
        position_in: dict[str, int] = {}
        for index, path in enumerate(self._files):
            sequence = _name_order(path)[0]
            position = position_in.get(sequence, 0)
            position_in[sequence] = position + 1
            picture = plane_of_jpeg(path.read_bytes())
            yield Frame(path.name, sequence, index, round(position / self._rate_hz * 1e9), picture)


def _name_order(path: Path) -> tuple[str, int, str]:
    match = re.search(r"(\d+)(?!.*\d)", path.stem)
    if match is None:
        return path.stem, 0, path.name
    return path.stem[: match.start()], int(match.group(1)), path.name


def of_trip(trip: Trip, *, rate_hz: float | None = None) -> FrameSource | None:
    """The fastest source of a trip's pictures at the rate asked for.

    Parameters
    ----------
    trip : Trip
    rate_hz : float, optional
        Labels a second; where missing, every still, or 2 from the video.

    Returns
    -------
    FrameSource or None
        None where the trip has neither stills nor video.
    """
    stills = StillsOfTrip(trip)
    files = trip.video_files()
    if stills.count and (rate_hz is None or not files):
        return stills
    if files:
        return VideoOfTrip(trip, rate_hz=rate_hz or DEFAULT_RATE_HZ)
    return None


def start_of_trip_ns(trip: Trip) -> int:
    """CLOCK_MONOTONIC time of a trip's first sample or frame, 0 for an empty trip."""
    starts = [entry.t_mono_ns[:1] for entry in trip.samples().values()]
    starts.append(trip.frames().t_mono_ns[:1])
    every = np.concatenate(starts)
    return int(every.min()) if every.size else 0


Item = TypeVar("Item")


def read_ahead(items: Iterator[Item], depth: int = 32) -> Iterator[Item]:
    """Give what an iterator gives, produced ahead in a thread of its own.

    Decoding, JPEG and network run outside Python's lock, so they overlap. An error of the
    iterator is raised where its item would have come.
    """
    waiting: queue.Queue[tuple[bool, Item | BaseException | None]] = queue.Queue(depth)
    stopped = threading.Event()

    def offer(entry: tuple[bool, Item | BaseException | None]) -> None:
        while not stopped.is_set():
            try:
                waiting.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return

    def produce() -> None:
        try:
            for item in items:
                offer((True, item))
                if stopped.is_set():
                    return
            offer((False, None))
        except BaseException as problem:  # noqa: BLE001  (raised again by the reader)
            offer((False, problem))

    producer = threading.Thread(target=produce, name="read-ahead", daemon=True)
    producer.start()
    try:
        while True:
            more, item = waiting.get()
            if not more:
                if isinstance(item, BaseException):
                    raise item
                return
            yield item  # type: ignore[misc]
    finally:
        stopped.set()
        producer.join()
