"""Puts a foreign video and a foreign log together into one trip."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import Final

from offline.errors import InputError
from offline.importing.footage import Progress, add_video
from offline.importing.layouts import Log, read_log
from offline.importing.moments import in_utc
from offline.video import VideoIndex, index_video
from onboard.trip import Trip, TripWriter

BOOT_ID: Final = "import"
"""Stands for the boot of the recording computer in an imported trip's clock."""
LEAST_OVERLAP_S: Final = 1.0


@dataclass(frozen=True)
class Request:
    """What is to be imported, and what the user says about it.

    Attributes
    ----------
    obd, video : Path or None
        At least one is needed.
    offset_s : float or None
        When the log's first row was, in seconds after the video's first picture.
    zone : tzinfo or None
        Time zone of a log that names none.
    speed_unit, temperature_unit : str or None
        `km/h` or `mph`, `C` or `F`, against what the header says.
    fov_deg : float or None
        Horizontal field of view of the middle 16:9 of the video's pictures.
    """

    obd: Path | None
    video: Path | None
    vehicle: str
    driver: str
    vehicle_class: str = "car"
    offset_s: float | None = None
    zone: tzinfo | None = None
    speed_unit: str | None = None
    temperature_unit: str | None = None
    fov_deg: float | None = None


@dataclass(frozen=True)
class Imported:
    """What came of an import.

    Attributes
    ----------
    path : Path
        The new trip.
    layout : str
        The log's, empty without one.
    samples : dict of str to int
        Readings by signal.
    frames : int
    offset_s : float or None
        Of log to video; None where one of them is missing.
    notes : list of str
    """

    path: Path
    layout: str
    samples: dict[str, int]
    frames: int
    offset_s: float | None
    notes: list[str] = field(default_factory=list)


def import_trip(request: Request, out: Path, *, progress: Progress | None = None) -> Imported:
    """Make a trip; nothing is left where that fails.

    Parameters
    ----------
    request : Request
    out : Path
        Folder of trips; the new one is `out/<vehicle>/<UTC start>-<id>`. The id comes from the
        files' content, so that the same import twice is noticed.

    Raises
    ------
    InputError
        A file cannot be read as what it should be, log and video cannot be aligned, or the trip
        is there already.
    """
    if request.obd is None and request.video is None:
        raise InputError("nothing to import: give --obd, --video or both")
    log = None
    if request.obd is not None:
        log = read_log(
            request.obd,
            speed_unit=request.speed_unit,
            temperature_unit=request.temperature_unit,
        )
    index = index_video(request.video) if request.video is not None else None
    notes = list(log.notes) if log is not None else []
    offset_s = None
    if log is not None and index is not None:
        offset_s = _offset(log, index, request, notes)
    start = _start(log, index, offset_s, request, notes)
    try:
        out.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(prefix=".import-", dir=out))
    except OSError as problem:
        raise InputError(f"cannot write to {out}: {problem.strerror}") from problem
    try:
        made = _write(request, log, index, offset_s, start, workshop, notes, progress)
        target = out / made.relative_to(workshop)
        if target.exists():
            raise InputError(f"{target} exists already: these files were imported before")
        target.parent.mkdir(exist_ok=True)
        made.rename(target)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)
    with Trip.open(target) as trip:
        counts = {name: int(found.t_mono_ns.size) for name, found in trip.samples().items()}
        frames = int(trip.frames().index.size)
    return Imported(target, log.layout if log else "", counts, frames, offset_s, notes)


@dataclass(frozen=True)
class _Start:
    """When a trip began: its folder's name, and UTC where it is really known."""

    moment: datetime
    known: bool


def _offset(log: Log, index: VideoIndex, request: Request, notes: list[str]) -> float:
    video_s = float(index.t_s[-1])
    if request.offset_s is not None:
        offset_s = request.offset_s
    else:
        log_start = in_utc(log.started, request.zone) if log.started is not None else None
        lacking = [
            name
            for name, start in (("the log", log.started), ("the video", index.created))
            if start is None
        ]
        if lacking:
            raise InputError(
                f"{' and '.join(lacking)} {'carry' if len(lacking) > 1 else 'carries'} no date: "
                "give --offset SECONDS, the time of the log's first row after the video's first "
                "picture (0 if both began together)"
            )
        if log_start is None or index.created is None:
            raise InputError(
                f"the log names no time zone (it began at {log.started:%Y-%m-%d %H:%M:%S}): give "
                "--timezone, such as Europe/Berlin, or --offset SECONDS"
            )
        offset_s = (log_start - index.created).total_seconds()
        notes.append(f"log and video were aligned by their clocks: offset {offset_s:+.1f} s")
    overlap_s = min(video_s, offset_s + log.duration_s) - max(0.0, offset_s)
    if overlap_s < LEAST_OVERLAP_S:
        raise InputError(
            f"log and video do not overlap: with an offset of {offset_s:+.1f} s the log runs from "
            f"{offset_s:.0f} to {offset_s + log.duration_s:.0f} s of a video of {video_s:.0f} s; "
            "give the right --offset or --timezone"
        )
    return offset_s


def _start(
    log: Log | None,
    index: VideoIndex | None,
    offset_s: float | None,
    request: Request,
    notes: list[str],
) -> _Start:
    """The moment of the trip's time 0, the earlier of the log's and the video's first."""
    if log is not None and log.started is not None:
        known = in_utc(log.started, request.zone)
        if known is None:
            notes.append("the log names no time zone: its time was taken as UTC")
        moment = known or log.started.replace(tzinfo=UTC)
        return _Start(moment - timedelta(seconds=max(0.0, offset_s or 0.0)), known is not None)
    if index is not None and index.created is not None:
        return _Start(index.created + timedelta(seconds=min(0.0, offset_s or 0.0)), True)
    source = request.video or request.obd
    assert source is not None
    notes.append("no date in log or video: the file's own date stands for the start")
    return _Start(datetime.fromtimestamp(source.stat().st_mtime, UTC), False)


def _write(
    request: Request,
    log: Log | None,
    index: VideoIndex | None,
    offset_s: float | None,
    start: _Start,
    workshop: Path,
    notes: list[str],
    progress: Progress | None,
) -> Path:
    utc_ns = round(start.moment.timestamp() * 1e9)
    writer = TripWriter.create(
        workshop,
        vehicle=request.vehicle,
        driver=request.driver,
        vehicle_class=request.vehicle_class,
        camera=request.video.name if request.video else "",
        fov_deg=request.fov_deg if request.video else None,
        origin={
            "video": "recorded" if index is not None else "none",
            "obd": "measured" if log is not None else "none",
            "note": "",
        },
        started_utc_ns=utc_ns,
        trip_id=f"{start.moment.astimezone(UTC):%Y%m%dT%H%M%SZ}-{_content_id(request)}",
    )
    try:
        end_ns = 0
        log_start_ns = round(max(0.0, offset_s or 0.0) * 1e9)
        video_start_ns = round(max(0.0, -(offset_s or 0.0)) * 1e9)
        if log is not None:
            add_log(writer, log, log_start_ns)
            end_ns = log_start_ns + round(log.duration_s * 1e9)
        if index is not None:
            add_video(writer, index.path, start_mono_ns=video_start_ns, progress=progress)
            end_ns = max(end_ns, video_start_ns + round(float(index.t_s[-1]) * 1e9))
        if start.known:
            for t_ns in (0, end_ns):
                writer.add_clock(t_ns, t_ns, utc_ns + t_ns, BOOT_ID)
        for note in notes:
            writer.add_journal(0, "import", note)
        writer.close("imported")
    finally:
        writer.abandon()
    return writer.path


def add_log(writer: TripWriter, log: Log, start_mono_ns: int) -> None:
    """Add a log's readings to a trip, in order of time; impossible values become missing.

    Parameters
    ----------
    start_mono_ns : int
        The trip's time of the log's first row.
    """
    rows = [
        (start_mono_ns + round(t_s * 1e9), signal, value, status)
        for signal, found in log.readings.items()
        for t_s, value, status in zip(found.t_s.tolist(), found.value, found.status, strict=True)
    ]
    for row in sorted(rows, key=lambda row: row[0]):
        writer.add_sample(*row)


def _content_id(request: Request) -> str:
    digest = hashlib.sha256()
    for path in (request.obd, request.video):
        if path is not None:
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()[:6]
