from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import models
from offline import motioncodes, roadscene
from offline.classifier import Classifier
from offline.errors import ModelError
from offline.preprocessing import CODE_BYTES

Change = Callable[[dict[str, Any]], None]


def stacks(n: int = 3) -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (n, 96, 160, 5), dtype=np.uint8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return Path(shutil.copytree(models.locate("road_scene"), tmp_path / "model"))


def change(model: Path, edit: Change) -> None:
    card = json.loads((model / "model.json").read_text())
    edit(card)
    (model / "model.json").write_text(json.dumps(card))


def test_probabilities_of_every_head_sum_to_one(model: Path) -> None:
    classifier = Classifier(model)
    found = classifier.predict(stacks())
    assert {name: p.shape for name, p in found.items()} == {"slope": (3, 3), "course": (3, 4)}
    for p in found.values():
        assert np.allclose(p.sum(axis=1), 1.0, atol=1e-5)
        assert (p >= 0).all()
    assert classifier.heads["slope"].classes == roadscene.SLOPES
    classifier.require_road_scene()


def felt_bytes(**felt: int) -> np.ndarray:
    """Bytes of a levelled frame on a straight level road, but for what was felt."""
    plain = {"levelled": 255, "heading_known": 255, "heading": 128, "curvature": 128,
             "peak_curvature": 0, "slope_known": 255, "near_grade": 128, "far_grade": 128,
             "grade_change": 128, "grade_known": 180, "heading_behind": 128,
             "curvature_behind": 128}  # fmt: skip
    assert set(felt) <= set(plain)
    return np.array([(plain | felt)[name] for name in motioncodes.CODES], np.uint8)


def test_what_was_felt_of_a_turn_counts(model: Path) -> None:
    grey = np.full((2, 96, 160, 5), 110, np.uint8)
    codes = np.zeros((2, CODE_BYTES), np.uint8)
    for row, turned in enumerate((85, -85)):
        codes[row] = felt_bytes(heading=128 + turned, curvature=128 + turned, peak_curvature=210)
    p = Classifier(model).predict(grey, codes)["course"]
    left, right = roadscene.COURSES.index("left_turn"), roadscene.COURSES.index("right_turn")
    assert p[0, left] > 0.5 > p[0, right]
    assert p[1, right] > 0.5 > p[1, left]


def test_temperature_divides_the_logits(model: Path) -> None:
    change(model, lambda card: [head.update(temperature=1.0) for head in card["heads"]])
    plain = Classifier(model).predict(stacks())["course"]
    change(model, lambda card: [head.update(temperature=2.0) for head in card["heads"]])
    softer = Classifier(model).predict(stacks())["course"]
    expected = np.sqrt(plain) / np.sqrt(plain).sum(axis=1, keepdims=True)
    assert np.allclose(softer, expected, atol=1e-5)


def test_each_frame_is_judged_alone(model: Path) -> None:
    classifier = Classifier(model)
    together = classifier.predict(stacks())
    for row in range(3):
        alone = classifier.predict(stacks()[row : row + 1])
        assert np.array_equal(alone["slope"][0], together["slope"][row])


def test_no_frames_give_no_rows(model: Path) -> None:
    assert Classifier(model).predict(stacks(0))["course"].shape == (0, 4)


def cut_in_half(model: Path) -> None:
    network = next(model.glob("*.tflite"))
    network.write_bytes(network.read_bytes()[: network.stat().st_size // 2])


def test_a_network_cut_in_half_is_refused(model: Path) -> None:
    cut_in_half(model)
    with pytest.raises(ModelError, match="damaged or was replaced"):
        Classifier(model)


def test_a_missing_network_is_named(model: Path) -> None:
    next(model.glob("*.tflite")).unlink()
    with pytest.raises(ModelError, match=r"cannot read the network .*tflite"):
        Classifier(model)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda card: card.update(preprocessing="rgb-224"), "made for preprocessing 'rgb-224'"),
        (lambda card: card.pop("heads"), "no entry 'heads'"),
        (lambda card: card.update(heads=[]), "a head without classes"),
        (lambda card: card.update(file="../x.tflite"), "outside its folder"),
        (lambda card: card["heads"][0].update(temperature="warm"), "damaged or foreign"),
        (lambda card: card["heads"][0].update(temperature=0), "temperature"),
        (lambda card: card["heads"][0].update(output="elsewhere"), "belongs to another network"),
        (
            lambda card: card["heads"][0].update(classes=["a", "b"], prior=[]),
            "belongs to another network",
        ),
        (lambda card: card["heads"][0].update(prior=[0.5, 0.5]), "a share above 0 for every"),
    ],
)
def test_a_card_that_does_not_fit_is_refused(model: Path, edit: Change, message: str) -> None:
    change(model, edit)
    with pytest.raises(ModelError, match=message):
        Classifier(model)


def test_a_folder_without_card_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no model in"):
        Classifier(tmp_path)
    (tmp_path / "model.json").write_text("{")
    with pytest.raises(ModelError, match="is no JSON"):
        Classifier(tmp_path)


def test_fusion_refuses_other_classes_in_one_line(model: Path) -> None:
    change(model, lambda card: card["heads"][1].update(classes=["a", "b", "c", "d"]))
    with pytest.raises(ModelError, match=r"course: a, b, c, d.*scoring needs.*left_turn") as caught:
        Classifier(model).require_road_scene()
    assert "\n" not in str(caught.value)


def test_stacks_of_another_kind_are_refused(model: Path) -> None:
    with pytest.raises(ValueError, match="not uint8 of shape"):
        Classifier(model).predict(stacks().astype(np.float32))
