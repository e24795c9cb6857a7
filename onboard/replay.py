"""Plays a recorded trip as devices: an ELM327 adapter and an MJPEG camera on one timeline.

The timeline stands still at its beginning until every device the trip can feed has been asked
for something, so that a recorder misses nothing while it connects; after its end the ignition is
off and the camera ends.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from onboard.errors import TripError
from onboard.signals import SIGNALS
from onboard.trip import Trip

JPEG_QUALITY: Final = 90
_BOUNDARY: Final = "picture"


class Timeline:
    """Where in the trip the replay is.

    Parameters
    ----------
    start_ns, end_ns : int
        Monotonic times of the trip.
    devices : set of str
        Names that must have been asked for before time runs.
    """

    def __init__(self, start_ns: int, end_ns: int, devices: set[str]):
        self.start_ns: Final = start_ns
        self.end_ns: Final = end_ns
        self._waiting = set(devices)
        self._begun_ns: int | None = None
        self._mutex = threading.Lock()

    def asked(self, device: str) -> None:
        """Note that a device is in use."""
        with self._mutex:
            self._waiting.discard(device)
            if not self._waiting and self._begun_ns is None:
                self._begun_ns = time.monotonic_ns()

    def now_ns(self) -> int:
        """The trip's time now."""
        if self._begun_ns is None:
            return self.start_ns
        return self.start_ns + time.monotonic_ns() - self._begun_ns

    @property
    def over(self) -> bool:
        """Whether the trip has been played to its end."""
        return self.now_ns() > self.end_ns


class ReplayedReadings:
    """What the vehicle would say now; between two readings on the line between them."""

    def __init__(self, trip: Trip, timeline: Timeline):
        self._timeline = timeline
        self._signals: dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]] = {}
        for name, samples in trip.samples().items():
            good = np.isfinite(samples.value)
            if good.any() and SIGNALS[name].pid is not None:
                self._signals[name] = (samples.t_mono_ns[good], samples.value[good])

    def __call__(self) -> Mapping[str, float]:
        self._timeline.asked("obd")
        if self._timeline.over:
            return {}
        now = self._timeline.now_ns()
        return {
            name: float(np.interp(now, times, values))
            for name, (times, values) in self._signals.items()
        }


def pictures(trip: Trip) -> Iterator[tuple[int, bytes]]:
    """The trip's pictures as (monotonic time, JPEG): its video, or its stills without one."""
    files = {int(file.stem): file for file in trip.video_files()}
    if not files:
        for still in trip.stills():
            yield still.t_mono_ns, still.jpeg
        return
    # PyAV takes 0.2 s to import and is needed for video only.
    import av

    frames = trip.frames()
    for segment, file in sorted(files.items()):
        own = frames.segment == segment
        time_of = dict(zip(frames.pts[own].tolist(), frames.t_mono_ns[own].tolist(), strict=True))
        with av.open(str(file)) as video:
            for frame in video.decode(video=0):
                if frame.pts in time_of:
                    bgr = frame.to_ndarray(format="bgr24")
                    done, jpeg = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
                    if done:
                        yield time_of[frame.pts], jpeg.tobytes()


class ReplayCamera:
    """A network camera that sends MJPEG over HTTP to one viewer at a time.

    Raises
    ------
    TripError
        If the port is taken.
    """

    def __init__(self, trip: Trip, timeline: Timeline, *, host: str = "127.0.0.1", port: int = 0):
        camera = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={_BOUNDARY}")
                self.end_headers()
                for jpeg in camera._due(trip, timeline):
                    head = (
                        f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\n"
                        f"Content-Length: {len(jpeg)}\r\n\r\n"
                    )
                    try:
                        self.wfile.write(head.encode() + jpeg + b"\r\n")
                    except OSError:
                        return

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing: requests are no news."""

        try:
            self._server = ThreadingHTTPServer((host, port), Handler)
        except OSError as problem:
            raise TripError(f"port {port} of {host}: {problem.strerror}") from problem
        self._server.daemon_threads = True
        self._stopping = threading.Event()
        self.url: Final = f"http://{host}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def _due(self, trip: Trip, timeline: Timeline) -> Iterator[bytes]:
        timeline.asked("camera")
        # A viewer that comes late, or comes again, sees what is happening now.
        joined_ns = timeline.now_ns()
        for t_mono_ns, jpeg in pictures(trip):
            if t_mono_ns < joined_ns:
                continue
            while (ahead_ns := t_mono_ns - timeline.now_ns()) > 0:
                if self._stopping.wait(min(ahead_ns / 1e9, 0.1)):
                    return
            yield jpeg

    def stop(self) -> None:
        """Switch the camera off."""
        self._stopping.set()
        self._server.shutdown()
        self._server.server_close()


def timeline_of(trip: Trip) -> Timeline:
    """The timeline of a trip, from its first to its last picture or reading.

    Raises
    ------
    TripError
        If the trip holds nothing to play.
    """
    frames = trip.frames().t_mono_ns
    times = [s.t_mono_ns for s in trip.samples().values()]
    devices = set()
    if frames.size:
        devices.add("camera")
    if times:
        devices.add("obd")
    if not devices:
        raise TripError(f"{trip.path} holds neither pictures nor readings to play")
    every = np.concatenate([frames, *times])
    return Timeline(int(every.min()), int(every.max()), devices)
