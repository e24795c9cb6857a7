"""Random changes to training stacks, as TensorFlow operations on a whole batch.

The planes of a stack come from one camera within seconds, so every change of geometry or exposure
applies to all of them alike; only sensor noise differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from offline import motioncodes
from offline.mounting import FOCAL_SD, PRIOR_SD_PX
from offline.preprocessing import PLANE_HEIGHT, PLANE_WIDTH
from offline.training.config import Augmentation
from offline.training.sources import HORIZON_UNIT

Tensor = Any


def mirror_permutations(
    settings: Augmentation, heads: Mapping[str, Sequence[str]]
) -> dict[str, list[int]]:
    """Where each class of a head goes when the picture is mirrored."""
    permutations = {}
    for head, classes in heads.items():
        swaps = dict(settings.mirror.get(head, {}))
        swaps |= {new: old for old, new in swaps.items()}
        permutations[head] = [list(classes).index(swaps.get(name, name)) for name in classes]
    return permutations


def augmenter(
    settings: Augmentation, heads: Mapping[str, Sequence[str]]
) -> Callable[[Tensor, Tensor, dict[str, Tensor], dict[str, Tensor]], tuple[Any, ...]]:
    """A function that changes a batch.

    It takes pictures (float32 of 0..1, shape (n, rows, columns, 5)), bytes of motion (float32 of
    0..1, shape (n, 12)), targets by head and reals by name, and returns the same four: `heading`
    and `curvature` of a mirrored stack change sign, as `motioncodes.MIRRORED` bytes do; `horizon`
    moves with the picture; of a stack that stands or whose mounting is not known, no motion is
    known.
    """
    permutations = mirror_permutations(settings, heads)

    levelled_only = np.array([name == "levelled" for name in motioncodes.CODES], np.float32)
    turning = np.array([name in motioncodes.MIRRORED for name in motioncodes.CODES])

    def change(
        pictures: Tensor, codes: Tensor, targets: dict[str, Tensor], reals: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor], dict[str, Tensor]]:
        count = tf.shape(pictures)[0]
        standing = _chance(count, settings.standing_share)[:, None]
        pictures = tf.where(standing[..., None, None], pictures[..., :1] + 0.0 * pictures, pictures)
        codes = tf.where(standing, codes * levelled_only, codes)
        unlevelled = _chance(count, settings.unlevelled_share)
        codes = tf.where(unlevelled[:, None], 0.0, codes)
        reals = dict(reals)
        mirrored = _chance(count, settings.mirror_share)
        pictures = tf.where(mirrored[:, None, None, None], pictures[:, :, ::-1], pictures)
        targets = {
            head: tf.where(mirrored[:, None], tf.gather(values, permutations[head], axis=1), values)
            for head, values in targets.items()
        }
        # 128 is none: a byte and its mirror image add up to 256, and 0 is not known.
        swapped = tf.where(turning & (codes > 0.0), np.float32(256 / 255) - codes, codes)
        codes = tf.where(mirrored[:, None], swapped, codes)
        for name in {"heading", "curvature"} & reals.keys():
            reals[name] = tf.where(mirrored, -reals[name], reals[name])
        pictures, down, zoom = _moved(pictures, settings, unlevelled)
        if "horizon" in reals:
            reals["horizon"] = (reals["horizon"] - down / np.float32(HORIZON_UNIT)) / zoom
        pictures = _exposed(pictures, settings)
        return pictures, codes, targets, reals

    return change


def _chance(count: Tensor, share: float) -> Tensor:
    return tf.random.uniform((count,)) < share


def _moved(
    pictures: Tensor, settings: Augmentation, unlevelled: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Shift, zoom and rotate: where the camera points and how wide it sees.

    Returns the pictures, how far each was moved up in half heights, and how far zoomed out.
    """
    count, rows, columns = tf.shape(pictures)[0], pictures.shape[1], pictures.shape[2]
    angle = tf.random.uniform((count,), -1.0, 1.0) * np.float32(np.radians(settings.rotate_deg))
    by_eye = tf.cast(unlevelled, tf.float32)
    zoom = tf.exp(
        tf.random.uniform((count,), -1.0, 1.0) * np.float32(settings.zoom)
        + by_eye * tf.random.normal((count,)) * FOCAL_SD
    )
    across = tf.random.uniform((count,), -1.0, 1.0) * np.float32(settings.shift * columns)
    down = tf.random.uniform((count,), -1.0, 1.0) * np.float32(settings.shift * rows)
    right_sd, down_sd = PRIOR_SD_PX
    across += by_eye * tf.random.normal((count,)) * np.float32(right_sd / PLANE_WIDTH * columns)
    down += by_eye * tf.random.normal((count,)) * np.float32(down_sd / PLANE_HEIGHT * rows)
    cos, sin = tf.cos(angle) * zoom, tf.sin(angle) * zoom
    cx, cy = np.float32(columns / 2.0), np.float32(rows / 2.0)
    zero = tf.zeros_like(cos)
    transforms = tf.stack(
        [cos, -sin, cx - cos * cx + sin * cy + across, sin, cos, cy - sin * cx - cos * cy + down,
         zero, zero], axis=1,
    )  # fmt: skip
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures, transforms=transforms, output_shape=[rows, columns], fill_value=0.0,
        interpolation="BILINEAR", fill_mode="NEAREST",
    )  # fmt: skip
    return moved, down / cy, zoom


def _exposed(pictures: Tensor, settings: Augmentation) -> Tensor:
    """Exposure, blur, something in the way, and noise."""
    count, rows, columns = tf.shape(pictures)[0], pictures.shape[1], pictures.shape[2]
    one = (count, 1, 1, 1)
    gamma = 2.0 ** (tf.random.uniform(one, -1.0, 1.0) * np.float32(settings.gamma))
    contrast = 1.0 + tf.random.uniform(one, -1.0, 1.0) * np.float32(settings.contrast)
    offset = tf.random.uniform(one, -0.3, 0.3) * np.float32(settings.contrast)
    pictures = tf.pow(tf.clip_by_value(pictures, 1e-4, 1.0), gamma)
    pictures = (pictures - 0.5) * contrast + 0.5 + offset
    if settings.blur_share > 0.0:
        blurred = tf.nn.avg_pool2d(pictures, 3, 1, "SAME")
        chosen = _chance(count, settings.blur_share)[:, None, None, None]
        pictures = tf.where(chosen, blurred, pictures)
    if settings.cutout_share > 0.0:
        y = tf.range(rows, dtype=tf.float32)[None, :, None]
        x = tf.range(columns, dtype=tf.float32)[None, None, :]
        top, left = (tf.random.uniform((count, 1, 1)) * n for n in (float(rows), float(columns)))
        high, wide = (
            tf.random.uniform((count, 1, 1), 0.05, 0.3) * n for n in (float(rows), float(columns))
        )
        box = (y >= top) & (y < top + high) & (x >= left) & (x < left + wide)
        box &= _chance(count, settings.cutout_share)[:, None, None]
        pictures = tf.where(box[..., None], tf.random.uniform(one), pictures)
    sigma = tf.random.uniform(one) * np.float32(settings.noise)
    pictures += tf.random.normal(tf.shape(pictures)) * sigma
    return tf.clip_by_value(pictures, 0.0, 1.0)
