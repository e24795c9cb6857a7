"""From camera to video files, stills and frame rows; through stalls, changes and full disks."""

from __future__ import annotations

import errno
import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import numpy as np

from onboard.camera import CameraRequest, Picture, open_camera
from onboard.errors import DeviceError
from onboard.health import Health
from onboard.stills import BETWEEN, Image, decoded_small, encode_still, motion_still, still
from onboard.tripgaps import FRAME_GAP_S
from onboard.tripwriter import TripWriter
from onboard.videofile import VideoFile, kind_of, picture_size, suffix_for

CAPTURE: Final = "camera"
ENCODE: Final = "video"
REOPEN_AFTER_S: Final = 0.5
SYNC_EVERY_S: Final = 1.0
QUEUE_S: Final = 1.0
"""Pictures that wait for the encoder at most; then the oldest is dropped and counted."""

MOTION_STILLS_S: Final = (0.4, 1.0)
"""Times between stills at which the scoring follows corners through motion stills."""


@dataclass(frozen=True, slots=True)
class VideoOptions:
    """How video is kept."""

    segment_s: float = 60.0
    still_every_s: float = 0.5
    motion_stills: bool = True

    @property
    def with_motion_stills(self) -> bool:
        """Whether motion stills are kept: nothing is followed between stills farther apart."""
        least_s, most_s = MOTION_STILLS_S
        return self.motion_stills and least_s <= self.still_every_s <= most_s


class VideoRecorder:
    """Records one trip's video: one thread reads the camera, one writes, one syncs the disk.

    Parameters
    ----------
    request : CameraRequest
    options : VideoOptions
    writer : TripWriter
    journal : callable
        Called with (source, line).
    health : Health
    """

    def __init__(
        self,
        request: CameraRequest,
        options: VideoOptions,
        writer: TripWriter,
        journal: Callable[[str, str], None],
        health: Health,
    ):
        self._request = request
        self._options = options
        self._writer = writer
        self._journal = journal
        self._health = health
        self._queue: deque[Picture] = deque()
        self._busy = False
        self._longest = max(2, round(QUEUE_S * request.fps))
        self._arrived = threading.Condition()
        self._stopping = threading.Event()
        self._allowed = True
        self._broken = False
        self._finished = False
        self._file: VideoFile | None = None
        self._file_mutex = threading.Lock()
        self._to_sync: list[int] = []
        self._segment = 0
        self._index = 0
        self._newest_ns = 0
        self._still_due_ns = 0
        self._motion_due_ns: list[int] = []
        self._last_still = self._last_motion_still = -1
        self._frame_of_pts: dict[int, int] = {}
        self._threads = [
            threading.Thread(target=self._capture, name=CAPTURE, daemon=True),
            threading.Thread(target=self._encode, name=ENCODE, daemon=True),
        ]
        self._syncing = threading.Thread(target=self._sync_often, name="sync", daemon=True)

    @property
    def source_ended(self) -> bool:
        """Whether a file that replays as a camera has been recorded to its end."""
        return self._finished and not self._queue

    def start(self) -> None:
        """Start recording."""
        for thread in self._threads:
            self._health.beat(thread.name)
            thread.start()
        self._syncing.start()

    def allow(self, allowed: bool) -> bool:
        """Forbid or allow writing video; the disk decides. Stills go on.

        Returns
        -------
        bool
            Whether this changes anything.
        """
        changed, self._allowed = self._allowed != allowed, allowed
        return changed

    def _sync_often(self) -> None:
        # A thread of its own: a slow disk takes seconds for it, and neither pictures nor the
        # commits of rows may wait that long.
        while not self._stopping.wait(SYNC_EVERY_S):
            self._try_to_sync()

    def _try_to_sync(self) -> None:
        try:
            self._sync()
        except OSError as problem:
            self._health.count("sync_failures")
            self._health.say(ENCODE, str(problem))

    def _sync(self) -> None:
        with self._file_mutex:
            descriptors, self._to_sync = self._to_sync, []
            if self._file is not None:
                descriptors.append(self._file.descriptor())
        for descriptor in descriptors:
            try:
                os.fdatasync(descriptor)
            finally:
                os.close(descriptor)

    def stop(self) -> None:
        """Stop, write what is waiting, end the file."""
        self._stopping.set()
        with self._arrived:
            self._arrived.notify_all()
        for thread in self._threads:
            thread.join(10)
            self._health.retire(thread.name)
        self._syncing.join(10)
        self._try_to_sync()

    # Camera side.

    def _capture(self) -> None:
        lost = False
        while not self._stopping.is_set():
            self._health.beat(CAPTURE)
            try:
                camera = open_camera(self._request)
            except DeviceError as problem:
                lost = self._lose(lost, str(problem))
                continue
            try:
                for picture in camera.pictures():
                    self._health.beat(CAPTURE)
                    if lost:
                        self._say(CAPTURE, "the camera is back")
                        lost = False
                    if picture.frame is picture.packet is picture.jpeg is None:
                        self._health.count("frames_damaged")
                        continue
                    self._put(picture)
                    if self._stopping.is_set():
                        return
            except DeviceError as problem:
                lost = self._lose(lost, str(problem))
            else:
                self._finished = True
                self._say(CAPTURE, f"{self._request.source} has been played to its end")
                while not self._stopping.wait(0.5):
                    self._health.beat(CAPTURE)
            finally:
                self._let_go()
                camera.close()

    def _let_go(self) -> None:
        """Wait until no picture of the camera is in use: its packets need it open."""
        with self._arrived:
            self._arrived.wait_for(lambda: not self._queue and not self._busy, timeout=2.0)
            self._health.count("frames_dropped", len(self._queue))
            self._queue.clear()
            # A camera that is opened anew counts its times anew.
            self._frame_of_pts.clear()

    def _lose(self, lost: bool, problem: str) -> bool:
        if not lost:
            self._say(CAPTURE, problem)
        self._health.count("camera_reopened")
        self._stopping.wait(REOPEN_AFTER_S)
        return True

    def _put(self, picture: Picture) -> None:
        with self._arrived:
            while not self._request.real_time and len(self._queue) >= self._longest:
                # A file that is read as fast as possible waits for the encoder.
                self._health.beat(CAPTURE)
                if self._stopping.is_set():
                    return
                self._arrived.wait(0.5)
            if len(self._queue) >= self._longest:
                oldest = self._queue.popleft()
                self._health.count("frames_dropped")
                # What refers to a dropped picture cannot be shown.
                self._broken = self._broken or oldest.packet is not None
            self._queue.append(picture)
            self._arrived.notify_all()

    # Disk side.

    def _encode(self) -> None:
        while True:
            self._health.beat(ENCODE)
            with self._arrived:
                if not self._queue:
                    if self._stopping.is_set():
                        break
                    self._arrived.wait(0.5)
                    continue
                picture = self._queue.popleft()
                self._busy = True
                self._arrived.notify_all()
            self._write(picture)
            with self._arrived:
                self._busy = False
                self._arrived.notify_all()
        self._end_file()

    def _write(self, picture: Picture) -> None:
        keyframe = picture.packet is None or picture.packet.is_keyframe
        if self._broken and not keyframe:
            self._health.count("frames_dropped")
            return
        self._broken = False
        if not self._allowed:
            self._end_file()
            self._add_row(picture, -1, -1)
            return
        if self._file is not None and keyframe and self._file_is_over(picture):
            self._end_file()
        if self._file is None and not keyframe:
            return
        # Its own time stamp: writing a packet through gives it ours.
        own_pts = None if picture.packet is None else picture.packet.pts
        try:
            if self._file is None:
                self._begin_file(picture)
            assert self._file is not None
            pts = self._file.add(picture)
        except OSError as problem:
            full = problem.errno == errno.ENOSPC
            self._say(ENCODE, "THE DISK IS FULL: video stops" if full else f"video: {problem}")
            self._health.count("video_failures")
            self._end_file()
            if full:
                self._allowed = False
            self._add_row(picture, -1, -1)
            return
        index = self._add_row(picture, self._segment, pts)
        self._health.count("frames")
        if 0 < self._newest_ns < picture.t_mono_ns - FRAME_GAP_S * 1e9:
            self._health.count("frame_gaps")
        self._newest_ns = picture.t_mono_ns
        if own_pts is not None:
            self._frame_of_pts[own_pts] = index
            if len(self._frame_of_pts) > 64:
                del self._frame_of_pts[next(iter(self._frame_of_pts))]

    def _file_is_over(self, picture: Picture) -> bool:
        file = self._file
        assert file is not None
        return (
            picture.t_mono_ns - file.start_ns >= self._options.segment_s * 1e9
            or picture_size(picture) != file.size
            or kind_of(picture) != file.kind
        )

    def _begin_file(self, picture: Picture) -> None:
        path = self._writer.video_path(self._segment, suffix_for(picture))
        file = VideoFile(path, picture, self._request.fps)
        with self._file_mutex:
            self._file = file

    def _end_file(self) -> None:
        with self._file_mutex:
            file, self._file = self._file, None
            if file is None:
                return
            self._segment += 1
            self._to_sync.append(file.descriptor())
            try:
                file.close()
            except OSError as problem:
                self._say(ENCODE, f"{file.path.name} ended early: {problem}")

    def _add_row(self, picture: Picture, segment: int, pts: int) -> int:
        """Add the frame's row, and its still when one is due; returns the frame's index.

        Without video only pictures with stills get a row (segment -1: in no file).
        """
        index = self._index
        shows = picture.frame is not None or picture.jpeg is not None
        due = shows and picture.t_mono_ns >= self._still_due_ns
        between = shows and not due and self._passed_motion_due(picture.t_mono_ns)
        if segment < 0 and not due and not between:
            return index
        self._index += 1
        self._writer.add_frame(index, segment, pts, picture.t_mono_ns)
        if due or between:
            # A decoder that lags shows an earlier picture than the packet it came with.
            shown = index
            frame = picture.frame
            if picture.packet is not None and frame is not None and frame.pts is not None:
                shown = self._frame_of_pts.get(frame.pts, index)
            # A still is never left out for a motion still of the same frame.
            newest = max(self._last_still, self._last_motion_still if between else -1)
            if shown > newest and (decoded := _decoded(picture, grey=between)) is not None:
                if due:
                    self._writer.add_still(shown, encode_still(still(decoded)))
                    self._last_still = shown
                    self._health.count("stills")
                else:
                    self._writer.add_motion_still(shown, encode_still(motion_still(decoded)))
                    self._last_motion_still = shown
        if due:
            step_ns = round(self._options.still_every_s * 1e9)
            # A little early rather than a whole frame late, and no catching up after a gap.
            due_ns = max(self._still_due_ns + step_ns, picture.t_mono_ns + step_ns // 2)
            self._still_due_ns = due_ns
            shares = BETWEEN if self._options.with_motion_stills else ()
            self._motion_due_ns = [due_ns - round((1.0 - share) * step_ns) for share in shares]
        return index

    def _passed_motion_due(self, t_mono_ns: int) -> bool:
        """Whether a motion still is due; those that were missed are not made up for."""
        waiting = [due_ns for due_ns in self._motion_due_ns if due_ns > t_mono_ns]
        passed = len(waiting) < len(self._motion_due_ns)
        self._motion_due_ns = waiting
        return passed

    def _say(self, part: str, words: str) -> None:
        with suppress(OSError):
            self._journal(part, words)
        self._health.say(part, words)


def _decoded(picture: Picture, *, grey: bool) -> Image | None:
    if picture.jpeg is not None:
        return decoded_small(picture.jpeg, grey=grey)
    assert picture.frame is not None
    # Grey is the luma that is there already: a tenth of the time that colour takes.
    return np.asarray(picture.frame.to_ndarray(format="gray" if grey else "bgr24"), dtype=np.uint8)
