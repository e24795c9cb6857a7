from __future__ import annotations

import csv
import hashlib
import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

import models
from offline.cli import group
from offline.roadscene import CLASSES, UNDETERMINED

COLUMNS = [
    *("source", "frame", "t_s", "label", "confidence"),
    *("p_level", "p_uphill", "p_downhill"),
    *("p_course_straight", "p_course_curve", "p_course_left_turn", "p_course_right_turn"),
]


def stills(folder: Path, count: int = 4) -> Path:
    folder.mkdir()
    rng = np.random.default_rng(4)
    for number in range(count):
        picture = cv2.GaussianBlur(rng.uniform(0, 255, (180, 320, 3)), (0, 0), 9)
        cv2.imwrite(str(folder / f"drive_{number:03}.png"), picture.astype(np.uint8))
    return folder


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_one_row_a_picture_in_the_documented_columns(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, out = stills(tmp_path / "stills"), tmp_path / "labels.csv"
    (folder / "drive_002.png").write_bytes(b"broken")
    code = group.run(["classify", str(folder), "--csv", str(out), "--fps", "4", "--json"])
    summary = json.loads(capfd.readouterr().out)
    assert code == 0
    found = rows(out)
    assert list(found[0]) == COLUMNS
    assert [row["source"] for row in found] == [f"drive_00{i}.png" for i in range(4)]
    assert [row["t_s"] for row in found] == ["0.000", "0.250", "0.500", "0.750"]
    for row in (found[0], found[1], found[3]):
        assert row["label"] in (*CLASSES, UNDETERMINED)
        assert sum(float(row[name]) for name in COLUMNS[5:8]) == pytest.approx(1, abs=2e-3)
        assert sum(float(row[name]) for name in COLUMNS[8:]) == pytest.approx(1, abs=2e-3)
    assert found[2]["label"] == UNDETERMINED
    assert {found[2][name] for name in COLUMNS[4:]} == {""}
    assert summary["frames"] == 4
    assert sum(summary["labels"].values()) == 4
    card = (models.locate("road_scene") / "model.json").read_bytes()
    assert summary["model"]["sha256"] == hashlib.sha256(card).hexdigest()


def test_other_classes_get_their_own_columns(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    model = Path(shutil.copytree(models.locate("road_scene"), tmp_path / "mine"))
    card = json.loads((model / "model.json").read_text())
    card["heads"] = [head for head in card["heads"] if head["name"] == "slope"]
    card["heads"][0] |= {"name": "weather", "classes": ["dry", "wet", "snow"]}
    card["heads"][0]["undetermined_below"] = 0.0
    (model / "model.json").write_text(json.dumps(card))
    code = group.run(["classify", str(stills(tmp_path / "s")), "--model", str(model)])
    lines = list(csv.DictReader(capfd.readouterr().out.splitlines()))
    assert code == 0
    assert list(lines[0])[5:] == ["p_dry", "p_wet", "p_snow"]
    for line in lines:
        best = max(("dry", "wet", "snow"), key=lambda name: float(line[f"p_{name}"]))
        assert line["label"] == best
        assert line["confidence"] == line[f"p_{best}"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.mp4"], "does not exist"),
        (["text.mp4"], "as a video"),
        (["empty"], "holds no pictures"),
        (["stills", "--model", "nope"], "no released model 'nope'"),
        (["stills", "--csv", "nowhere/labels.csv"], "there is no folder"),
        (["stills", "--json"], "give --csv a file"),
        (["stills", "--fov", "nan"], "not a number of degrees"),
        (["trip"], "trip"),
    ],
)
def test_bad_input_is_one_clear_line_and_code_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    stills(tmp_path / "stills", 1)
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "empty").mkdir()
    (tmp_path / "trip").mkdir()
    (tmp_path / "trip" / "trip.sqlite").write_bytes(b"")
    before = sorted(tmp_path.rglob("*"))
    assert group.run(["classify", *arguments]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert message in captured.err
    assert "Traceback" not in captured.err
    assert sorted(tmp_path.rglob("*")) == before
