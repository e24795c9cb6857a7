"""Trips in any number for the benchmarks and tests: real files, nothing to be learned from.

Drawn streets are quick to make but show no camera's motion: their survey finds no mounting and is
spared most of its work. What is measured by the picture takes a `RealDrive`.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import cv2
import numpy as np

from onboard.stills import encode_still, motion_still
from onboard.trip import Trip, TripWriter

START_NS: Final = 1_767_225_600_000_000_000
"""1 January 2026, UTC."""
TICKS_PER_S: Final = 90_000
SAMPLE: Final = (
    Path(__file__).parents[1] / "data_samples" / "trips" / "demo-01" / "20261116T081200Z-sr92a"
)
KEPT_HZ: Final = 6.0
"""Stills and motion stills together."""


class RealDrive:
    """Pictures and speed of the sample trip on SR-92, over and over.

    Parameters
    ----------
    sample : Path
        A trip with speed and a video.
    """

    def __init__(self, sample: Path = SAMPLE) -> None:
        with Trip.open(sample) as trip:
            speed = trip.samples("speed_kmh")["speed_kmh"]
            (video,) = trip.video_files()
            began_ns = int(trip.frames().t_mono_ns[0])
        known = ~np.isnan(speed.value)
        self._t_s = (speed.t_mono_ns[known] - began_ns) / 1e9
        self._speed_kmh = speed.value[known]
        self._pictures: list[np.ndarray] = []
        with av.open(str(video)) as container:
            start_s: float | None = None
            for frame in container.decode(video=0):
                start_s = frame.time if start_s is None else start_s
                if frame.time - start_s >= len(self._pictures) / KEPT_HZ:
                    image = frame.to_ndarray(format="bgr24")
                    # The middle 16:9, as stills are.
                    cut = max(0, image.shape[0] - image.shape[1] * 9 // 16) // 2
                    image = image[cut : image.shape[0] - cut]
                    self._pictures.append(
                        cv2.resize(image, (320, 180), interpolation=cv2.INTER_AREA)
                    )

    def speed_kmh(self, t_s: float) -> float:
        """Speed at a time; the drive begins anew where its pictures do."""
        return float(np.interp(t_s % (len(self._pictures) / KEPT_HZ), self._t_s, self._speed_kmh))

    def picture(self, t_s: float, width: int, height: int) -> np.ndarray:
        """What the camera saw."""
        image = self._pictures[round(t_s * KEPT_HZ) % len(self._pictures)]
        if image.shape[:2] == (height, width):
            return image
        return cv2.resize(image, (width, height), interpolation=cv2.INTER_LINEAR)


def record_trip(
    root: Path,
    number: int,
    *,
    seconds: float = 20.0,
    stills: bool = True,
    motion_stills: bool = True,
    video_fps: float = 0.0,
    close: bool = True,
    started_utc_ns: int | None = None,
    vehicle: str = "van-1",
    drive: RealDrive | None = None,
) -> Path:
    """Record a trip along a street at a speed that varies.

    Parameters
    ----------
    number : int
        Names the trip and seeds its pictures.
    stills : bool
        Two 320x180 JPEGs a second, as the logger keeps them.
    motion_stills : bool
        And two grey ones of half that size between them; not beside a video.
    video_fps : float
        Also a 720p H.264 video with two keyframes a second; 0 for none.
    close : bool
        False leaves the trip as a power cut does.
    drive : RealDrive, optional
        What pictures and speed are taken from; by default they are drawn.
    """
    started = START_NS + number * 3_600_000_000_000 if started_utc_ns is None else started_utc_ns
    trip = TripWriter.create(
        root,
        vehicle=vehicle,
        driver=f"driver-{number % 3}",
        started_utc_ns=started,
        trip_id=f"20260101T000000Z-{number:06x}",
        origin={"video": "simulated", "obd": "simulated", "note": "for measurement only"},
    )
    for tick in np.arange(0, seconds, 0.2):
        t_ns = round(tick * 1e9)
        speed = drive.speed_kmh(tick) if drive else 50 + 10 * np.sin(tick / 5)
        trip.add_sample(t_ns, "speed_kmh", round(speed), "ok", 20.0)
        trip.add_sample(t_ns, "rpm", round(40 * speed), "ok", 20.0)
        trip.add_sample(t_ns, "coolant_temp_c", 85.0, "ok", 20.0)
        trip.add_clock(t_ns, t_ns, started + t_ns, "boot")
    between = stills and motion_stills and not video_fps
    fps = video_fps or (KEPT_HZ if between else 2.0)
    every = max(1, round(fps / 2))

    def seen(frame: int, width: int, height: int) -> np.ndarray:
        if drive is None:
            return picture(number, frame, width, height)
        # A video's pictures between its keyframes are never decoded.
        t_s = frame // every / 2.0 if video_fps else frame / fps
        return drive.picture(t_s, width, height)

    if video_fps:
        write_video(trip.video_path(0), seen, round(seconds * fps), fps)
    if stills or video_fps:
        for frame in range(int(seconds * fps)):
            trip.add_frame(frame, 0, round(frame * TICKS_PER_S / fps), round(frame / fps * 1e9))
            if stills and frame % every == 0:
                jpeg = cv2.imencode(".jpg", seen(frame, 320, 180))[1].tobytes()
                trip.add_still(frame, jpeg)
            elif between:
                small = motion_still(seen(frame, 320, 180))
                trip.add_motion_still(frame, encode_still(small))
    if close:
        trip.close("benchmark")
    else:
        trip.commit()
        trip.abandon()
    return trip.path


def picture(seed: int, frame: int, width: int, height: int) -> np.ndarray:
    """Draw a road of sorts: sky, ground, two edges that move, some texture."""
    random = np.random.default_rng((seed, frame // 40))
    small = random.integers(60, 190, (9, 16, 3), dtype=np.uint8)
    image = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    horizon = height // 2
    sway = int(width * 0.1 * np.sin(frame / 30))
    for side in (-1, 1):
        cv2.line(image, (width // 2 + sway, horizon), (width // 2 + side * width // 2, height),
                 (230, 230, 230), max(1, height // 90))  # fmt: skip
    return image


def write_video(
    path: Path, seen: Callable[[int, int, int], np.ndarray], frames: int, fps: float
) -> None:
    """Write 720p H.264 with two keyframes a second, as the recorder does."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream(
            "libx264", rate=Fraction(fps).limit_denominator(1000),
            options={"preset": "ultrafast", "x264-params": f"keyint={max(1, round(fps / 2))}"},
        )  # fmt: skip
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(seen(index, 1280, 720), format="bgr24")
            frame.pts = round(index * TICKS_PER_S / fps)
            frame.time_base = Fraction(1, TICKS_PER_S)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def write_endless_video(path: Path, frames: int) -> None:
    """Repeat one keyframe so often that decoding it all takes minutes; made in a second."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream("libx264", rate=30, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        stream.codec_context.time_base = Fraction(1, TICKS_PER_S)
        frame = av.VideoFrame.from_ndarray(picture(1, 0, 1280, 720), format="bgr24")
        frame.pts, frame.time_base = 0, Fraction(1, TICKS_PER_S)
        (key,) = [bytes(p) for p in (*stream.encode(frame), *stream.encode(None))]
        for index in range(frames):
            packet = av.Packet(key)
            packet.stream = stream
            packet.time_base = Fraction(1, TICKS_PER_S)
            packet.pts = packet.dts = index * 3000
            packet.is_keyframe = True
            container.mux(packet)
