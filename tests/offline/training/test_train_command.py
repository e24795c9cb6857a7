"""Train, stop, go on, evaluate: a user's own classes from a folder of pictures a class."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import CliRunner

from offline import preprocessing
from offline.classifier import Classifier
from offline.commands.evaluate import command as evaluate
from offline.commands.train import command as train
from offline.errors import InputError
from offline.training import trainer, warmstart
from offline.training.config import load_config

# Keras hands its tensors to NumPy without the `copy` keyword that NumPy 2 asks for.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

CONFIG = """
name = "surface"
version = "0.3"
release = "surface"
work = "work"
width_multiplier = 0.05
dropout = 0.0
label_smoothing = 0.0
validate_every = 10
patience = 99
calibration_frames = 24

[heads]
label = ["stripes", "bars"]

[[card.goals]]
text = "all told apart"
section = "Everything"
head = "label"
figure = "macro_f1"
at_least = 0.5

[augmentation]
shift = 0.02
cutout_share = 0.0

[[data]]
kind = "folders"
path = "pictures"
validation_share = 0.3

[[stages]]
shrink = 4
steps = 50
batch = 12
learning_rate = 3e-3
warmup_steps = 5
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of horizontal stripes and of vertical bars, and a configuration."""
    folder = tmp_path_factory.mktemp("project")
    rng = np.random.default_rng(0)
    for label, axis in (("stripes", 0), ("bars", 1)):
        (folder / "pictures" / label).mkdir(parents=True)
        for k in range(24):
            phase, period = rng.uniform(0, 6), rng.uniform(20, 40)
            wave = np.sin(np.arange(320 if axis else 180) / period * 6.28 + phase) * 90 + 128
            picture = np.broadcast_to(wave[None, :] if axis else wave[:, None], (180, 320))
            noisy = picture + rng.normal(0, 10, picture.shape)
            cv2.imwrite(
                str(folder / "pictures" / label / f"{k}.png"), noisy.clip(0, 255).astype(np.uint8)
            )
    (folder / "run.toml").write_text(CONFIG)
    return folder


def test_training_on_own_classes_gives_a_model_that_tells_them_apart(project: Path) -> None:
    runner = CliRunner()
    done = runner.invoke(train, [str(project / "run.toml"), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    assert figures["validation"]["label"]["macro_f1"] >= 0.9

    model = project / "surface"
    classifier = Classifier(model)
    assert classifier.heads["label"].classes == ("stripes", "bars")
    card = json.loads((model / "card.json").read_text())
    assert card["version"] == "0.3"
    compared = card["int8_against_float_on_validation"]["label"]
    assert abs(compared["int8_macro_f1"] - compared["float_macro_f1"]) <= 0.1
    assert (model / "reliability.png").stat().st_size > 1000
    assert "Macro-F1" in (model / "card.md").read_text()

    page = project / "page"
    arguments = [str(model), str(project / "pictures"), "--json", "--html", str(page)]
    arguments += ["--card", "Everything", "--about", "All pictures."]
    judged = runner.invoke(evaluate, arguments, catch_exceptions=False)
    assert judged.exit_code == 0, judged.output
    scores = json.loads(judged.stdout.strip().splitlines()[-1])
    assert scores["label"]["frames"] == 48
    assert scores["label"]["macro_f1"] >= 0.9
    assert "Worst mistakes" in (page / "index.html").read_text()
    text = (model / "card.md").read_text()
    assert "## Everything\n\nAll pictures." in text
    assert "| goal" in text
    assert "| all told apart | Everything | at least 0.5 | 1.000 | yes |" in text


def test_training_starts_from_a_released_model(project: Path, tmp_path: Path) -> None:
    settings = load_config(project / "run.toml")
    data = trainer.load_data(settings)
    started = warmstart.started(settings, data, project / "surface")
    frames = data.validation[0]
    logits = trainer.predict(started, frames, ["label"])["label"]
    classifier = Classifier(project / "surface")
    index = np.arange(len(frames))
    released = classifier.predict(frames.pictures(index), frames.motion(index))["label"]
    # Temperature and int8 aside they are one network.
    assert (logits.argmax(axis=1) == released.argmax(axis=1)).mean() > 0.95
    learning = started(
        {
            "stack": frames.shrunk(4).pictures(index).astype(np.float32) / 255.0,
            "codes": np.zeros((index.size, preprocessing.CODE_BYTES), np.float32),
        },
        training=True,
    )["label"].numpy()
    # The normalization it was given back takes these frames for what they are; eighteen frames
    # spread a little otherwise than those it was set by.
    assert (learning.argmax(axis=1) == logits.argmax(axis=1)).mean() > 0.8

    text = CONFIG.replace('["stripes", "bars"]', '["stripes", "bars", "neither"]')
    others = load_config(_written(tmp_path / "others.toml", text, project))
    model = trainer.build_model(others, 4)
    taken = warmstart.take_over(
        model,
        project / "surface",
        others.heads,
        frames.shrunk(4).pictures(index).astype(np.float32) / 255.0,
        np.zeros((index.size, preprocessing.CODE_BYTES), np.float32),
    )
    assert taken == ["label"]
    kernel = model.get_layer("block3_conv2").kernel.numpy()
    assert np.allclose(kernel, started.get_layer("block3_conv2").kernel.numpy())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("width_multiplier = 0.05", "width_multiplier = 0.1"), "does not fit"),
        (("", ""), "made for preprocessing"),
        (None, "no model in"),
    ],
    ids=["another width", "another preprocessing", "no model"],
)
def test_a_model_that_does_not_fit_is_refused_as_a_start(
    project: Path, tmp_path: Path, change: tuple[str, str] | None, message: str
) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    if change is not None:
        shutil.copytree(project / "surface", folder, dirs_exist_ok=True)
    if change == ("", ""):
        described = folder / "model.json"
        described.write_text(described.read_text().replace("motion12", "motion99"))
    config = _written(tmp_path / "run.toml", CONFIG.replace(*(change or ("", ""))), project)
    command = [sys.executable, "-m", "offline.cli", "train", str(config), "--start-from"]
    done = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert re.search(message, done.stderr)
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "surface").exists()


def _written(file: Path, text: str, project: Path) -> Path:
    file.write_text(text.replace('path = "pictures"', f'path = "{project / "pictures"}"'))
    return file


def test_two_sets_of_one_name_choose_the_weights_together(project: Path, tmp_path: Path) -> None:
    """As two rendered sets do, whose frames are both 'synthetic'."""
    source = CONFIG[CONFIG.index("[[data]]") : CONFIG.index("[[stages]]")]
    text = CONFIG.replace(source, 2 * source).replace("steps = 50", "steps = 10")
    config = _written(tmp_path / "run.toml", text, project)
    done = CliRunner().invoke(train, [str(config), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    card = json.loads((tmp_path / "surface" / "card.json").read_text())
    assert sum(card["validation_frames"].values()) == 2 * 9


def test_a_finished_run_is_not_trained_again(project: Path) -> None:
    weights = project / "work" / "surface-0.3" / "stage0" / "best.weights.h5"
    if not weights.exists():
        pytest.fail("the run before left no checkpoint")
    before = weights.stat().st_mtime_ns
    again = CliRunner().invoke(train, [str(project / "run.toml"), "--json"], catch_exceptions=False)
    assert again.exit_code == 0
    assert weights.stat().st_mtime_ns == before


def test_a_model_folder_of_other_classes_is_refused_for_a_labelled_table(
    project: Path, tmp_path: Path
) -> None:
    table = tmp_path / "labels.csv"
    table.write_text("file,label\nx.png,gravel\n")
    cv2.imwrite(str(tmp_path / "x.png"), np.zeros((90, 160), np.uint8))
    with pytest.raises(InputError, match=r"'gravel'.*not one of the classes stripes, bars"):
        CliRunner().invoke(evaluate, [str(project / "surface"), str(table)], catch_exceptions=False)
    refused = CliRunner().invoke(evaluate, [str(project / "surface"), str(table), "--fov", "60"])
    assert refused.exit_code == 2
    assert "column fov_deg" in refused.output
    ended = [str(project / "surface"), str(table), "--ended"]
    with pytest.raises(InputError, match="leave out --ended"):
        CliRunner().invoke(evaluate, ended, catch_exceptions=False)
    refused = CliRunner().invoke(evaluate, [*ended, "--video", str(tmp_path / "x.png")])
    assert refused.exit_code == 2
    assert "--ended is for a synthetic set" in refused.output


def test_a_resumed_run_draws_the_batches_of_an_uninterrupted_one(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = load_config(project / "run.toml")
    short = settings.stages[0].model_copy(update={"steps": 6})
    settings = settings.model_copy(update={"stages": [short], "validate_every": 2})
    data = trainer.load_data(settings)
    drawn: list[bytes] = []
    batch, validate = trainer.Sampler.batch, trainer.Trainer._validate

    def noted(self: trainer.Sampler, rng: np.random.Generator, size: int) -> dict[str, Any]:
        result = batch(self, rng, size)
        drawn.append(hashlib.sha256(result["pictures"].tobytes()).digest())
        return result

    def run(folder: str) -> list[bytes]:
        drawn.clear()
        trainer.Trainer(settings.model_copy(update={"work": tmp_path / folder}), data).run()
        return list(drawn)

    def stop_at_four(self: trainer.Trainer, model: Any, step: int, losses: list[float]) -> float:
        if step == 4:
            raise KeyboardInterrupt
        return validate(self, model, step, losses)

    monkeypatch.setattr(trainer.Sampler, "batch", noted)
    whole = run("whole")
    assert len(set(whole)) == len(whole) >= 6
    with monkeypatch.context() as stopping:
        stopping.setattr(trainer.Trainer, "_validate", stop_at_four)
        with pytest.raises(KeyboardInterrupt):
            run("resumed")
    assert run("resumed") == whole[2:]
