"""From the crash-safe file of a recording to an MP4 that players can seek.

Browsers play and stream it where it holds H.264; none plays MJPEG in MP4.
"""

from __future__ import annotations

import errno
import os
import re
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import av
from av.container import InputContainer
from av.video.stream import VideoStream

from onboard.errors import TripError
from onboard.jpeg import whole_jpeg
from onboard.manifest import sync_folder
from onboard.tripschema import START_MARK, TS_TICKS_PER_S

_START: Final = re.compile(re.escape(START_MARK.encode()) + rb"(\d+);")
_HEAD_BYTES: Final = 4096
"""The start stands in MPEG-TS's first packet, the service description, and in NUT's title."""


def remux_segment(recording: Path) -> Path | None:
    """Turn `video/NNNN.ts` (or `.nut`) into `video/NNNN.mp4`, then delete the former.

    The pictures are copied bit for bit with their presentation times, index first (faststart).
    Interrupted at any moment, either the recording or a whole .mp4 is there. Where the disk has no
    room for the copy, the recording stays as it is: every reader of trips takes both.

    Returns
    -------
    Path or None
        The MP4, or the recording where there was no room; None where it held not one whole
        frame (it is deleted).

    Raises
    ------
    TripError
        If the recording holds data and no video can be read from it (it is kept).
    """
    finished = recording.with_suffix(".mp4")
    if finished.exists():
        # Renamed whole before the recording could be deleted.
        recording.unlink()
        return finished
    if recording.stat().st_size == 0:
        recording.unlink()
        return None
    beside = recording.with_name(f".{recording.stem}.mp4.new")
    try:
        packets = _copy(recording, beside)
    except (av.FFmpegError, IndexError) as problem:
        beside.unlink(missing_ok=True)
        if getattr(problem, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            return recording
        if recording.stat().st_size < 4096:
            # Nothing but the tables that every recording starts with.
            recording.unlink()
            return None
        raise TripError(f"{recording} cannot be read as video: {problem}") from problem
    if packets == 0:
        beside.unlink(missing_ok=True)
        recording.unlink()
        return None
    with beside.open("rb") as file:
        os.fsync(file.fileno())
    beside.replace(finished)
    sync_folder(finished.parent)
    recording.unlink()
    return finished


def _copy(recording: Path, target: Path) -> int:
    options = {"movflags": "+faststart", "video_track_timescale": str(TS_TICKS_PER_S)}
    packets = 0
    with (
        av.open(str(recording)) as source,
        av.open(str(target), "w", format="mp4", options=options) as sink,
    ):
        incoming = source.streams.video[0]
        outgoing = sink.add_stream_from_template(incoming)
        for packet in whole_packets(source, incoming):
            packet.stream = outgoing
            sink.mux(packet)
            packets += 1
    return packets


def whole_packets(source: InputContainer, stream: VideoStream) -> Iterator[av.Packet]:
    """A recording's packets, without the half of one that a kill in mid-write leaves."""
    group: list[av.Packet] = []
    for packet in source.demux(stream):
        if packet.dts is None:
            continue
        if packet.is_keyframe:
            yield from group
            group.clear()
        group.append(packet)
    if group and _ends_torn(group, stream):
        group.pop()
    yield from group


def _ends_torn(group: list[av.Packet], stream: VideoStream) -> bool:
    """Whether the last packet since a keyframe is cut short."""
    if stream.codec_context.name == "mjpeg":
        return whole_jpeg(bytes(group[-1])) is None
    # FFmpeg's H.264 parser marks the packet before the one that is shorter than MPEG-TS says; how
    # long pictures over 64 KB are it does not say, and only decoding shows a torn one.
    if len(group) > 1 and group[-2].is_corrupt:
        return True
    try:
        last = deque((frame for packet in group for frame in packet.decode()), maxlen=1)
        last.extend(stream.codec_context.decode(None))
    except av.error.InvalidDataError:
        return True
    return not last or last[0].is_corrupt


def start_of_recording_ns(recording: Path) -> int | None:
    """CLOCK_MONOTONIC at presentation time 0 of a recording, None where not even that is in it."""
    with recording.open("rb") as file:
        found = _START.search(file.read(_HEAD_BYTES))
    return None if found is None else int(found[1])


def presentation_times(recording: Path) -> list[int]:
    """Presentation time stamps of a recording's frames, ascending, in 1/90000 s.

    Raises
    ------
    TripError
        If the file holds data and cannot be read as video.
    """
    if recording.stat().st_size == 0:
        return []
    try:
        with av.open(str(recording)) as source:
            stream = source.streams.video[0]
            return sorted(p.pts for p in whole_packets(source, stream) if p.pts is not None)
    except (av.FFmpegError, IndexError) as problem:
        if recording.stat().st_size < 4096:
            return []
        raise TripError(f"{recording} cannot be read as video: {problem}") from problem
