"""Reading a video file: what is in it, and chosen pictures of it without seeking.

Seeking for every picture decodes the same frames again and again (0.66 of the speed of reading
straight through), so chosen pictures are taken while reading once from the start: keyframes
only where they are dense enough (8.7 times the speed), else every frame.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from offline.errors import InputError
from offline.preprocessing import Image, nearest


@dataclass(frozen=True)
class VideoIndex:
    """What a video file holds, read from its packets without decoding them.

    Attributes
    ----------
    pts : ndarray of int64, shape (n,)
        Presentation times of all frames in ascending order, in units of `time_base_s`.
    keyframe : ndarray of bool, shape (n,)
    time_base_s : float
    codec, pixel_format : str
        As FFmpeg names them.
    width, height : int
    created : datetime or None
        When the recording began (UTC), if the container says so.
    """

    path: Path
    pts: NDArray[np.int64]
    keyframe: NDArray[np.bool_]
    time_base_s: float
    codec: str
    pixel_format: str
    width: int
    height: int
    created: datetime | None

    @property
    def t_s(self) -> NDArray[np.float64]:
        """Seconds since the first frame."""
        return np.asarray((self.pts - self.pts[0]) * self.time_base_s, np.float64)


def index_video(path: Path) -> VideoIndex:
    """Read what a video holds.

    Raises
    ------
    InputError
        The file cannot be read, is no video or holds no picture.
    """
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise InputError(f"{path} holds no video")
            stream = container.streams.video[0]
            found: dict[int, bool] = {}
            try:
                for packet in container.demux(stream):
                    if packet.pts is not None:
                        found[packet.pts] = packet.is_keyframe
            except av.error.InvalidDataError:
                # A file cut short keeps what can be read up to the cut.
                pass
            pts = np.array(sorted(found), np.int64)
            if pts.size == 0 or not stream.width or stream.time_base is None:
                raise InputError(f"{path} holds no picture")
            return VideoIndex(
                path=path,
                pts=pts,
                keyframe=np.array([found[value] for value in pts.tolist()], np.bool_),
                time_base_s=float(stream.time_base),
                codec=stream.codec_context.name,
                pixel_format=stream.codec_context.pix_fmt or "",
                width=stream.width,
                height=stream.height,
                created=_created(container.metadata, stream.metadata),
            )
    except (av.error.FFmpegError, OSError) as problem:
        raise InputError(f"cannot read {path} as a video: {_reason(problem)}") from problem


def pictures(
    index: VideoIndex, chosen: NDArray[np.int64], *, threads: int = 1
) -> Iterator[tuple[int, Image | None]]:
    """Decode chosen frames, reading the file once from the start.

    Where all of them are keyframes, nothing else is decoded; of other groups of pictures only
    those that the chosen frames need.

    Parameters
    ----------
    index : VideoIndex
    chosen : ndarray of int64
        Positions in `index.pts`, ascending.

    Yields
    ------
    tuple of int and ndarray of uint8, shape (h, w, 3), or None
        Position and picture (BGR, as it is to be shown), None where it could not be decoded.

    Raises
    ------
    InputError
        The file can no longer be read.
    """
    keyframes_only = bool(index.keyframe[chosen].all())
    waiting = iter(chosen.tolist())
    next_position = next(waiting, None)
    position_of = {int(index.pts[position]): position for position in chosen.tolist()}
    try:
        with av.open(str(index.path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = threads
            if keyframes_only:
                stream.codec_context.skip_frame = "NONKEY"
            needed = _needed_groups(index, chosen)
            for frame in _decoded(container, stream, keyframes_only, needed):
                position = position_of.get(frame.pts)
                if position is None or next_position is None or position < next_position:
                    continue
                while next_position is not None and next_position < position:
                    yield next_position, None
                    next_position = next(waiting, None)
                yield position, _upright(frame)
                next_position = next(waiting, None)
                if next_position is None:
                    return
    except (av.error.FFmpegError, OSError) as problem:
        raise InputError(f"cannot read {index.path} as a video: {_reason(problem)}") from problem
    while next_position is not None:
        yield next_position, None
        next_position = next(waiting, None)


def _needed_groups(index: VideoIndex, chosen: NDArray[np.int64]) -> set[int | None]:
    """Presentation times of the keyframes whose groups are to be decoded.

    A frame shown just before a keyframe may be decoded after it, so the following group belongs
    to it. None stands for what comes before the first keyframe.
    """
    keys = index.pts[index.keyframe]
    group = np.unique(np.searchsorted(keys, index.pts[chosen], side="right") - 1)
    needed: set[int | None] = {int(keys[g]) for g in (*group, *(group + 1)) if 0 <= g < keys.size}
    if group.size and group[0] < 0:
        needed.add(None)
    return needed


def _decoded(
    container: Any, stream: Any, keyframes_only: bool, needed: set[int | None]
) -> Iterator[Any]:
    packets = container.demux(stream)
    group: int | None = None
    skipped = False
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.InvalidDataError):
            return
        if packet.is_keyframe and packet.pts is not None:
            group = packet.pts
        # The last packet, without a time, asks for what the decoder still holds.
        unneeded = group not in needed or (keyframes_only and not packet.is_keyframe)
        if packet.pts is not None and unneeded:
            skipped = skipped or group not in needed
            continue
        if skipped and not keyframes_only:
            # A decoder that is not told what was left out drops pictures of open groups.
            yield from _held(stream.codec_context)
        skipped = False
        try:
            frames = packet.decode()
        except av.error.InvalidDataError:
            # One damaged packet costs its own picture, not the rest of the drive.
            continue
        yield from frames


def _held(decoder: Any) -> list[Any]:
    """Take out the frames that a decoder still holds, and let it begin anew."""
    try:
        frames: list[Any] = decoder.decode(None)
    except av.error.InvalidDataError:
        frames = []
    decoder.flush_buffers()
    return frames


def _upright(frame: Any) -> Image:
    picture = frame.to_ndarray(format="bgr24")
    # A phone held upside down says so in the display matrix, in degrees counter-clockwise.
    quarter_turns = round(getattr(frame, "rotation", 0) / 90) % 4
    return np.ascontiguousarray(np.rot90(picture, quarter_turns)) if quarter_turns else picture


def nearest_on_grid(
    t_s: NDArray[np.float64], keyframe: NDArray[np.bool_], rate_hz: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Choose frames at an even rate: keyframes where they are dense enough, else any frames.

    Keyframes are dense enough if one lies within a fifth of a period of every instant wanted,
    but at least within 0.1 s.

    Parameters
    ----------
    t_s : ndarray, shape (n,)
        Capture times, ascending.
    keyframe : ndarray of bool, shape (n,)
    rate_hz : float

    Returns
    -------
    chosen : ndarray of int64, shape (m,)
        Positions, ascending, each once.
    step : ndarray of int64, shape (m,)
        Which instant of the grid each stands for; the grid begins at the first frame. Instants
        in a gap of the video are left out.
    """
    if t_s.size == 0:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    period = 1.0 / rate_hz
    steps = np.arange(int(np.floor((t_s[-1] - t_s[0]) * rate_hz + 1e-6)) + 1)
    wanted = t_s[0] + steps * period
    keys = np.flatnonzero(keyframe)
    if keys.size:
        chosen = keys[nearest(t_s[keys], wanted)]
        anyway = nearest(t_s, wanted)
        slack = max(0.2 * period, 0.1)
        # Where the video itself has a gap, a keyframe cannot be expected either.
        late = np.abs(t_s[chosen] - wanted) - np.abs(t_s[anyway] - wanted)
        if (late <= slack).all():
            return _once(chosen, steps, t_s, wanted, period)
    return _once(nearest(t_s, wanted), steps, t_s, wanted, period)


def _once(
    chosen: NDArray[np.int64],
    steps: NDArray[np.int64],
    t_s: NDArray[np.float64],
    wanted: NDArray[np.float64],
    period: float,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    near = np.abs(t_s[chosen] - wanted) <= 0.5 * period
    chosen, steps = chosen[near], steps[near]
    first = np.concatenate([[True], np.diff(chosen) > 0])
    return chosen[first], steps[first]


def _created(*sources: Any) -> datetime | None:
    for metadata in sources:
        text = metadata.get("creation_time") or metadata.get("com.apple.quicktime.creationdate")
        if text:
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                continue
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            # 1904 and 1970 are what cameras without a set clock write.
            if moment.year > 1990:
                return moment.astimezone(UTC)
    return None


def _reason(problem: Exception) -> str:
    text = getattr(problem, "strerror", None) or str(problem)
    return text[0].lower() + text[1:] if text else "unreadable"
