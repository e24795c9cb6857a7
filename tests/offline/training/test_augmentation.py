"""Augmentation: what is changed in a picture is changed in its targets."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from offline import motioncodes, roadscene
from offline.preprocessing import CODE_BYTES
from offline.training import sources
from offline.training.augmentation import augmenter
from offline.training.config import Augmentation

ROAD = {"slope": roadscene.SLOPES, "course": roadscene.COURSES}
NOTHING = {
    "shift": 0.0, "zoom": 0.0, "rotate_deg": 0.0, "gamma": 0.0, "contrast": 0.0, "noise": 0.0,
    "blur_share": 0.0, "cutout_share": 0.0, "standing_share": 0.0, "unlevelled_share": 0.0,
}  # fmt: skip


def unknown(count: int) -> np.ndarray:
    return np.zeros((count, CODE_BYTES), np.float32)


def test_a_moved_picture_takes_its_horizon_along() -> None:
    moving = Augmentation(**(NOTHING | {"shift": 0.1, "zoom": 0.1}))
    n, rows, columns, row = 64, 96, 160, 36
    pictures = np.zeros((n, rows, columns, 5), np.float32)
    pictures[:, :row] = 1.0  # sky above a horizon a quarter of the half height above the middle
    reals = {"horizon": np.full(n, (row - 48) / 48 / sources.HORIZON_UNIT, np.float32)}
    moved, _, _, told = augmenter(moving, ROAD)(tf.constant(pictures), unknown(n), {}, reals)
    seen = (moved.numpy()[:, :, 80, 0] > 0.5).sum(axis=1)
    expected = 48 + 48 * told["horizon"].numpy() * sources.HORIZON_UNIT
    assert np.ptp(seen) > 5
    assert np.abs(seen - expected).max() < 1.5


def test_a_camera_shown_as_standing_shows_one_picture() -> None:
    standing = Augmentation(**(NOTHING | {"standing_share": 1.0}))
    pictures = np.random.default_rng(1).uniform(size=(4, 96, 160, 5)).astype(np.float32)
    codes = np.tile(np.float32(100 / 255), (4, CODE_BYTES))
    changed, told, _, _ = augmenter(standing, ROAD)(tf.constant(pictures), codes, {}, {})
    # Its camera is still mounted as it was; how it moves is not known.
    assert np.array_equal(
        told.numpy() > 0, np.tile(np.array(motioncodes.CODES) == "levelled", (4, 1))
    )
    for plane in range(5):
        np.testing.assert_allclose(changed.numpy()[..., plane], pictures[..., 0], atol=1e-3)


def test_a_mirrored_road_turns_the_other_way() -> None:
    mirrored = Augmentation(
        **NOTHING, mirror_share=1.0, mirror={"course": {"left_turn": "right_turn"}}
    )
    pictures = np.random.default_rng(2).uniform(size=(2, 96, 160, 5)).astype(np.float32)
    targets = {"course": np.tile(np.float32([0, 0, 1, 0]), (2, 1))}
    codes = np.tile(np.float32(140 / 255), (2, CODE_BYTES))
    codes[1] = 0.0
    changed, bytes_of_motion, found, told = augmenter(mirrored, ROAD)(
        tf.constant(pictures),
        codes,
        targets,
        {"heading": np.float32([1.0, -0.5]), "curvature": np.float32([0.25, 0.0])},
    )
    np.testing.assert_allclose(changed.numpy(), pictures[:, :, ::-1], atol=1e-3)
    assert found["course"].numpy().argmax(axis=1).tolist() == [3, 3]
    assert told["heading"].numpy().tolist() == [-1.0, 0.5]
    assert told["curvature"].numpy().tolist() == [-0.25, 0.0]
    expected = [116 if name in motioncodes.MIRRORED else 140 for name in motioncodes.CODES]
    np.testing.assert_allclose(bytes_of_motion.numpy()[0] * 255, expected, atol=1e-3)
    assert not bytes_of_motion.numpy()[1].any()  # what is not known stays so


def test_a_camera_of_unknown_mounting_knows_no_motion_and_points_anywhere() -> None:
    askew = Augmentation(**(NOTHING | {"unlevelled_share": 1.0}))
    pictures = np.zeros((64, 96, 160, 5), np.float32)
    pictures[:, :48] = 1.0
    codes = np.ones((64, CODE_BYTES), np.float32)
    moved, told, _, _ = augmenter(askew, ROAD)(tf.constant(pictures), codes, {}, {})
    rows = (moved.numpy()[:, :, 80, 0] > 0.5).sum(axis=1)
    assert rows.std() > 4.0
    assert not told.numpy().any()
