"""A foreign video becomes a trip's video: playable in browsers, every frame's time kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

import av
import numpy as np

from offline.errors import InputError
from offline.mounting import MAX_APART_S
from offline.preprocessing import STILLS_HZ, between, encode_still, still
from offline.video import VideoIndex, index_video, nearest_on_grid, pictures
from onboard.stills import motion_still
from onboard.trip import TripWriter

TICKS_PER_S: Final = 90_000
"""Time base of a trip's video, as the recorder writes it."""
PLAYABLE: Final = {"h264": {"yuv420p", "yuvj420p"}}
"""Codecs and pixel formats that every browser plays; anything else is encoded again."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done and how much there is to do."""


@dataclass(frozen=True)
class Encoding:
    """How a video is encoded where it has to be.

    Attributes
    ----------
    crf : int
        x264's constant rate factor; 23 is its default, higher is smaller.
    preset : str
        x264's trade of time for size.
    key_interval_s : float
        One keyframe at least that often, so that keyframes alone serve the classifier.
    threads : int
        Of the encoder, 0 for all cores; its output depends on their number.
    """

    crf: int = 23
    preset: str = "veryfast"
    key_interval_s: float = 0.5
    threads: int = 0


def add_video(
    writer: TripWriter,
    source: Path,
    *,
    start_mono_ns: int,
    encoding: Encoding | None = None,
    progress: Progress | None = None,
) -> VideoIndex:
    """Put a video, the times of its frames and its stills into a trip.

    H.264 that browsers play is copied bit for bit, anything else is encoded again; sound is
    left out. Presentation times are kept.

    Parameters
    ----------
    writer : TripWriter
    source : Path
    start_mono_ns : int
        The trip's time of the first frame.
    encoding : Encoding, optional
        Encode again in any case, this way.
    progress : callable, optional

    Returns
    -------
    VideoIndex
        Of the video now in the trip.

    Raises
    ------
    InputError
        The source is no video or cannot be decoded.
    """
    index = index_video(source)
    target = writer.video_path(0, ".mp4")
    copied = encoding is None and index.pixel_format in PLAYABLE.get(index.codec, ())
    try:
        if copied:
            _copy(index, target, progress)
        else:
            _encode(index, target, encoding or Encoding(), progress)
    except (av.error.FFmpegError, OSError) as problem:
        raise InputError(f"cannot convert {source}: {problem}") from problem
    kept = index_video(target)
    t_mono_ns = start_mono_ns + np.round(kept.t_s * 1e9).astype(np.int64)
    for number, (pts, t_ns) in enumerate(zip(kept.pts.tolist(), t_mono_ns.tolist(), strict=True)):
        writer.add_frame(number, 0, pts, t_ns)
    chosen, _ = nearest_on_grid(kept.t_s, kept.keyframe, STILLS_HZ)
    stills = frozenset(chosen.tolist())
    taken = np.sort(np.concatenate([chosen, between(kept.t_s, chosen, MAX_APART_S)]))
    for done, (position, picture) in enumerate(pictures(kept, taken), start=1):
        if picture is None:
            writer.add_journal(int(t_mono_ns[position]), "video", f"frame {position} unreadable")
        elif position in stills:
            writer.add_still(position, encode_still(still(picture)))
        else:
            writer.add_motion_still(position, encode_still(motion_still(picture)))
        if progress is not None:
            progress("Taking stills", done, taken.size)
    return kept


def _muxer(target: Path) -> Any:
    options = {"movflags": "+faststart", "video_track_timescale": str(TICKS_PER_S)}
    return av.open(str(target), "w", format="mp4", options=options)


def _copy(index: VideoIndex, target: Path, progress: Progress | None) -> None:
    with av.open(str(index.path)) as source, _muxer(target) as sink:
        incoming = source.streams.video[0]
        outgoing = sink.add_stream_from_template(incoming)
        done = 0
        packets = source.demux(incoming)
        while True:
            try:
                packet = next(packets)
            except (StopIteration, av.error.InvalidDataError):
                # A file cut short gives what is there.
                break
            if packet.dts is None:
                continue
            packet.stream = outgoing
            sink.mux(packet)
            done += 1
            if progress is not None and done % 100 == 0:
                progress("Copying video", done, index.pts.size)


def _encode(index: VideoIndex, target: Path, encoding: Encoding, progress: Progress | None) -> None:
    first_pts = int(index.pts[0])
    with av.open(str(index.path)) as source, _muxer(target) as sink:
        incoming = source.streams.video[0]
        rate = incoming.average_rate or Fraction(30)
        outgoing = sink.add_stream("libx264", rate=rate)
        # H.264 with halved colour needs even sides.
        outgoing.width, outgoing.height = index.width // 2 * 2, index.height // 2 * 2
        outgoing.pix_fmt = "yuv420p"
        outgoing.time_base = Fraction(1, TICKS_PER_S)
        outgoing.codec_context.time_base = Fraction(1, TICKS_PER_S)
        outgoing.codec_context.thread_count = encoding.threads
        key_interval = max(1, round(float(rate) * encoding.key_interval_s))
        outgoing.options = {
            "crf": str(encoding.crf),
            "preset": encoding.preset,
            "x264-params": f"keyint={key_interval}:min-keyint={key_interval}:scenecut=0",
        }
        done, last = 0, -1
        for frame in source.decode(incoming):
            if frame.pts is None:
                continue
            pts = round((frame.pts - first_pts) * index.time_base_s * TICKS_PER_S)
            if pts <= last:
                # Two frames of one moment: an encoder takes only one.
                continue
            last = pts
            whole = frame.reformat(outgoing.width, outgoing.height, "yuv420p")
            whole.pts, whole.time_base = pts, Fraction(1, TICKS_PER_S)
            whole.pict_type = 0
            sink.mux(outgoing.encode(whole))
            done += 1
            if progress is not None and done % 20 == 0:
                progress("Encoding video", done, index.pts.size)
        sink.mux(outgoing.encode(None))
