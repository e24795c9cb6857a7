from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from click.testing import CliRunner

from offline.cli import group
from offline.commands.import_ import command
from offline.errors import InputError
from offline.importing.assembly import Request, import_trip
from offline.preprocessing import plane_of_motion_still
from offline.video import index_video
from onboard.trip import Trip, find_trips

LOG = "t_s,rpm,speed_kmh,coolant_c\n" + "".join(
    f"{t},{900 + t},{min(3 * t, 60)},{20 + t}\n" for t in range(30)
)
DATED = "time,rpm,speed_kmh,coolant_c\n" + "".join(
    f"2026-10-05 16:00:{t:02},{900 + t},{t},{20 + t}\n" for t in range(30)
)


def write_video(
    path: Path,
    *,
    seconds: float = 10,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    created: str | None = None,
) -> Path:
    """A moving bar at 12.5 Hz with one keyframe and a jump of a second in its times."""
    with av.open(str(path), "w") as sink:
        if created is not None:
            sink.metadata["creation_time"] = created
        stream = sink.add_stream(codec, rate=Fraction(25, 2))
        stream.width, stream.height, stream.pix_fmt = 320, 240, pixel_format
        stream.codec_context.gop_size = 1000
        for number in range(int(seconds * 12.5)):
            picture = np.full((240, 320, 3), 60, np.uint8)
            picture[:, (number * 3) % 300 :][:, :20] = 220
            frame = av.VideoFrame.from_ndarray(picture, format="bgr24")
            frame.pts = number + (12 if number >= 60 else 0)
            frame.time_base = Fraction(2, 25)
            sink.mux(stream.encode(frame))
        sink.mux(stream.encode(None))
    return path


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.csv"
    path.write_text(LOG)
    return path


def request(**given: object) -> Request:
    return Request(**{"obd": None, "video": None, "vehicle": "Van 7", "driver": "Kim", **given})  # type: ignore[arg-type]


def test_a_log_alone_becomes_a_trip(tmp_path: Path, log: Path) -> None:
    made = import_trip(request(obd=log, vehicle_class="van"), tmp_path / "trips")
    with Trip.open(made.path) as trip:
        assert trip.info.origin == {"video": "none", "obd": "measured", "note": ""}
        assert (trip.info.vehicle, trip.info.driver) == ("Van 7", "Kim")
        assert trip.info.vehicle_class == "van"
        speed = trip.samples()["speed_kmh"]
        assert speed.value.tolist() == [float(min(3 * t, 60)) for t in range(30)]
        assert np.diff(speed.t_mono_ns).tolist() == [1_000_000_000] * 29
        # No date in the log: no clock, and a note that says whence the start.
        assert trip.clock().utc_ns(speed.t_mono_ns) is None
        assert any("no date" in entry.message for entry in trip.journal())
        assert trip.frames().index.size == 0
    assert list(find_trips(tmp_path / "trips")) == [made.path]


def test_a_video_alone_becomes_a_trip(tmp_path: Path) -> None:
    source = write_video(tmp_path / "dash.mp4", created="2026-10-05T14:00:00Z")
    made = import_trip(request(video=source), tmp_path / "trips")
    with Trip.open(made.path) as trip:
        assert trip.info.origin["obd"] == "none"
        assert not trip.samples()
        frames = trip.frames()
        assert frames.index.size == 125
        assert trip.clock().utc_ns([0])[0] == 1_791_208_800_000_000_000  # type: ignore[index]
        # The jump in the video's times is kept, to the nanosecond of its time base.
        seconds = (frames.t_mono_ns - frames.t_mono_ns[0]) / 1e9
        assert seconds[59] == pytest.approx(59 * 0.08, abs=1e-4)
        assert seconds[60] == pytest.approx(72 * 0.08, abs=1e-4)
        stills = list(trip.stills())
        assert 19 <= len(stills) <= 22
        assert all(entry.jpeg.startswith(b"\xff\xd8") for entry in stills)
        between = list(trip.motion_stills())
        # Two between each two, but where the video lacks frames.
        assert 1.8 * (len(stills) - 1) <= len(between) <= 2 * (len(stills) - 1)
        assert all(plane_of_motion_still(entry.jpeg) is not None for entry in between)
        # Copied bit for bit, and playable before the whole file is there.
        assert trip.video_files()[0].name == "0000.mp4"
        content = trip.video_files()[0].read_bytes()
        assert content.index(b"moov") < content.index(b"mdat")
    assert made.path.name.startswith("20261005T140000Z-")


@pytest.mark.parametrize(
    ("name", "codec", "pixel_format"),
    [
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mp4", "libx264", "yuv444p"),
        ("a.mkv", "mjpeg", "yuvj420p"),
    ],
)
def test_what_browsers_cannot_play_is_encoded_again(
    tmp_path: Path, name: str, codec: str, pixel_format: str
) -> None:
    source = write_video(tmp_path / name, codec=codec, pixel_format=pixel_format)
    made = import_trip(request(video=source), tmp_path / "trips")
    with Trip.open(made.path) as trip:
        kept = index_video(trip.video_files()[0])
        assert (kept.codec, kept.pixel_format) == ("h264", "yuv420p")
        assert kept.pts.size == 125
        assert np.diff(kept.t_s[kept.keyframe]).max() < 1.5
        assert trip.frames().pts.tolist() == kept.pts.tolist()


def test_a_field_of_view_comes_along(tmp_path: Path) -> None:
    video = write_video(tmp_path / "drive.mp4", seconds=3)
    arguments = ["--video", str(video), "--vehicle", "van", "--out", str(tmp_path / "trips")]
    done = CliRunner().invoke(command, [*arguments, "--fov", "68.5"])
    assert done.exit_code == 0, done.output
    (path,) = find_trips(tmp_path / "trips")
    assert Trip.open(path).info.fov_deg == 68.5
    for wrong, said in (("400", "is not in the range"), ("nan", "not a number of degrees")):
        refused = CliRunner().invoke(command, [*arguments, "--fov", wrong])
        assert refused.exit_code == 2
        assert said in refused.output


def test_a_log_alone_has_no_field_of_view(tmp_path: Path, log: Path) -> None:
    arguments = ["--obd", str(log), "--vehicle", "van", "--out", str(tmp_path / "trips")]
    refused = CliRunner().invoke(command, [*arguments, "--fov", "70"])
    assert refused.exit_code == 2
    assert "needs --video" in refused.output
    assert not (tmp_path / "trips").exists()


def test_offset_places_the_log_on_the_video(tmp_path: Path, log: Path) -> None:
    source = write_video(tmp_path / "dash.mp4")
    for offset_s in (3.5, -4.0):
        made = import_trip(
            request(obd=log, video=source, offset_s=offset_s), tmp_path / f"t{offset_s}"
        )
        with Trip.open(made.path) as trip:
            first_frame = trip.frames().t_mono_ns[0]
            first_row = trip.samples()["rpm"].t_mono_ns[0]
            assert first_row - first_frame == round(offset_s * 1e9)
            assert min(first_row, first_frame) == 0


def test_clocks_align_log_and_video(tmp_path: Path) -> None:
    obd = tmp_path / "dated.csv"
    obd.write_text(DATED)
    source = write_video(tmp_path / "dash.mp4", created="2026-10-05T14:00:07Z")
    arguments = ["--obd", str(obd), "--video", str(source), "--vehicle", "v", "--json"]
    arguments += ["--out", str(tmp_path / "trips"), "--timezone", "Europe/Berlin"]
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    made = json.loads(result.stdout)
    assert made["offset_s"] == -7.0
    assert (made["frames"], made["samples"]["rpm"]) == (125, 30)
    with Trip.open(made["path"]) as trip:
        start = trip.clock().utc_ns(trip.samples()["rpm"].t_mono_ns[:1])
        assert start is not None
        assert start[0] == 1_791_208_800_000_000_000


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "nothing to import"),
        ({"obd": "dated", "video": "dated_video"}, "names no time zone.*--timezone"),
        ({"obd": "log", "video": "dated_video"}, "the log carries no date: give --offset"),
        ({"obd": "dated", "video": "video"}, "the video carries no date: give --offset"),
        ({"obd": "log", "video": "video", "offset_s": 400.0}, "do not overlap"),
        ({"obd": "video"}, "no text file"),
        ({"video": "log"}, "as a video"),
    ],
)
def test_what_cannot_be_imported_leaves_nothing_behind(
    tmp_path: Path, log: Path, given: dict[str, object], message: str
) -> None:
    (tmp_path / "dated.csv").write_text(DATED)
    files = {
        "log": log,
        "dated": tmp_path / "dated.csv",
        "video": write_video(tmp_path / "v.mp4", seconds=3),
        "dated_video": write_video(tmp_path / "d.mp4", seconds=3, created="2026-10-05T14:00:00Z"),
    }
    wanted = {key: files.get(str(value), value) for key, value in given.items()}
    with pytest.raises(InputError, match=message) as caught:
        import_trip(request(**wanted), tmp_path / "trips")
    assert "\n" not in str(caught.value)
    assert not list((tmp_path / "trips").rglob("*"))


def test_the_same_files_twice_are_noticed(tmp_path: Path, log: Path) -> None:
    first = import_trip(request(obd=log), tmp_path / "trips")
    before = {path: path.stat().st_mtime_ns for path in first.path.rglob("*")}
    with pytest.raises(InputError, match="imported before"):
        import_trip(request(obd=log), tmp_path / "trips")
    assert {path: path.stat().st_mtime_ns for path in first.path.rglob("*")} == before
    assert [path.name for path in (tmp_path / "trips").iterdir()] == ["Van 7"] or [
        path.name for path in (tmp_path / "trips").iterdir()
    ] == ["Van_7"]


def test_impossible_values_become_missing(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.write_text(LOG + "30,99999,300,20\n")
    made = import_trip(request(obd=path), tmp_path / "trips")
    with Trip.open(made.path) as trip:
        for signal in ("rpm", "speed_kmh"):
            assert np.isnan(trip.samples()[signal].value[-1])
            assert trip.samples()[signal].status[-1] == "out_of_range"


def test_the_command_says_one_line_and_exits_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "log.csv"
    path.write_text("t_s,rpm\n0,1\n1,2\n")
    code = group.run(["import", "--obd", str(path), "--vehicle", "v", "--out", str(tmp_path / "o")])
    assert code == 2
    error = capfd.readouterr().err
    assert error.count("\n") == 1
    assert "no column with the vehicle's speed" in error
    assert group.run(["import", "--obd", str(path), "--vehicle", "v", "--timezone", "Mars"]) == 2
