"""Trains a network in stages, from checkpoint to checkpoint; a killed run goes on where it was."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from offline import preprocessing
from offline.training import augmentation, network, sources
from offline.training.config import Stage, TrainingConfig
from offline.training.framesets import FrameSet, require_every_class

log = logging.getLogger(__name__)

INPUT_SCALE = np.float32(1.0 / 255.0)


def use_threads(count: int) -> None:
    """Set TensorFlow's threads; only before its first operation."""
    tf.config.threading.set_intra_op_parallelism_threads(count)
    tf.config.threading.set_inter_op_parallelism_threads(1)


@dataclass(frozen=True)
class TrainingData:
    """Frames to learn from and frames to choose and calibrate by.

    Weights are chosen by the mean score of the validation sets, each counted by its source's share
    of a batch: a short stretch of one real road would otherwise decide by its own noise.
    """

    train: list[FrameSet]
    shares: list[float]
    validation: list[FrameSet]
    validation_shares: list[float]


def load_data(config: TrainingConfig) -> TrainingData:
    """Read every source of a configuration.

    Raises
    ------
    InputError
        A source is missing or malformed, or a class has no frames.
    """
    train, shares, validation, weights = [], [], [], []
    for source in config.data:
        sets = sources.read(source, config.heads, "train", config.seed)
        train += sets
        shares += [source.share] * len(sets)
        held_out = sources.read(source, config.heads, "validation", config.seed)
        validation += held_out
        weights += [source.share] * len(held_out)
    require_every_class(train, config.heads, "training")
    require_every_class(validation, config.heads, "validation")
    return TrainingData(train, shares, validation, weights)


def auxiliary_names(config: TrainingConfig) -> tuple[str, ...]:
    """Training-only real outputs: those that synthetic roads can teach."""
    if config.auxiliary_weight > 0 and any(source.kind == "synth" for source in config.data):
        return sources.AUXILIARY
    return ()


def build_model(config: TrainingConfig, shrink: int) -> keras.Model:
    """The configuration's network for pictures shrunk by a factor of 1, 2 or 4."""
    return network.build(
        config.heads,
        height=preprocessing.PLANE_HEIGHT // shrink,
        width=preprocessing.PLANE_WIDTH // shrink,
        channels=len(preprocessing.STACK_DISTANCES_M),
        width_multiplier=config.width_multiplier,
        poolings=len(network.BLOCKS) - shrink.bit_length() + 1,
        dropout=config.dropout,
        codes=preprocessing.CODE_BYTES,
        auxiliary=auxiliary_names(config),
    )


def predict(
    model: keras.Model, frames: FrameSet, heads: Sequence[str], *, single_frame: bool = False
) -> dict[str, NDArray[np.float32]]:
    """Float logits of every frame by head."""
    shrink = preprocessing.PLANE_HEIGHT // model.input["stack"].shape[1]
    collected: dict[str, list[NDArray[np.float32]]] = {head: [] for head in heads}
    call = tf.function(
        lambda x, c: model({"stack": x, "codes": c}, training=False), reduce_retracing=True
    )
    for start in range(0, len(frames), 128):
        index = np.arange(start, min(start + 128, len(frames)))
        pictures = tf.cast(frames.pictures(index, single_frame=single_frame), tf.float32)
        pictures = _shrunk(pictures * INPUT_SCALE, shrink)
        codes = tf.cast(frames.motion(index), tf.float32)
        outputs = call(pictures, codes * INPUT_SCALE)
        for head in heads:
            collected[head].append(outputs[head].numpy())
    return {head: np.concatenate(parts) for head, parts in collected.items()}


def macro_f1(truth: NDArray[np.int64], guess: NDArray[np.int64], classes: int) -> float:
    """Mean F1 over the classes that occur in the truth; frames with truth -1 do not count."""
    known = truth >= 0
    truth, guess = truth[known], guess[known]
    scores = []
    for k in range(classes):
        if not (truth == k).any():
            continue
        hit = float(((truth == k) & (guess == k)).sum())
        scores.append(2 * hit / max(float((truth == k).sum() + (guess == k).sum()), 1.0))
    return float(np.mean(scores)) if scores else float("nan")


def _shrunk(pictures: Any, shrink: int) -> Any:
    return pictures if shrink == 1 else tf.nn.avg_pool2d(pictures, shrink, shrink, "VALID")


class Sampler:
    """Draws batches: sources by share, frames by class balance."""

    def __init__(
        self,
        config: TrainingConfig,
        data: TrainingData,
        shrink: int = 1,
    ) -> None:
        self._train = [frames.shrunk(shrink) for frames in data.train]
        self._heads = list(config.heads)
        self._auxiliary = auxiliary_names(config)
        self._single_frame = config.single_frame
        shares = np.asarray(data.shares, float)
        self._shares = shares / shares.sum()
        self._chances = [_frame_chances(frames, config) for frames in data.train]

    def batch(self, rng: np.random.Generator, size: int) -> dict[str, Any]:
        counts = rng.multinomial(size, self._shares)
        parts = []
        for frames, chances, count in zip(self._train, self._chances, counts, strict=True):
            if count:
                index = np.searchsorted(chances, rng.random(count)).clip(0, len(frames) - 1)
                parts.append((frames, index))
        return {
            "pictures": np.concatenate(
                [f.pictures(i, single_frame=self._single_frame) for f, i in parts]
            ),
            "codes": np.concatenate([f.motion(i) for f, i in parts]),
            "targets": {
                h: np.concatenate([f.targets[h][i] for f, i in parts]) for h in self._heads
            },
            "weights": {
                h: np.concatenate([f.weights[h][i] for f, i in parts]) for h in self._heads
            },
            "reals": {
                name: np.concatenate(
                    [
                        f.reals[name][i] if name in f.reals else np.full(i.size, np.nan, np.float32)
                        for f, i in parts
                    ]
                )
                for name in self._auxiliary
            },
        }


def _frame_chances(frames: FrameSet, config: TrainingConfig) -> NDArray[np.float64]:
    """Cumulated chance of every frame, rarer classes drawn more often."""
    chance = np.zeros(len(frames))
    for head, classes in config.heads.items():
        labels = frames.labels(head)
        counts = np.bincount(labels[labels >= 0], minlength=len(classes)).astype(float)
        rarity = np.where(counts > 0, counts.max() / np.maximum(counts, 1), 0.0)
        rarity = rarity**config.class_balance
        chance += np.where(labels >= 0, rarity[np.maximum(labels, 0)], 0.0)
    return np.cumsum(chance / chance.sum())


class Trainer:
    """One training run.

    Parameters
    ----------
    config : TrainingConfig
    data : TrainingData
    start_from : keras.Model, optional
        A model whose weights the run starts with.
    """

    def __init__(
        self, config: TrainingConfig, data: TrainingData, start_from: keras.Model | None = None
    ) -> None:
        self._config, self._data = config, data
        self._heads = list(config.heads)
        self._work = config.work / f"{config.name}-{config.version}"
        self._work.mkdir(parents=True, exist_ok=True)
        self._board = tf.summary.create_file_writer(str(self._work / "tensorboard"))
        self._start_from = start_from

    def run(self) -> keras.Model:
        """Train all stages; returns the last stage's network with the best weights found."""
        weights = self._start_from.get_weights() if self._start_from is not None else None
        model = self._start_from
        before = 0
        for number, stage in enumerate(self._config.stages):
            keras.utils.set_random_seed(self._config.seed + number)
            model = build_model(self._config, stage.shrink)
            if weights is not None:
                model.set_weights(weights)
            self._train_stage(model, stage, number, before)
            weights = model.get_weights()
            before += stage.steps
        return model

    def _train_stage(self, model: keras.Model, stage: Stage, number: int, before: int) -> None:
        schedule = keras.optimizers.schedules.CosineDecay(
            stage.learning_rate * 0.05,
            stage.steps,
            alpha=0.01,
            warmup_target=stage.learning_rate,
            warmup_steps=stage.warmup_steps,
        )
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=self._config.weight_decay, clipnorm=5.0
        )
        optimizer.build(model.trainable_variables)
        done = tf.Variable(0, dtype=tf.int64)
        best = tf.Variable(-1.0)
        best_at = tf.Variable(0, dtype=tf.int64)
        checkpoint = tf.train.Checkpoint(
            model=model, optimizer=optimizer, done=done, best=best, best_at=best_at
        )
        folder = self._work / f"stage{number}"
        folder.mkdir(parents=True, exist_ok=True)
        manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=2)
        best_file = folder / "best.weights.h5"
        if manager.latest_checkpoint:
            checkpoint.restore(manager.latest_checkpoint)
            log.info("stage %d goes on at step %d", number, int(done.numpy()))
        sampler = Sampler(self._config, self._data, stage.shrink)
        step = self._step(model, optimizer)

        def batch_at(k: int) -> dict[str, Any]:
            # It depends on the seed and k only, so a resumed run sees what an uninterrupted one
            # would have seen.
            rng = np.random.default_rng([self._config.seed, number, k])
            return sampler.batch(rng, stage.batch)

        losses: list[float] = []
        k = int(done.numpy())
        # The next batch is drawn while TensorFlow works on this one.
        drawing = ThreadPoolExecutor(1)
        drawn = drawing.submit(batch_at, k)
        while k < stage.steps:
            batch = drawn.result()
            drawn = drawing.submit(batch_at, k + 1)
            losses.append(float(step(batch)))
            done.assign_add(1)
            k += 1
            if k % self._config.validate_every == 0 or k == stage.steps:
                score = self._validate(model, before + k, losses)
                losses = []
                if score > float(best.numpy()):
                    best_at.assign(k)
                # Of equals the later has seen more.
                if score >= float(best.numpy()):
                    best.assign(score)
                    partial = folder / "best.partial.weights.h5"
                    model.save_weights(partial)
                    partial.replace(best_file)
                manager.save()
                stale = (k - int(best_at.numpy())) // self._config.validate_every
                if stale >= self._config.patience:
                    log.info("stage %d ends early at step %d: no gain", number, k)
                    break
        drawing.shutdown()
        if best_file.exists():
            model.load_weights(best_file)

    def _step(self, model: keras.Model, optimizer: Any) -> Any:
        config = self._config
        change = augmentation.augmenter(config.augmentation, config.heads)
        smoothing = config.label_smoothing

        @tf.function(reduce_retracing=True)
        def step(batch: dict[str, Any]) -> Any:
            pictures = tf.cast(batch["pictures"], tf.float32) * INPUT_SCALE
            codes = tf.cast(batch["codes"], tf.float32) * INPUT_SCALE
            pictures, codes, targets, reals = change(
                pictures, codes, batch["targets"], batch["reals"]
            )
            with tf.GradientTape() as tape:
                outputs = model({"stack": pictures, "codes": codes}, training=True)
                loss = 0.0
                for head, target in targets.items():
                    classes = float(target.shape[-1])
                    smooth = target * (1.0 - smoothing) + smoothing / classes
                    entropy = tf.nn.softmax_cross_entropy_with_logits(smooth, outputs[head])
                    weight = batch["weights"][head]
                    loss += tf.reduce_sum(entropy * weight) / tf.maximum(tf.reduce_sum(weight), 1.0)
                for name, real in reals.items():
                    known = ~tf.math.is_nan(real)
                    error = tf.where(known, outputs[name][:, 0] - tf.where(known, real, 0.0), 0.0)
                    # Huber loss: far-off frames must not outweigh the classes.
                    huber = tf.where(tf.abs(error) < 0.5, error**2, tf.abs(error) - 0.25)
                    loss += config.auxiliary_weight * tf.reduce_mean(huber)
            gradients = tape.gradient(loss, model.trainable_variables)
            optimizer.apply(gradients, model.trainable_variables)
            return loss

        return step

    def _validate(self, model: keras.Model, step: int, losses: Sequence[float]) -> float:
        """Mean macro-F1 over heads and, by share, over sources on validation frames."""
        scores: dict[str, float] = {}
        shares: list[float] = []
        sets = zip(self._data.validation, self._data.validation_shares, strict=True)
        for number, (frames, share) in enumerate(sets, start=1):
            limited = _thinned(frames, 1500)
            logits = predict(model, limited, self._heads, single_frame=self._config.single_frame)
            for head in self._heads:
                truth = limited.labels(head)
                if (truth >= 0).any():
                    guess = logits[head].argmax(axis=1)
                    # Sets of one kind have one name.
                    key = f"{number} {frames.name} {head}"
                    scores[key] = macro_f1(truth, guess, len(self._config.heads[head]))
                    shares.append(share)
        score = float(np.average(list(scores.values()), weights=shares))
        loss = float(np.mean(losses)) if losses else float("nan")
        log.info(
            "step %d loss %.3f score %.4f  %s", step, loss, score,
            "  ".join(f"{key} {value:.3f}" for key, value in scores.items()),
        )  # fmt: skip
        with self._board.as_default(step=step):
            tf.summary.scalar("loss", loss)
            tf.summary.scalar("validation macro-F1", score)
            for key, value in scores.items():
                tf.summary.scalar(f"validation/{key}", value)
        return score


def _thinned(frames: FrameSet, most: int) -> FrameSet:
    if len(frames) <= most:
        return frames
    return frames.subset(np.linspace(0, len(frames) - 1, most).astype(np.int64))


def representative_pictures(config: TrainingConfig, data: TrainingData) -> NDArray[np.uint8]:
    """Training stacks that set the ranges of int8 activations."""
    sampler = Sampler(config, data)
    rng = np.random.default_rng([config.seed, 99])
    batch = sampler.batch(rng, config.calibration_frames)
    return preprocessing.joined(batch["pictures"], batch["codes"])


def validation_logits(
    sets: Sequence[FrameSet], heads: Mapping[str, Sequence[str]], run: Any
) -> Iterator[tuple[str, NDArray[np.float32], NDArray[np.float32]]]:
    """Per head: logits of all labelled validation frames and their targets."""
    logits = [run(frames) for frames in sets]
    for head in heads:
        known = [frames.weights[head] > 0 for frames in sets]
        yield (
            head,
            np.concatenate([each[head][mask] for each, mask in zip(logits, known, strict=True)]),
            np.concatenate(
                [frames.targets[head][mask] for frames, mask in zip(sets, known, strict=True)]
            ),
        )


def work_folder(config: TrainingConfig) -> Path:
    return config.work / f"{config.name}-{config.version}"
