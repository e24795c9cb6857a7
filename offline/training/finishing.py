"""From the trained network to a model folder: quantize, compare, calibrate, write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
from numpy.typing import NDArray

from offline import preprocessing
from offline.training import calibration, card, network, quantization
from offline.training.config import TrainingConfig
from offline.training.evaluation import HeadScores, score_head
from offline.training.framesets import FrameSet, frame_counts
from offline.training.release import HeadRelease, write_model
from offline.training.trainer import TrainingData, representative_pictures

VALIDATION_FRAMES = 1500


@dataclass(frozen=True)
class Finished:
    """A finished model's int8 and float networks and its calibration."""

    content: bytes
    float_content: bytes
    heads: dict[str, HeadRelease]
    int8_scores: dict[str, HeadScores]
    float_scores: dict[str, HeadScores]


def quantize_and_calibrate(
    config: TrainingConfig, data: TrainingData, model: keras.Model, threads: int = 2
) -> Finished:
    """Quantize a network, compare int8 with float and fit each head's temperature.

    Temperatures are fitted to the int8 network's own logits on validation frames.
    """
    plain = network.released(model, list(config.heads), config.stages[-1].shrink)
    content = quantization.convert_int8(plain, representative_pictures(config, data))
    float_content = quantization.convert_float(plain)
    sets = [_thinned(frames) for frames in data.validation]
    logits = {
        kind: [_logits(config, content_, frames, threads) for frames in sets]
        for kind, content_ in (("int8", content), ("float", float_content))
    }
    heads: dict[str, HeadRelease] = {}
    scores: dict[str, dict[str, HeadScores]] = {"int8": {}, "float": {}}
    for head, classes in config.heads.items():
        truth = np.concatenate([frames.labels(head) for frames in sets])
        targets = np.concatenate([frames.targets[head] for frames in sets])
        known = truth >= 0
        joined = {kind: np.concatenate([each[head] for each in v]) for kind, v in logits.items()}
        temperature = calibration.fit_temperature(joined["int8"][known], targets[known])
        p = calibration.softmax(joined["int8"][known], temperature)
        threshold = config.undetermined_below
        if threshold is None:
            threshold = calibration.decision_threshold(p, truth[known])
        prior = np.bincount(truth[known], minlength=len(classes)) / known.sum()
        heads[head] = HeadRelease(
            classes, temperature, threshold, prior.tolist(), head in config.needs_sensors
        )
        for kind, values in joined.items():
            p = calibration.softmax(values, temperature)
            scores[kind][head] = score_head(classes, truth, p)
    return Finished(content, float_content, heads, scores["int8"], scores["float"])


def _thinned(frames: FrameSet) -> FrameSet:
    if len(frames) <= VALIDATION_FRAMES:
        return frames
    return frames.subset(np.linspace(0, len(frames) - 1, VALIDATION_FRAMES).astype(np.int64))


def _logits(
    config: TrainingConfig, content: bytes, frames: FrameSet, threads: int
) -> dict[str, NDArray[np.float32]]:
    outputs = quantization.outputs_by_head(content, dict(config.heads))
    index = np.arange(len(frames))
    pictures = preprocessing.joined(
        frames.pictures(index, single_frame=config.single_frame), frames.motion(index)
    )
    return quantization.run_heads(content, pictures, outputs, threads)


def write_release(
    folder: Path, config: TrainingConfig, data: TrainingData, finished: Finished
) -> None:
    """Write the model folder: network, `model.json`, card and reliability diagram."""
    write_model(folder, finished.content, finished.heads, name=config.name, version=config.version)
    scores = finished.int8_scores
    trained = ", ".join(f"{len(frames)} of {frames.name}" for frames in data.train)
    document = {
        "name": config.name,
        "version": config.version,
        "summary": config.card.summary
        or [
            f"VGG-19 topology at width {config.width_multiplier:g}, full int8, trained on "
            f"{trained} frames."
        ],
        "heads": {head: list(classes) for head, classes in config.heads.items()},
        "training_frames": frame_counts(data.train),
        "validation_frames": frame_counts(data.validation),
        "stages": [stage.model_dump() for stage in config.stages],
        "single_frame": config.single_frame,
        "seed": config.seed,
        "temperatures": {head: round(r.temperature, 4) for head, r in finished.heads.items()},
        "undetermined_below": {
            head: round(r.undetermined_below, 4) for head, r in finished.heads.items()
        },
        "int8_against_float_on_validation": {
            head: {
                "int8_macro_f1": round(score.macro_f1, 4),
                "float_macro_f1": round(finished.float_scores[head].macro_f1, 4),
            }
            for head, score in scores.items()
        },
        "goals": [goal.model_dump(exclude_none=True) for goal in config.card.goals],
        "shortfalls": config.card.shortfalls,
        "figures": {
            "Validation": card.section(
                "Frames that chose the weights and set the temperatures: flattering by "
                "construction.",
                scores,
            )
        },
    }
    card.write_reliability(folder, {head: s.reliability for head, s in scores.items()})
    card.write_card(folder, document)
