"""The six classes follow from the two heads by one rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offline import roadscene


@pytest.mark.parametrize(
    ("grade_percent", "slope"),
    [(2.5, "level"), (2.51, "uphill"), (-2.5, "level"), (-2.51, "downhill"), (0.0, "level")],
)
def test_slope_threshold(grade_percent: float, slope: str) -> None:
    assert roadscene.slope_of_grade(grade_percent) == slope


@pytest.mark.parametrize(
    ("heading_deg", "curvature", "course"),
    [
        (0.0, 0.0, "straight"),
        (9.9, 0.0079, "straight"),
        (10.0, 0.0, "curve"),
        (0.0, -0.008, "curve"),
        (34.9, 0.02, "curve"),
        (35.0, 0.02, "left_turn"),
        (-35.0, -0.02, "right_turn"),
    ],
)
def test_course_thresholds(heading_deg: float, curvature: float, course: str) -> None:
    assert roadscene.course_of_heading(heading_deg, curvature) == course


_weights = st.integers(1, 100)


@given(
    st.lists(_weights, min_size=3, max_size=3),
    st.lists(_weights, min_size=4, max_size=4),
)
def test_label_follows_the_heads_and_probabilities_sum_to_one(
    slope: list[int], course: list[int]
) -> None:
    p_slope = np.array([slope]) / sum(slope)
    p_course = np.array([course]) / sum(course)
    p = roadscene.class_probabilities(p_slope, p_course)
    assert p.shape == (1, len(roadscene.CLASSES))
    assert p.sum() == pytest.approx(1.0)
    (label,), confidence = roadscene.labels(p_slope, p_course)
    best_slope = roadscene.SLOPES[int(np.argmax(slope))]
    best_course = roadscene.COURSES[int(np.argmax(course))]
    if best_course != "straight":
        assert label == best_course
        assert confidence[0] == pytest.approx(max(course) / sum(course))
    else:
        assert label == ("straight" if best_slope == "level" else best_slope)
        assert confidence[0] <= max(course) / sum(course)


def test_class_order_is_that_of_the_heads() -> None:
    p = roadscene.class_probabilities(np.array([[0.0, 1.0, 0.0]]), np.array([[1.0, 0, 0, 0]]))
    assert roadscene.CLASSES[int(p[0].argmax())] == "uphill"
    p = roadscene.class_probabilities(np.array([[0.0, 1.0, 0.0]]), np.array([[0, 0, 0, 1.0]]))
    assert roadscene.CLASSES[int(p[0].argmax())] == "right_turn"
