"""Cameras on the network, from real servers: MJPEG by ffmpeg, RTSP by GStreamer."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline.video import index_video
from onboard.camera import CameraRequest, open_camera
from onboard.errors import DeviceError
from onboard.jpeg import whole_jpeg
from onboard.recovery import recover
from onboard.stills import (
    MOTION_STILL_SIZE,
    STILL_HEIGHT,
    STILL_WIDTH,
    decoded_small,
    encode_still,
    motion_still,
    still,
)
from onboard.trip import Trip, find_trips

DEBIAN_PYTHON = Path("/usr/bin/python3")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def mjpeg(camera_file: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    url = f"http://127.0.0.1:{free_port()}/"
    read = ["-re", "-stream_loop", "-1", "-i", str(camera_file)]
    encode = ["-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p", "-f", "mpjpeg"]
    server = subprocess.Popen(
        ["ffmpeg", "-loglevel", "quiet", *read, *encode, "-listen", "1", url],
        stdin=subprocess.DEVNULL,
    )
    yield server, url
    server.kill()
    server.wait()


@pytest.fixture
def rtsp(camera_file: Path) -> Iterator[tuple[subprocess.Popen, str]]:
    script = Path(__file__).with_name("rtsp_server.py")
    bindings = subprocess.run(
        [DEBIAN_PYTHON, "-c", "import gi; gi.require_version('GstRtspServer', '1.0')"],
        stderr=subprocess.DEVNULL,
    )
    if bindings.returncode != 0:
        pytest.skip("needs Debian's python3-gi and gir1.2-gst-rtsp-server-1.0")
    server = subprocess.Popen(
        [DEBIAN_PYTHON, script, camera_file], stdout=subprocess.PIPE, text=True
    )
    assert server.stdout is not None
    yield server, server.stdout.readline().strip()
    server.kill()
    server.communicate()


def wait_until_open(url: str, **more: bool):
    end = time.monotonic() + 40
    while True:
        try:
            return open_camera(CameraRequest(url, **more))
        except DeviceError:
            assert time.monotonic() < end
            time.sleep(0.2)


def test_mjpeg_over_http(mjpeg) -> None:
    camera = wait_until_open(mjpeg[1])
    pictures = [picture for picture, _ in zip(camera.pictures(), range(12), strict=False)]
    camera.close()
    assert all(p.packet is None for p in pictures)
    assert {(p.frame.width, p.frame.height) for p in pictures} == {(320, 180)}
    steps = np.diff([p.t_mono_ns for p in pictures])
    assert (steps > 0).all()


def test_a_stalled_camera_is_noticed_within_its_time(mjpeg) -> None:
    server, url = mjpeg
    camera = wait_until_open(url)
    pictures = camera.pictures()
    next(pictures)
    server.send_signal(signal.SIGSTOP)
    with pytest.raises(DeviceError):
        list(pictures)
    camera.close()
    server.send_signal(signal.SIGCONT)


def test_rtsp_is_passed_through(rtsp, start_logger) -> None:
    logger = start_logger(
        "--camera", rtsp[1], "--now", config="[camera]\nsegment_s = 2\nfps = 15\n"
    )
    logger.wait_for("begins")
    end = time.monotonic() + 60
    while sum(1 for _ in logger.trips.glob("*/*/video/*.ts")) < 3:
        assert time.monotonic() < end, logger.said.read_text()
        time.sleep(0.2)
    assert logger.stop() == 0
    (path,) = find_trips(logger.trips)
    with Trip.open(path) as trip:
        frames = trip.frames()
        stills = {s.frame_index: s.jpeg for s in trip.stills()}
        between = {s.frame_index: s.jpeg for s in trip.motion_stills()}
        assert len(between) > len(stills)
        for file in trip.video_files():
            own = frames.segment == int(file.stem)
            with av.open(str(file)) as video:
                pictures = list(video.decode(video=0))
            assert [p.pts for p in pictures] == frames.pts[own].tolist()
            # The camera's own encoding, not ours: a keyframe every fifteen pictures.
            assert [p.key_frame for p in pictures[:16]] == [k % 15 == 0 for k in range(16)][
                : len(pictures)
            ]
            # A still shows the very frame it is filed under.
            for picture, index in zip(pictures, frames.index[own], strict=True):
                if int(index) in stills:
                    bgr = picture.to_ndarray(format="bgr24")
                    assert encode_still(still(bgr)) == stills.pop(int(index))
                if int(index) in between:
                    grey = picture.to_ndarray(format="gray")
                    assert encode_still(motion_still(grey)) == between.pop(int(index))
        assert not stills
        assert not between


def test_mjpeg_is_passed_through_and_survives_a_kill(mjpeg, start_logger) -> None:
    logger = start_logger(
        *("--camera", mjpeg[1], "--now"),
        config="[camera]\nsegment_s = 2\nfps = 15\ncopy_mjpeg = true\n",
    )
    logger.wait_for("begins")
    end = time.monotonic() + 60
    while sum(1 for _ in logger.trips.glob("*/*/video/*.nut")) < 3:
        assert time.monotonic() < end, logger.said.read_text()
        time.sleep(0.2)
    time.sleep(0.5)
    logger.process.kill()
    logger.process.wait()
    (path,) = find_trips(logger.trips)
    assert recover(path).unreadable == ()
    with Trip.open(path) as trip:
        frames = trip.frames()
        stills = {s.frame_index: s.jpeg for s in trip.stills()}
        between = {s.frame_index: s.jpeg for s in trip.motion_stills()}
        assert len(stills) >= 6
        assert len(between) > len(stills)
        assert [file.suffix for file in trip.video_files()] == [".mp4"] * 3
        for file in trip.video_files():
            own = frames.segment == int(file.stem)
            with av.open(str(file)) as video:
                assert video.streams.video[0].codec_context.name == "mjpeg"
                packets = [p for p in video.demux(video=0) if p.pts is not None]
                assert all(len(p.decode()) == 1 for p in packets)
            assert [p.pts for p in packets] == frames.pts[own].tolist()
            # Restored rows and those of the recorder tell one time.
            assert np.diff(frames.t_mono_ns[own] - frames.pts[own] * 1e9 / 90_000) == pytest.approx(
                0, abs=12_000
            )
            for packet, index in zip(packets, frames.index[own], strict=True):
                if int(index) in stills:
                    camera_s = whole_jpeg(bytes(packet))
                    assert encode_still(still(decoded_small(camera_s))) == stills.pop(int(index))
                if int(index) in between:
                    grey = decoded_small(whole_jpeg(bytes(packet)), grey=True)
                    assert encode_still(motion_still(grey)) == between.pop(int(index))
            held = index_video(file)
            assert (held.width, held.height, held.keyframe.all()) == (320, 180, True)
        assert not stills
        assert not between


def test_mjpeg_of_a_file_is_kept_bit_for_bit(tmp_path: Path, start_logger) -> None:
    source = tmp_path / "dashcam.avi"
    encode = ["-c:v", "mjpeg", "-q:v", "4", "-pix_fmt", "yuvj420p", str(source)]
    picture = "testsrc2=size=642x362:rate=15:duration=3"
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", picture, *encode], check=True
    )
    logger = start_logger(
        *("--camera", source, "--now", "--once", "--fast"),
        config="[camera]\ncopy_mjpeg = true\n",
    )
    assert logger.process.wait(60) == 0
    (path,) = find_trips(logger.trips)
    with Trip.open(path) as trip:
        (kept,) = trip.video_files()
        assert sum(1 for _ in trip.stills()) == 7
    packets = []
    for file in (source, kept):
        with av.open(str(file)) as video:
            packets.append([bytes(p) for p in video.demux(video=0) if p.size])
    assert len(packets[0]) == 45
    assert packets[0] == packets[1]


def jpeg_of(width: int, height: int) -> bytes:
    pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return bytes(cv2.imencode(".jpg", pixels)[1])


@pytest.mark.parametrize("size", [(8, 8), (333, 250), (1280, 720), (2560, 1440)])
def test_a_jpeg_tells_its_size_and_shrinks(size: tuple[int, int]) -> None:
    data = jpeg_of(*size)
    jpeg = whole_jpeg(data + bytes(100))
    assert jpeg is not None
    assert jpeg.data == data
    assert (jpeg.width, jpeg.height) == size
    small = decoded_small(jpeg)
    assert small is not None
    height, width = small.shape[:2]
    assert (width, height) == size or (width >= STILL_WIDTH and height >= STILL_HEIGHT)
    assert width < max(2 * STILL_WIDTH, size[0] / 4)


@pytest.mark.parametrize("copy", [False, True])
def test_a_damaged_picture_costs_only_itself(copy: bool) -> None:
    good, bad = jpeg_of(320, 180), b"\xff\xd8 a torn picture"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
            self.end_headers()
            for part in [good] * 6 + [bad] + [good] * 9:
                head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(part)}\r\n\r\n"
                self.wfile.write(head.encode() + part + b"\r\n")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_address[1]}/"
        camera = open_camera(CameraRequest(url, copy_mjpeg=copy))
        pictures = list(islice(camera.pictures(), 12))
        camera.close()
        server.shutdown()
    whole = [picture.jpeg is not None or picture.frame is not None for picture in pictures]
    # The first one goes while the stream is recognised.
    assert whole == [True] * 5 + [False] + [True] * 6


JPEG = jpeg_of(64, 48)


@given(st.integers(0, len(JPEG) - 1))
def test_a_jpeg_cut_short_is_told(length: int) -> None:
    assert whole_jpeg(JPEG[:length]) is None


@given(st.binary(max_size=300))
def test_what_is_no_jpeg_is_told(data: bytes) -> None:
    assert whole_jpeg(data) is None
    # Nor does a beginning that fits make one.
    assert whole_jpeg(b"\xff\xd8" + data.replace(b"\xff\xd9", b"")) is None


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("/dev/video77", "does not exist"),
        ("nowhere.mp4", "nowhere.mp4"),
        ("http://127.0.0.1:9/", "127.0.0.1:9"),
        ("rtsp://127.0.0.1:9/x", "127.0.0.1:9"),
    ],
)
def test_a_camera_that_is_not_there(source: str, words: str) -> None:
    with pytest.raises(DeviceError, match=words):
        open_camera(CameraRequest(source))


@pytest.mark.hardware
def test_a_real_v4l2_camera() -> None:
    camera = open_camera(CameraRequest("/dev/video0"))
    pictures = [picture for picture, _ in zip(camera.pictures(), range(30), strict=False)]
    camera.close()
    assert (np.diff([p.t_mono_ns for p in pictures]) > 0).all()


@pytest.mark.parametrize("size", [(640, 480), (1280, 720), (1920, 800), (200, 100), (90, 160)])
def test_stills_have_one_geometry(size: tuple[int, int]) -> None:
    width, height = size
    picture = np.zeros((height, width, 3), np.uint8)
    picture[:, : width // 2] = 200
    small = still(picture)
    assert small.shape == (STILL_HEIGHT, STILL_WIDTH, 3)
    # Cut about the centre: the edge stays in the middle.
    assert abs(int((small[90, :, 0] > 100).sum()) - STILL_WIDTH // 2) <= 2
    decoded = cv2.imdecode(np.frombuffer(encode_still(small), np.uint8), cv2.IMREAD_COLOR)
    assert np.abs(decoded.astype(int) - small).mean() < 3
    # A motion still is half of a still, whether it was cut from colour or from grey.
    tiny = motion_still(picture)
    assert tiny.shape == MOTION_STILL_SIZE[::-1]
    assert np.array_equal(tiny, motion_still(picture[:, :, 0]))
    half = cv2.resize(small[:, :, 0], MOTION_STILL_SIZE, interpolation=cv2.INTER_AREA)
    assert np.array_equal(tiny, half)
