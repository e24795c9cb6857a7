from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import models
from offline import frames, labelling, video
from offline.classifier import Classifier
from offline.corners import STANDARD_FOV_DEG, focal_px
from offline.errors import InputError
from offline.frames import FolderFrames, Frame, StillsOfTrip, VideoFrames, VideoOfTrip
from offline.odometer import Odometer
from offline.preprocessing import encode_still, plane, stack_indices, still
from offline.roadscene import UNDETERMINED
from onboard.trip import Trip, TripWriter

from . import lamps


def picture(number: int, height: int = 90, width: int = 160) -> np.ndarray:
    """A picture whose mean grey tells its number; smooth, so that compression keeps it."""
    base = np.full((height, width, 3), 20 + 5 * (number % 40), np.uint8)
    base[: height // 2] += 10
    return base


def write_video(
    path: Path,
    count: int,
    *,
    rate: int = 10,
    key: int = 5,
    skip: tuple[int, ...] = (),
    more: str = "",
) -> Path:
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("libx264", rate=rate)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        stream.options = {
            "crf": "5",
            "x264-params": f"keyint={key}:min-keyint={key}:scenecut=0{more}",
        }
        stream.time_base = Fraction(1, rate)
        for number in range(count):
            if number in skip:
                continue
            frame = av.VideoFrame.from_ndarray(picture(number), format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, rate)
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    return path


def number_of(frame: Frame) -> int:
    assert frame.plane is not None
    # Decoding to BGR costs two levels.
    return round((float(frame.plane[60:80].mean()) - 18) / 5)


def test_dense_keyframes_alone_are_read(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 40, key=5)
    index = video.index_video(path)
    chosen, _ = video.nearest_on_grid(index.t_s, index.keyframe, 2.0)
    assert index.keyframe[chosen].all()
    found = list(VideoFrames(path).frames())
    assert [frame.index for frame in found] == [0, 5, 10, 15, 20, 25, 30, 35]
    assert [number_of(frame) for frame in found] == [0, 5, 10, 15, 20, 25, 30, 35]
    assert [frame.t_ns for frame in found][:3] == [0, 500_000_000, 1_000_000_000]


def test_sparse_keyframes_fall_back_to_every_frame(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 40, key=40)
    found = list(VideoFrames(path).frames())
    stills = [number_of(frame) for frame in found if frame.wanted]
    assert stills == [0, 5, 10, 15, 20, 25, 30, 35]
    # Two more are read between each two, at thirds of the time.
    between = [number_of(frame) for frame in found if frame.between]
    assert between == [5 * k + more for k in range(7) for more in (2, 3)]
    assert [frame.index for frame in found] == sorted(frame.index for frame in found)
    assert VideoFrames(path).count == 8


def test_keyframes_and_all_frames_agree(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 30, key=5)
    index = video.index_video(path)
    keys = np.flatnonzero(index.keyframe)
    every = dict(video.pictures(index, np.arange(30)))
    for position, fast in video.pictures(index, keys):
        assert fast is not None
        assert np.array_equal(fast, every[position])


@pytest.mark.parametrize("more", ["", ":open-gop=1"])
def test_leaving_groups_out_loses_no_picture(tmp_path: Path, more: str) -> None:
    path = write_video(tmp_path / "a.mp4", 90, key=12, more=f":bframes=3{more}")
    index = video.index_video(path)
    whole = dict(video.pictures(index, np.arange(90)))
    for chosen in ([3, 40, 41, 77], [77], [11, 12, 70], [0, 89]):
        found = dict(video.pictures(index, np.array(chosen)))
        assert list(found) == chosen
        for position, seen in found.items():
            np.testing.assert_array_equal(seen, whole[position])


def test_a_gap_in_the_video_leaves_no_labels_there(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 60, key=5, skip=tuple(range(20, 40)))
    found = list(VideoFrames(path).frames())
    times = [frame.t_ns / 1e9 for frame in found if frame.wanted]
    # Nothing is followed over the gap.
    assert not [frame for frame in found if frame.between and 1.9 < frame.t_ns / 1e9 < 4.0]
    # The last frame before the gap stands for the instant just after it.
    assert times == [0.0, 0.5, 1.0, 1.5, 1.9, 4.0, 4.5, 5.0, 5.5]


def test_a_low_rate_still_reads_the_older_planes(tmp_path: Path) -> None:
    source = VideoFrames(write_video(tmp_path / "a.mp4", 60), rate_hz=0.5)
    found = list(source.frames())
    assert source.count == 3
    assert [frame.t_ns / 1e9 for frame in found if frame.wanted] == [0.0, 2.0, 4.0]
    assert {1.0, 1.5} <= {frame.t_ns / 1e9 for frame in found if not frame.wanted}


def test_a_text_file_is_no_video(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_text("t_s,rpm\n1,2\n")
    with pytest.raises(InputError, match="as a video"):
        VideoFrames(path)


def test_a_video_cut_short_gives_what_is_there(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "a.ts", 40)
    cut = tmp_path / "b.ts"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    found = list(VideoFrames(cut).frames())
    assert 2 <= sum(frame.plane is not None for frame in found) < 8


def test_stills_of_different_drives_are_never_stacked(tmp_path: Path) -> None:
    for name in ("b_9", "b_10", "b_11", "a_0", "lonely", "b_12"):
        cv2.imwrite(str(tmp_path / f"{name}.png"), picture(1))
    (tmp_path / "notes.txt").write_text("no picture")
    found = list(FolderFrames(tmp_path, rate_hz=2).frames())
    assert [(frame.source, frame.t_ns) for frame in found] == [
        ("a_0.png", 0),
        ("b_9.png", 0),
        ("b_10.png", 500_000_000),
        ("b_11.png", 1_000_000_000),
        ("b_12.png", 1_500_000_000),
        ("lonely.png", 0),
    ]
    chunks = list(labelling._stacked(iter(found), None))
    assert [len(wanted) for wanted, _ in chunks] == [1, 4, 1]


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no pictures"):
        FolderFrames(tmp_path)


@pytest.mark.parametrize("rate_hz", [2.0, 3.0, 10.0])
def test_streamed_stacks_equal_those_of_the_whole_drive(rate_hz: float) -> None:
    n = 300
    rng = np.random.default_rng(1)
    planes = rng.integers(0, 256, (n, 2, 2), dtype=np.uint8)
    t_ns = np.round(np.cumsum(rng.uniform(0.8, 1.2, n)) / rate_hz * 1e9).astype(np.int64)
    t_ns[200:] += 5_000_000_000
    items = [Frame("s", "s", i, int(t_ns[i]), planes[i]) for i in range(n)]
    speed_mps = np.maximum(0.0, 9.0 + 12.0 * np.sin(np.arange(n) / 25))
    odometer = Odometer(t_ns, speed_mps)
    streamed = np.concatenate([stacks for _, stacks in labelling._stacked(iter(items), odometer)])
    whole = planes[stack_indices((t_ns - t_ns[0]) / 1e9, odometer.driven_m(t_ns))]
    assert np.array_equal(streamed, np.moveaxis(whole, 1, -1))


def test_an_unreadable_picture_is_missing_and_spoils_no_other(tmp_path: Path) -> None:
    for number in range(4):
        cv2.imwrite(str(tmp_path / f"a_{number}.png"), picture(number, 180, 320))
    (tmp_path / "a_2.png").write_bytes(b"broken")
    classifier = Classifier(models.locate("road_scene"))
    found = labelling.label_frames(FolderFrames(tmp_path), classifier)
    lost = np.isnan(found.probabilities["slope"]).all(axis=1)
    assert lost.tolist() == [False, False, True, False]
    names, confidence = labelling.scene_names(
        found.probabilities["slope"], found.probabilities["course"], 0.0, 0.0
    )
    assert names[2] == UNDETERMINED
    assert np.isnan(confidence).tolist() == lost.tolist()
    assert UNDETERMINED not in names[:2]


def test_labels_are_undetermined_where_a_deciding_head_is_unsure() -> None:
    slope = np.array([[0.5, 0.4, 0.1], [0.5, 0.4, 0.1], [0.9, 0.1, 0.0], [0.0, 0.9, 0.1]])
    course = np.array([[0.9, 0.1, 0, 0], [0.1, 0.9, 0, 0], [0.5, 0.4, 0.1, 0], [0.9, 0.1, 0, 0]])
    names, confidence = labelling.scene_names(slope, course, 0.6, 0.6)
    assert names == [UNDETERMINED, "curve", UNDETERMINED, "uphill"]
    assert confidence[1] == 0.9


@pytest.fixture
def trip(tmp_path: Path) -> Iterator[Trip]:
    """Ten seconds of video at 10 Hz, its stills, and a sample before the first frame."""
    writer = TripWriter.create(tmp_path / "trips", vehicle="v", driver="d")
    write_video(writer.video_path(0, ".mp4"), 100)
    index = video.index_video(writer.video_path(0, ".mp4"))
    for number, pts in enumerate(index.pts.tolist()):
        writer.add_frame(number, 0, pts, 7_000_000_000 + number * 100_000_000)
        if number % 5 == 0:
            writer.add_still(number, encode_still(still(picture(number))))
    writer.add_sample(6_500_000_000, "speed_kmh", 30.0)
    writer.close("test")
    with Trip.open(writer.path) as opened:
        yield opened


def test_a_trip_gives_its_stills_and_their_times(trip: Trip) -> None:
    source = frames.of_trip(trip)
    assert isinstance(source, StillsOfTrip)
    found = list(source.frames())
    assert source.count == len(found) == 20
    assert [frame.index for frame in found][:3] == [0, 5, 10]
    assert found[2].t_ns == 8_000_000_000
    assert source.start_ns == 6_500_000_000


def test_the_video_of_a_trip_shows_the_same_as_its_stills(trip: Trip) -> None:
    stills = {frame.index: frame for frame in StillsOfTrip(trip).frames()}
    for frame in VideoOfTrip(trip).frames():
        other = stills[frame.index]
        assert (frame.t_ns, frame.source) == (other.t_ns, trip.path.name)
        assert frame.plane is not None
        assert other.plane is not None
        assert np.abs(frame.plane.astype(int) - other.plane).mean() < 3


def test_a_faster_rate_reads_the_video(trip: Trip) -> None:
    source = frames.of_trip(trip, rate_hz=5.0)
    assert isinstance(source, VideoOfTrip)
    assert source.count == 50


def test_label_trip_gives_calibrated_rows_for_fusion(trip: Trip) -> None:
    classifier = Classifier(models.locate("road_scene"))
    seen: list[tuple[int, int]] = []
    labels = labelling.label_trip(trip, classifier, progress=lambda *done: seen.append(done))
    assert labels is not None
    assert labels.t_mono_ns.tolist() == [7_000_000_000 + i * 500_000_000 for i in range(20)]
    assert np.allclose(labels.p_slope.sum(axis=1), 1, atol=1e-5)
    assert (labels.model_sha256, seen[-1]) == (classifier.sha256, (20, 20))
    assert labels.course_threshold == classifier.heads["course"].undetermined_below


def test_read_ahead_passes_items_and_errors_on() -> None:
    def failing() -> Iterator[int]:
        yield from range(100)
        raise InputError("gone")

    got: list[int] = []
    with pytest.raises(InputError, match="gone"):
        got.extend(frames.read_ahead(failing(), depth=3))
    assert got == list(range(100))
    early = frames.read_ahead(iter(range(1000)), depth=2)
    assert next(early) == 0
    early.close()  # type: ignore[attr-defined]


def test_a_plane_is_the_same_from_a_picture_and_from_its_still() -> None:
    big = cv2.GaussianBlur(
        np.random.default_rng(2).integers(0, 256, (480, 640, 3), dtype=np.uint8), (0, 0), 6
    )
    small = np.asarray(still(np.asarray(big, np.uint8)), np.uint8)
    assert np.array_equal(plane(small), plane(still(small)))


def test_the_pictures_that_the_network_sees_are_levelled(tmp_path: Path) -> None:
    for k in range(40):
        still = cv2.resize(lamps.picture(6.0 * k, pitch_deg=-4.0)[3:93], (320, 180))
        cv2.imwrite(str(tmp_path / f"drive_{k:02d}.png"), still)
    cv2.imwrite(str(tmp_path / "alone.png"), still)
    source = FolderFrames(tmp_path)
    motions, kept = labelling._motions(source, None)
    assert kept is not None
    assert len(kept) == 41
    mounting = motions["drive_"].mounting
    assert mounting is not None
    assert mounting.down_px == pytest.approx(-8.8, abs=1.5)
    assert motions["drive_"].codes_of[source_index(source, "drive_10.png")].any()
    assert motions["alone"].mounting is None
    seen = {frame.source: frame.plane for frame in source.frames()}
    shown = {frame.source: frame.plane for frame in labelling._levelled(source.frames(), motions)}
    assert np.array_equal(shown["drive_10.png"], mounting.levelled(seen["drive_10.png"]))
    assert np.array_equal(shown["alone.png"], seen["alone.png"])


def test_the_told_field_of_view_reaches_the_survey(tmp_path: Path) -> None:
    for k in range(40):
        still = cv2.resize(lamps.picture(6.0 * k, pitch_deg=-4.0)[3:93], (320, 180))
        cv2.imwrite(str(tmp_path / f"drive_{k:02d}.png"), still)
    for fov_deg, byte in ((None, 128), (50.0, 255)):
        source = FolderFrames(tmp_path, fov_deg=fov_deg)
        motion = labelling._motions(source, None)[0]["drive_"]
        assert motion.mounting is not None
        assert motion.mounting.focal_px == focal_px(fov_deg or STANDARD_FOV_DEG)
        assert {codes[0] for codes in motion.codes_of.values()} == {byte}


def source_index(source: FolderFrames, name: str) -> int:
    return next(frame.index for frame in source.frames() if frame.source == name)


def test_a_drive_read_again_is_labelled_as_one_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k in range(30):
        still = cv2.resize(lamps.picture(6.0 * k, pitch_deg=-4.0)[3:93], (320, 180))
        cv2.imwrite(str(tmp_path / f"drive_{k:02d}.png"), still)
    (tmp_path / "drive_11.png").write_bytes(b"broken")
    source, classifier = FolderFrames(tmp_path), Classifier(models.locate("road_scene"))
    done: list[int] = []
    kept = labelling.label_frames(source, classifier, progress=lambda n, _: done.append(n))
    assert done == sorted(done)
    assert done[-1] == source.count
    monkeypatch.setattr(labelling, "KEPT", 5)
    assert labelling._motions(source, None)[1] is None
    again = labelling.label_frames(source, classifier)
    for head, p in kept.probabilities.items():
        assert np.array_equal(p, again.probabilities[head], equal_nan=True)
