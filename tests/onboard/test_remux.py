"""Recordings that were cut anywhere."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from onboard.camera import Picture
from onboard.errors import TripError
from onboard.jpeg import whole_jpeg
from onboard.remux import presentation_times, remux_segment, start_of_recording_ns
from onboard.videofile import VideoFile, suffix_for

START_NS = 10**15
STEP_NS = 33_333_333


def picture(number: int, *, mjpeg: bool, detail: int) -> Picture:
    """A picture that takes more room the more detail it has; no two are alike."""
    noise = np.random.default_rng(number).integers(0, 256, (detail * 9, detail * 16, 3))
    bgr = cv2.resize(noise.astype(np.uint8), (1280, 720))
    t_mono_ns = START_NS + number * STEP_NS
    if mjpeg:
        return Picture(t_mono_ns, jpeg=whole_jpeg(bytes(cv2.imencode(".jpg", bgr)[1])))
    return Picture(t_mono_ns, av.VideoFrame.from_ndarray(bgr, format="bgr24"))


def record(folder: Path, *, mjpeg: bool, detail: int) -> tuple[Path, list[int]]:
    """Six pictures in a recording, and its size after each."""
    first = picture(0, mjpeg=mjpeg, detail=detail)
    path = folder / f"0000{suffix_for(first)}"
    file = VideoFile(path, first, 30)
    sizes = []
    for number in range(6):
        file.add(picture(number, mjpeg=mjpeg, detail=detail))
        sizes.append(path.stat().st_size)
    # No trailer is written: this is what a kill leaves.
    data = path.read_bytes()
    file.close()
    path.write_bytes(data)
    return path, sizes


@pytest.mark.parametrize("mjpeg", [False, True])
@pytest.mark.parametrize("detail", [2, 20])
@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.9, 1.0])
def test_a_cut_costs_the_torn_picture_only(
    tmp_path: Path, mjpeg: bool, detail: int, share: float
) -> None:
    path, sizes = record(tmp_path, mjpeg=mjpeg, detail=detail)
    if not mjpeg:
        # Both below and above what MPEG-TS can tell the length of.
        assert (sizes[5] - sizes[4] > 65_536) == (detail == 20)
    whole = 6 if share == 1.0 else 5
    path.write_bytes(path.read_bytes()[: sizes[4] + int((sizes[5] - sizes[4]) * share)])
    assert start_of_recording_ns(path) == START_NS
    assert presentation_times(path) == [number * STEP_NS * 9 // 100_000 for number in range(whole)]
    finished = remux_segment(path)
    assert finished == tmp_path / "0000.mp4"
    with av.open(str(finished)) as video:
        assert [frame.is_corrupt for frame in video.decode(video=0)] == [False] * whole


@pytest.mark.parametrize("mjpeg", [False, True])
def test_whatever_follows_the_start_is_no_part_of_it(tmp_path: Path, mjpeg: bool) -> None:
    # In MPEG-TS a checksum follows, which begins with a digit in one of 26 files.
    first = picture(0, mjpeg=mjpeg, detail=2)
    for number in range(150):
        first.t_mono_ns = START_NS + number * 7_777_777
        path = tmp_path / f"{number:04d}{suffix_for(first)}"
        file = VideoFile(path, first, 30)
        file.add(first)
        file.close()
        assert start_of_recording_ns(path) == first.t_mono_ns


@pytest.mark.parametrize("mjpeg", [False, True])
def test_a_recording_without_one_whole_picture_goes(tmp_path: Path, mjpeg: bool) -> None:
    path, sizes = record(tmp_path, mjpeg=mjpeg, detail=20)
    path.write_bytes(path.read_bytes()[: sizes[0] // 2])
    assert presentation_times(path) == []
    assert remux_segment(path) is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_recording_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "0000.nut"
    path.write_bytes(bytes(10_000))
    assert start_of_recording_ns(path) is None
    with pytest.raises(TripError, match="cannot be read as video"):
        remux_segment(path)
    assert path.exists()
