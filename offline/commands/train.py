"""`gradewise-offline train`: train a road scene network, or one for classes of your own."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.logging import RichHandler

from offline.errors import InputError, RuntimeMissingError


@click.command()
@click.argument("config", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--out", type=click.Path(path_type=Path, file_okay=False),
              help="Model folder to write instead of the configuration's.")  # fmt: skip
@click.option("--source", "sources", multiple=True, metavar="N=PATH",
              help="Read the configuration's N-th source (from 0) from another path.")  # fmt: skip
@click.option("--start-from", type=click.Path(path_type=Path, exists=True),
              help="Start from a released model's folder, or from the weights (.weights.h5) of "
              "an earlier run.")  # fmt: skip
@click.option("--threads", type=click.IntRange(1), help="Threads of TensorFlow.  [default: all]")
@click.option("--json", "as_json", is_flag=True, help="Print the model's figures as JSON.")
def command(
    config: Path,
    out: Path | None,
    sources: tuple[str, ...],
    start_from: Path | None,
    threads: int | None,
    as_json: bool,
) -> None:
    """Train the network that CONFIG (TOML) describes and write its model folder.

    A run that was stopped goes on from its last checkpoint when the same command is given again.
    Progress goes to TensorBoard: `tensorboard --logdir WORK`. The data may be synthetic sets,
    labelled videos, a CSV of pictures and labels, or a folder of pictures a class.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    from offline.training.config import load_config

    settings = load_config(config)
    if sources:
        settings = settings.model_copy(update={"data": _moved(list(settings.data), sources)})
    if out is not None:
        settings = settings.model_copy(update={"release": out})
    try:
        from offline.classifier import Classifier
        from offline.training import finishing, trainer, warmstart
    except ImportError as error:
        raise RuntimeMissingError(
            "training needs TensorFlow: pip install gradewise[train]"
        ) from error
    if threads:
        trainer.use_threads(threads)
    handler = RichHandler(console=Console(stderr=True), show_path=False)
    logger = logging.getLogger("offline.training")
    logger.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        if start_from is not None and start_from.is_dir():
            # What is wrong with it is said before minutes of reading.
            Classifier(start_from)
        data = trainer.load_data(settings)
        start = None if start_from is None else warmstart.started(settings, data, start_from)
        model = trainer.Trainer(settings, data, start).run()
        weights = trainer.work_folder(settings) / "final.weights.h5"
        model.save_weights(weights)
        finished = finishing.quantize_and_calibrate(settings, data, model)
        finishing.write_release(settings.release, settings, data, finished)
    finally:
        logger.removeHandler(handler)
    figures = {
        head: {
            "macro_f1": round(score.macro_f1, 4),
            "float_macro_f1": round(finished.float_scores[head].macro_f1, 4),
            "calibration_error": round(score.reliability.error, 4),
        }
        for head, score in finished.int8_scores.items()
    }
    if as_json:
        click.echo(json.dumps({"model": str(settings.release), "validation": figures}))
        return
    click.echo(f"model written to {settings.release}")
    for head, values in figures.items():
        click.echo(
            f"  {head}: macro-F1 {values['macro_f1']:.3f} on validation frames "
            f"(float {values['float_macro_f1']:.3f}), calibration error "
            f"{values['calibration_error']:.3f}"
        )


def _moved(data: list[Any], moves: tuple[str, ...]) -> list[Any]:
    for move in moves:
        number, _, path = move.partition("=")
        if not number.isdigit() or not path or int(number) >= len(data):
            raise InputError(f"--source {move}: write N=PATH with N from 0 to {len(data) - 1}")
        data[int(number)] = data[int(number)].model_copy(update={"path": Path(path).absolute()})
    return data
