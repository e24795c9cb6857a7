"""Cameras: V4L2 devices, network streams (RTSP, MJPEG over HTTP) and files that replay.

A camera yields pictures stamped with CLOCK_MONOTONIC. A stalled one raises `DeviceError` within
two seconds; whoever reads it closes it and opens it again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import av
import cv2
import numpy as np

from onboard.errors import DeviceError
from onboard.jpeg import Jpeg, whole_jpeg

TIMEOUT_S: Final = 2.0
_NETWORK: Final = ("rtsp://", "rtsps://", "http://", "https://")
_OLDEST_KERNEL_STAMP_S: Final = 1.0
"""A capture time further in the past than this is on another clock than ours."""


@dataclass(slots=True)
class Picture:
    """One picture of a camera; with none of the three, one that arrived damaged.

    Attributes
    ----------
    t_mono_ns : int
        When it was taken; of network cameras, when it arrived.
    frame : av.VideoFrame or None
        Decoded picture; None where the decoder lags behind the packets, and with MJPEG that is
        passed through.
    packet : av.Packet or None
        The camera's own H.264, where it is passed through.
    jpeg : Jpeg or None
        The camera's own MJPEG, where it is passed through.
    """

    t_mono_ns: int
    frame: av.VideoFrame | None = None
    packet: av.Packet | None = None
    jpeg: Jpeg | None = None


class Camera(Protocol):
    """An open camera."""

    def pictures(self) -> Iterator[Picture]:
        """Yield pictures until the source ends.

        Raises
        ------
        DeviceError
            If it stalls or breaks.
        """

    def close(self) -> None:
        """Let go of the device."""


@dataclass(frozen=True, slots=True)
class CameraRequest:
    """What a camera is asked for.

    Attributes
    ----------
    source : str
        `/dev/video0`, `rtsp://…`, `http://…` (MJPEG) or the path of a video file.
    width, height, fps : int
        Wanted of a V4L2 camera; it may give something else.
    copy_h264 : bool
        Pass a network camera's own H.264 through instead of encoding again.
    copy_mjpeg : bool
        Pass a camera's own MJPEG through instead of encoding it.
    real_time : bool
        Replay a file at its own pace, or as fast as possible.
    """

    source: str
    width: int = 1280
    height: int = 720
    fps: int = 30
    copy_h264: bool = True
    copy_mjpeg: bool = False
    real_time: bool = True


def is_file(source: str) -> bool:
    """Whether a source is a video file rather than a device or a network camera."""
    return not source.startswith(("/dev/", *_NETWORK))


def open_camera(request: CameraRequest) -> Camera:
    """Open a camera.

    Raises
    ------
    DeviceError
        If it cannot be opened within two seconds.
    """
    if is_file(request.source):
        return FileCamera(request)
    if request.source.startswith(_NETWORK):
        return NetworkCamera(request)
    return V4l2Camera(request)


class V4l2Camera:
    """A camera of the kernel's Video4Linux, through OpenCV."""

    def __init__(self, request: CameraRequest):
        if not Path(request.source).exists():
            raise DeviceError(f"camera: {request.source} does not exist; is it plugged in?")
        # OpenCV waits ten seconds for a picture otherwise; it reads this at every wait.
        os.environ["OPENCV_VIDEOIO_V4L_SELECT_TIMEOUT"] = str(int(TIMEOUT_S))
        self._source = request.source
        self._capture = cv2.VideoCapture(request.source, cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise DeviceError(
                f"camera: {request.source} cannot be opened; another program may hold it, or "
                "this user is not in the group `video`"
            )
        # MJPEG first: few cameras deliver 720p30 uncompressed over USB 2.
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
        self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, request.width)
        self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, request.height)
        self._capture.set(cv2.CAP_PROP_FPS, request.fps)
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 4)
        # A camera without MJPEG keeps its own format, whatever was asked for.
        self._copy = (
            request.copy_mjpeg
            and self._capture.get(cv2.CAP_PROP_FOURCC) == cv2.VideoWriter.fourcc(*"MJPG")
            and self._capture.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        )

    def pictures(self) -> Iterator[Picture]:
        while True:
            # Not converted, a picture is the camera's own bytes, in one row.
            done, read = self._capture.read()
            now_ns = time.monotonic_ns()
            if not done:
                raise DeviceError(f"camera: {self._source} gives no picture")
            # The V4L2 backend reports the buffer's own time stamp, CLOCK_MONOTONIC, in ms.
            taken_ns = int(self._capture.get(cv2.CAP_PROP_POS_MSEC) * 1e6)
            age_s = (now_ns - taken_ns) / 1e9
            if not 0.0 <= age_s <= _OLDEST_KERNEL_STAMP_S:
                taken_ns = now_ns
            pixels = np.asarray(read, dtype=np.uint8)
            if self._copy:
                yield Picture(taken_ns, jpeg=whole_jpeg(pixels.tobytes()))
            else:
                yield Picture(taken_ns, av.VideoFrame.from_ndarray(pixels, format="bgr24"))

    def close(self) -> None:
        self._capture.release()


class NetworkCamera:
    """An RTSP camera, or MJPEG over HTTP."""

    def __init__(self, request: CameraRequest):
        self._source = request.source
        rtsp = request.source.startswith("rtsp")
        options = {"fflags": "nobuffer", "analyzeduration": "500000", "probesize": "500000"}
        if rtsp:
            # Over UDP a lost packet is a torn picture; cameras in vehicles are on a short wire.
            options["rtsp_transport"] = "tcp"
        try:
            self._container = av.open(
                request.source, options=options, timeout=(TIMEOUT_S, TIMEOUT_S)
            )
            self._stream = self._container.streams.video[0]
        except (av.FFmpegError, IndexError, OSError) as problem:
            raise DeviceError(f"camera: {request.source}: {problem}") from problem
        context = self._stream.codec_context
        # Pictures out of order cannot be dated by their arrival: they are encoded anew.
        self._copy = request.copy_h264 and context.name == "h264" and not context.has_b_frames
        self._copy_mjpeg = request.copy_mjpeg and context.name == "mjpeg"

    def pictures(self) -> Iterator[Picture]:
        seen_ns = 0
        try:
            for packet in self._container.demux(self._stream):
                now_ns = time.monotonic_ns()
                if packet.size == 0:
                    continue
                seen_ns = max(now_ns, seen_ns + 1)
                if self._copy_mjpeg:
                    yield Picture(seen_ns, jpeg=whole_jpeg(bytes(packet)))
                    continue
                damaged = False
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    # A damaged packet costs its own picture, not the connection.
                    frames, damaged = [], True
                # One packet is one picture; a decoder that lags gives it with a later one.
                frame = frames[-1] if frames else None
                if self._copy:
                    yield Picture(seen_ns, frame, packet)
                elif frame is not None or damaged:
                    yield Picture(seen_ns, frame)
        except (av.FFmpegError, OSError) as problem:
            raise DeviceError(f"camera: {self._source}: {problem}") from problem
        raise DeviceError(f"camera: {self._source} ended the stream")

    def close(self) -> None:
        self._container.close()


class FileCamera:
    """A video file that replays as a camera."""

    def __init__(self, request: CameraRequest):
        self._source = request.source
        self._real_time = request.real_time
        try:
            self._container = av.open(request.source)
            self._stream = self._container.streams.video[0]
        except (av.FFmpegError, IndexError, OSError) as problem:
            raise DeviceError(f"camera: {request.source}: {problem}") from problem
        self._copy = request.copy_mjpeg and self._stream.codec_context.name == "mjpeg"

    def pictures(self) -> Iterator[Picture]:
        start_ns = time.monotonic_ns()
        first_s: float | None = None
        try:
            for one in self._packets_or_frames():
                if one.pts is None or one.time_base is None:
                    continue
                at_s = float(one.pts * one.time_base)
                first_s = at_s if first_s is None else first_s
                due_ns = start_ns + round((at_s - first_s) * 1e9)
                ahead_s = (due_ns - time.monotonic_ns()) / 1e9
                if self._real_time and ahead_s > 0:
                    time.sleep(ahead_s)
                if isinstance(one, av.Packet):
                    yield Picture(due_ns, jpeg=whole_jpeg(bytes(one)))
                else:
                    yield Picture(due_ns, one)
        except (av.FFmpegError, OSError) as problem:
            raise DeviceError(f"camera: {self._source}: {problem}") from problem

    def _packets_or_frames(self) -> Iterator[av.Packet] | Iterator[av.VideoFrame]:
        if self._copy:
            return self._container.demux(self._stream)
        return self._container.decode(self._stream)

    def close(self) -> None:
        self._container.close()
