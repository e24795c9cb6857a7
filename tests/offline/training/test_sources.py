"""Bad training data give one clear line."""

from __future__ import annotations

from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from offline import motioncodes
from offline.corners import STANDARD_FOV_DEG
from offline.errors import InputError
from offline.training import framesets, labelledvideo, sources, tables
from offline.training.config import load_config

from .. import lamps

ROAD = {
    "slope": ("level", "uphill", "downhill"),
    "course": ("straight", "curve", "left_turn", "right_turn"),
}
SURFACE = {"label": ("asphalt", "gravel")}


def picture(file: Path, value: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), np.full((90, 160, 3), value, np.uint8))


def test_folders_give_labels(tmp_path: Path) -> None:
    picture(tmp_path / "asphalt" / "a.png", 40)
    picture(tmp_path / "gravel" / "b.png", 200)
    table = sources.list_folders(tmp_path, SURFACE)
    frames = sources.read_pictures(table, tmp_path, SURFACE, "here")
    assert frames.labels("label").tolist() == [0, 1]
    assert frames.pictures(np.array([1]))[0].mean() == pytest.approx(200, abs=2)


def test_an_empty_class_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "asphalt" / "a.png", 40)
    (tmp_path / "gravel").mkdir()
    with pytest.raises(InputError, match="class 'gravel' is empty"):
        sources.list_folders(tmp_path, SURFACE)


def test_a_folder_that_is_no_class_is_named(tmp_path: Path) -> None:
    picture(tmp_path / "asphalt" / "a.png", 40)
    picture(tmp_path / "gravel" / "a.png", 40)
    picture(tmp_path / "sand" / "a.png", 40)
    with pytest.raises(InputError, match="'sand' is not one of the classes asphalt, gravel"):
        sources.list_folders(tmp_path, SURFACE)


def test_an_unreadable_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"no picture at all")
    table = pd.DataFrame({"file": ["bad.jpg"], "label": ["asphalt"]})
    with pytest.raises(InputError, match=r"bad\.jpg: no readable picture"):
        sources.read_pictures(table, tmp_path, SURFACE, "labels.csv")


def test_a_label_that_is_no_class_is_named() -> None:
    with pytest.raises(InputError, match=r"'mud' \(row 2\) is not one of the classes"):
        framesets.one_hot(["gravel", "mud"], SURFACE["label"], "labels.csv")


def test_every_class_needs_frames(tmp_path: Path) -> None:
    picture(tmp_path / "a.png", 40)
    table = pd.DataFrame({"file": ["a.png"], "label": ["asphalt"]})
    frames = sources.read_pictures(table, tmp_path, SURFACE, "labels.csv")
    with pytest.raises(InputError, match="no training frame is labelled gravel"):
        framesets.require_every_class([frames], SURFACE, "training")


def test_six_class_labels_say_nothing_about_what_they_do_not_name() -> None:
    table = pd.DataFrame({"file": ["a"] * 4, "label": ["straight", "uphill", "curve", None]})
    names = tables.labels_by_head(table, ROAD, "labels.csv")
    assert names["slope"] == ["level", "uphill", None, None]
    assert names["course"] == ["straight", None, "curve", None]


def test_sequences_become_stacks_and_manoeuvres(tmp_path: Path) -> None:
    for k in range(5):
        picture(tmp_path / f"{k}.png", 20 * k)
    table = pd.DataFrame(
        {
            "file": [f"{k}.png" for k in range(5)],
            "source": "drive",
            "t_s": [0.0, 0.5, 1.0, 1.5, 2.0],
            "label": ["straight", "straight", "straight", "curve", "curve"],
        }
    )
    grouped = tables.with_manoeuvres(table)
    assert grouped["group"].nunique() == 2
    frames = sources.read_pictures(grouped, tmp_path, ROAD, "labels.csv")
    assert frames.stacks.tolist() == [
        [0, 1, 2, 3, 4],
        [1, 2, 3, 4, 4],
        [2, 3, 4, 4, 4],
        [3, 4, 4, 4, 4],
        [4, 4, 4, 4, 4],
    ]
    fast = sources.read_pictures(grouped.assign(speed_mps=24.0), tmp_path, ROAD, "labels.csv")
    assert fast.stacks[0].tolist() == [0, 0, 1, 1, 2]


def test_a_video_stretch_never_looks_beyond_itself(tmp_path: Path) -> None:
    video = tmp_path / "drive.mp4"
    with av.open(str(video), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for k in range(100):
            frame = av.VideoFrame.from_ndarray(np.full((180, 320, 3), 2 * k, np.uint8), "bgr24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    labels = tmp_path / "drive.csv"
    t = np.arange(100) / 20
    pd.DataFrame({"t_s": t, "slope": "level", "course": ["straight"] * 50 + ["curve"] * 50}).to_csv(
        labels, index=False
    )
    frames = labelledvideo.read_video(video, labels, ROAD, [(2.0, 3.0)], {"slope": 0.5})
    assert len(frames) == 21
    assert frames.planes.shape[0] == 21  # nothing after 3.0 s was even kept
    assert frames.labels("course").tolist() == [0] * 10 + [1] * 11
    assert set(frames.weights["slope"].tolist()) == {0.5}
    first = frames.pictures(np.array([0]))[0].astype(float).mean(axis=(0, 1))
    assert first[0] == pytest.approx(80, abs=3)
    assert first[2] == pytest.approx(120, abs=3)  # 12 m on, one second after 2.0 s
    assert first[4] == pytest.approx(120, abs=3)  # and never later than 3.0 s
    table = pd.read_csv(labels).assign(speed_mps=24.0)
    table.to_csv(labels, index=False)
    with pytest.raises(InputError, match="no frame within"):
        labelledvideo.read_video(video, labels, ROAD, [(90.0, 99.0)], {}, context=[(0.0, 99.0)])
    fast = labelledvideo.read_video(video, labels, ROAD, [(2.0, 4.9)], {}).pictures(np.array([0]))[
        0
    ]
    grey = fast.astype(float).mean(axis=(0, 1))
    # Two pictures a second at 24 m/s are 12 m apart: 0, 0 or 12, 12, 12 or 24 and 24 m on.
    assert grey[[0, 2, 4]] == pytest.approx([80, 100, 120], abs=3)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name = 'x'\nfoo = 1", "heads|foo"),
        ("name = 'x'", "heads"),
        ("name = 'x'\n[heads]\nlabel = ['a', 'a']\n[[data]]\nkind = 'folders'\npath = '.'\n"
         "[[stages]]\nsteps = 1", "each named once"),
        ("name = 'x'\n[heads]\nlabel = ['a', 'b']\n[[data]]\nkind = 'tape'\npath = '.'\n"
         "[[stages]]\nsteps = 1", "tape"),
        ("name = ", "no TOML"),
    ],
    ids=["unknown key", "missing heads", "class twice", "unknown kind", "broken"],
)  # fmt: skip
def test_a_bad_configuration_names_its_fault(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "run.toml"
    file.write_text(text)
    with pytest.raises(InputError, match=message):
        load_config(file)


def test_drives_with_one_camera_share_its_mounting(tmp_path: Path) -> None:
    rows = []
    for sequence, count in (("long", 30), ("short", 8)):
        for k in range(count):
            still = cv2.resize(lamps.picture(6.0 * k, pitch_deg=-4.0)[3:93], (320, 180))
            cv2.imwrite(str(tmp_path / f"{sequence}_{k:02d}.png"), still)
            name = f"{sequence}_{k:02d}.png"
            rows.append((name, sequence, 0.5 * k, "level", "straight", 12.0))
    columns = ["file", "sequence", "t_s", "slope", "course", "speed_mps"]
    table = pd.DataFrame(rows, columns=columns)
    apart = sources.read_pictures(table, tmp_path, ROAD, "labels.csv")
    shared = sources.read_pictures(table.assign(camera="van 7"), tmp_path, ROAD, "labels.csv")
    blank = sources.read_pictures(table.assign(camera=None), tmp_path, ROAD, "labels.csv")
    assert np.array_equal(blank.codes, apart.codes)
    levelled = motioncodes.CODES.index("levelled")
    assert apart.codes is not None
    assert shared.codes is not None
    assert (apart.codes[:30, levelled] == motioncodes.FOV_UNKNOWN).all()
    assert not apart.codes[30:].any()
    assert (shared.codes[:, levelled] == motioncodes.FOV_UNKNOWN).all()
    told = sources.read_pictures(
        table.assign(camera="van 7", fov_deg=STANDARD_FOV_DEG), tmp_path, ROAD, "labels.csv"
    )
    assert told.codes is not None
    assert (told.codes[:, levelled] == 255).all()
    # Of a camera whose field of view is known, what stands upright tells a little more.
    sure = motioncodes.CODES.index("grade_known")
    assert (told.codes[:, sure] >= shared.codes[:, sure]).all()
    apart_bytes = np.abs(told.codes.astype(int) - shared.codes)[:, levelled + 1 :]
    assert np.delete(apart_bytes, sure - 1, axis=1).max() <= 2
    for wrong in (0.0, 400.0, "70 deg"):
        with pytest.raises(InputError, match="fov_deg"):
            sources.read_pictures(table.assign(fov_deg=wrong), tmp_path, ROAD, "labels.csv")
    assert not np.array_equal(shared.planes[35], apart.planes[35])


def test_two_rendered_sets_are_counted_together_and_a_frame_held_twice_once() -> None:
    def held(name: str, frames: list[str]) -> framesets.FrameSet:
        nothing = np.zeros((len(frames), 5), np.int64)
        return framesets.FrameSet(
            name, np.zeros((1, 96, 160), np.uint8), nothing, {}, {}, names=frames
        )

    sets = [held("roads", ["a", "b", "b"]), held("roads", ["a", "c"]), held("drive", ["a"])]
    assert framesets.frame_counts(sets) == {"roads": 4, "drive": 1}
