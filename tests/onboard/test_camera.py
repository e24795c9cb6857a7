"""Cameras on the network, from real servers: MJPEG by ffmpeg, RTSP by GStreamer."""

from __future__ import annotations

import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from onboard.camera import CameraRequest, open_camera
from onboard.errors import DeviceError
from onboard.stills import STILL_HEIGHT, STILL_WIDTH, encode_still, still
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
        assert not stills


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
