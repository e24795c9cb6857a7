"""Figures checked against figures worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from offline.training import calibration, evaluation


def probabilities(answers: list[int], confidence: float = 0.8, classes: int = 3) -> np.ndarray:
    rest = (1.0 - confidence) / (classes - 1)
    p = np.full((len(answers), classes), rest)
    p[np.arange(len(answers)), answers] = confidence
    return p


def test_confusion_precision_recall_and_f1() -> None:
    truth = np.array([0, 0, 0, 1, 1, -1])
    scores = evaluation.score_head(("a", "b", "c"), truth, probabilities([0, 0, 1, 1, 2, 2]))
    assert scores.confusion.tolist() == [[2, 1, 0], [0, 1, 1], [0, 0, 0]]
    assert scores.frames == 5
    assert scores.recall[:2].tolist() == pytest.approx([2 / 3, 1 / 2])
    assert scores.precision[:2].tolist() == pytest.approx([1.0, 1 / 2])
    # Class c does not occur: its F1 does not exist and does not count.
    assert np.isnan(scores.f1[2])
    assert scores.macro_f1 == pytest.approx((0.8 + 0.5) / 2)
    assert scores.as_json()["per_class"]["c"]["f1"] is None


def test_manoeuvres_go_by_majority() -> None:
    truth = np.array([1, 1, 1, 0, 0])
    groups = ["turn"] * 3 + ["straight"] * 2
    scores = evaluation.score_head(
        ("a", "b"), truth, probabilities([1, 1, 0, 1, 1], 0.8, 2), groups
    )
    by_group = {m["group"]: m for m in scores.manoeuvres}
    assert by_group["turn"]["right"] is True
    assert by_group["turn"]["share_right"] == pytest.approx(2 / 3, abs=1e-3)
    assert by_group["straight"]["right"] is False


def test_answers_are_counted_by_the_true_grade() -> None:
    grade = np.array([-20.0, -3.0, -3.0, 0.0, 0.4, 7.0, 7.9, np.nan])
    rows = evaluation.answers_by_grade(grade, np.array([2, 2, 0, 0, 0, 1, 0, 1]), 3)
    counted = {row["from_percent"]: row["answers"] for row in rows if sum(row["answers"])}
    assert counted == {-12.5: [0, 0, 1], -3.5: [1, 0, 1], -0.5: [2, 0, 0], 6.0: [1, 1, 0]}
    assert [row["to_percent"] for row in rows][:-1] == [row["from_percent"] for row in rows][1:]


def test_abstaining_leaves_out_the_unsure() -> None:
    truth = np.array([0, 0, 1, 1])
    p = np.array([[0.95, 0.05], [0.9, 0.1], [0.45, 0.55], [0.55, 0.45]])
    curve = {a["threshold"]: a for a in evaluation.score_head(("a", "b"), truth, p).abstention}
    assert curve[0.0] == {"threshold": 0.0, "answered": 1.0, "accuracy": 0.75}
    assert curve[0.7] == {"threshold": 0.7, "answered": 0.5, "accuracy": 1.0}


def test_calibration_error_is_the_gap_between_confidence_and_accuracy() -> None:
    truth = np.array([0] * 6 + [1] * 4)
    measured = calibration.reliability(probabilities([0] * 10, 0.85, 2), truth)
    assert measured.error == pytest.approx(0.25)
    assert measured.count[8] == 10


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_temperature_is_recovered(temperature: float) -> None:
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (20000, 3))
    p = calibration.softmax(logits)
    drawn = (p.cumsum(axis=1) > rng.random((20000, 1))).argmax(axis=1)
    found = calibration.fit_temperature(logits * temperature, np.eye(3)[drawn])
    assert found == pytest.approx(temperature, rel=0.05)


def test_six_classes_need_both_heads() -> None:
    assert evaluation.six_class_scores([], {"label": np.zeros((0, 2), np.float32)}) is None
