"""One crash-safe video file of a recording, every packet flushed to the kernel.

H.264 goes into MPEG-TS, a camera's own MJPEG into NUT, since MPEG-TS has no place for it. Neither
needs an index or a trailer, so a file that was cut off anywhere plays to its last packet; with
`flush_packets=1` a killed process loses nothing it had handed over (Matroska and fragmented MP4
keep the newest picture back, AVI forgets when each was taken). A power cut
loses what the kernel had not written back, so the file is synced once a second by another thread.

When presentation time 0 was, the file says itself, in its first bytes: pictures that have no row
in the database yet can be dated however the recording ended, and beginning a file waits for no
disk.
"""

from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path
from typing import Final, Literal

import av
from av.video.frame import PictureType

from onboard.camera import Picture
from onboard.jpeg import Jpeg
from onboard.tripschema import START_MARK, TS_TICKS_PER_S

KEYFRAME_EVERY_S: Final = 0.5
_TIME_BASE: Final = Fraction(1, TS_TICKS_PER_S)
_FORMAT: Final = {".ts": "mpegts", ".nut": "nut"}
_OPTIONS: Final = {
    ".ts": {"flush_packets": "1", "omit_video_pes_length": "0"},
    ".nut": {"flush_packets": "1"},
}
_TITLE: Final = {".ts": "service_name", ".nut": "title"}
Kind = Literal["encoded", "h264", "mjpeg"]
"""What a file holds: our encoding, or the camera's own."""


class VideoFile:
    """A video file being written; its presentation times count from `start_ns`.

    Parameters
    ----------
    path : Path
        To be made, with the suffix that `suffix_for` names.
    first : Picture
        The picture the file begins with: its size, or its stream where it is passed through.
    fps : int
        Nominal rate, for the encoder's rate control only; pictures keep their own times.

    Raises
    ------
    OSError
        If the disk is full or does not take it.
    """

    def __init__(self, path: Path, first: Picture, fps: int):
        self.path: Final = path
        self.start_ns: Final = first.t_mono_ns
        self.kind: Final = kind_of(first)
        self.size: Final = picture_size(first)
        suffix = path.suffix
        self._sink = av.open(str(path), "w", format=_FORMAT[suffix], options=_OPTIONS[suffix])
        self._sink.metadata[_TITLE[suffix]] = f"{START_MARK}{self.start_ns};"
        self._pts = -1
        self._keyframe_ns: int | None = None
        if first.packet is not None:
            self._stream = self._sink.add_stream_from_template(first.packet.stream)
        elif first.jpeg is not None:
            width, height = self.size
            self._stream = self._sink.add_mux_stream(
                "mjpeg", rate=fps, width=width, height=height, time_base=_TIME_BASE
            )
        else:
            self._stream = self._sink.add_stream(
                "libx264",
                rate=fps,
                options={
                    "preset": "ultrafast",
                    "tune": "zerolatency",
                    "crf": "23",
                    "forced-idr": "1",
                },
            )
            self._stream.width, self._stream.height = self.size
            self._stream.pix_fmt = "yuv420p"
            self._stream.time_base = _TIME_BASE
            context = self._stream.codec_context
            context.time_base = _TIME_BASE
            # Keyframes are forced by time below; this only bounds them.
            context.gop_size = 10 * fps
            context.thread_count = 1
        self._sink.start_encoding()
        self._descriptor = os.open(path, os.O_RDONLY)
        self._whole_bytes = 0
        self._torn = False

    def add(self, picture: Picture) -> int:
        """Write one picture; returns its presentation time in 1/90000 s.

        Raises
        ------
        OSError
            If the disk is full.
        """
        ticks = (picture.t_mono_ns - self.start_ns) * TS_TICKS_PER_S // 1_000_000_000
        self._pts = max(ticks, self._pts + 1)
        try:
            if picture.packet is not None:
                self._copy(picture.packet)
            elif picture.jpeg is not None:
                self._copy_jpeg(picture.jpeg)
            elif picture.frame is not None:
                self._encode(picture.frame, picture.t_mono_ns)
        except OSError:
            self._torn = True
            raise
        self._whole_bytes = os.fstat(self._descriptor).st_size
        return self._pts

    def _copy(self, packet: av.Packet) -> None:
        packet.stream = self._stream
        packet.time_base = _TIME_BASE
        packet.dts = packet.pts = self._pts
        self._mux(packet)

    def _copy_jpeg(self, jpeg: Jpeg) -> None:
        packet = av.Packet(jpeg.data)
        packet.is_keyframe = True
        self._copy(packet)

    def _encode(self, frame: av.VideoFrame, t_mono_ns: int) -> None:
        picture = frame.reformat(format="yuv420p")
        picture.pts = self._pts
        picture.time_base = _TIME_BASE
        due = (
            self._keyframe_ns is None
            or t_mono_ns - self._keyframe_ns >= KEYFRAME_EVERY_S * 1e9 - 5_000_000
        )
        picture.pict_type = PictureType.I if due else PictureType.NONE
        if due:
            self._keyframe_ns = t_mono_ns
        for packet in self._stream.encode(picture):
            self._mux(packet)

    def _mux(self, packet: av.Packet) -> None:
        self._sink.mux_one(packet)

    def descriptor(self) -> int:
        """A descriptor of its own for whoever syncs the file, to be closed by them."""
        return os.dup(self._descriptor)

    def close(self) -> None:
        """End the file; where the disk was full, half a picture at its end is cut off.

        Raises
        ------
        OSError
            If the disk is full; what was written before stays readable.
        """
        try:
            self._sink.close()
        finally:
            os.close(self._descriptor)
            if self._torn:
                os.truncate(self.path, self._whole_bytes)


def kind_of(picture: Picture) -> Kind:
    """What a file must hold to take this picture."""
    if picture.jpeg is not None:
        return "mjpeg"
    return "encoded" if picture.packet is None else "h264"


def suffix_for(picture: Picture) -> str:
    """Suffix of the file that a recording begins with this picture."""
    return ".ts" if picture.jpeg is None else ".nut"


def picture_size(picture: Picture) -> tuple[int, int]:
    """Width and height in pixels, as recorded: even, as 4:2:0 needs, unless kept as it is."""
    if picture.jpeg is not None:
        return picture.jpeg.width, picture.jpeg.height
    if picture.frame is not None:
        width, height = picture.frame.width, picture.frame.height
    elif picture.packet is not None:
        context = picture.packet.stream.codec_context
        width, height = context.width, context.height
    else:
        raise ValueError("a picture that arrived damaged")
    return width // 2 * 2, height // 2 * 2
