"""`gradewise-offline evaluate`: how good a model is on labelled frames."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

import models
from offline.commands.fieldofview import fov_option
from offline.errors import ModelError

if TYPE_CHECKING:
    from offline.training.evaluation import HeadScores


CONTEXT_S = 120.0
"""A stretch of video has its camera's motion from so much before and after it, as in a trip."""


@click.command()
@click.argument("model")
@click.argument("data", type=click.Path(path_type=Path, exists=True))
@click.option("--split", type=click.Choice(["train", "validation", "test"]), default="test",
              show_default=True, help="Which roads of a synthetic set.")  # fmt: skip
@click.option("--ended", is_flag=True,
              help="Of a synthetic set, only frames as they would be had the recording ended "
              "within the 25 m after them.")  # fmt: skip
@click.option("--video", type=click.Path(path_type=Path, dir_okay=False, exists=True),
              help="The video that DATA labels by time (columns t_s and one a head).")  # fmt: skip
@click.option("--from", "start_s", type=float, default=0.0, show_default=True,
              help="First second of the video.")  # fmt: skip
@click.option("--to", "end_s", type=float, default=float("inf"), show_default="its end",
              help="Last second of the video.")  # fmt: skip
@fov_option("Horizontal field of view of the video's camera in degrees.  [default: not known]")
@click.option("--only", metavar="TEXT", help="Only rows of a CSV whose source contains TEXT.")
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True,
              help="Threads of the network.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print all figures as JSON.")
@click.option("--html", "html_folder", type=click.Path(path_type=Path, file_okay=False),
              help="Write a page with figures and the worst mistakes here.")  # fmt: skip
@click.option("--card", "card_title", metavar="TITLE",
              help="Put the figures into the model's card under this title.")  # fmt: skip
@click.option("--about", default="", help="A sentence about the frames, for the card.")
def command(
    model: str,
    data: Path,
    split: str,
    ended: bool,
    video: Path | None,
    start_s: float,
    end_s: float,
    fov_deg: float | None,
    only: str | None,
    threads: int,
    as_json: bool,
    html_folder: Path | None,
    card_title: str | None,
    about: str,
) -> None:
    """Evaluate MODEL on DATA.

    MODEL is a released model's name or a model folder. DATA is a synthetic set, a folder of
    pictures a class, a CSV of pictures with labels, or, with --video, a CSV of labels by time.
    Frames that the model's undetermined threshold would leave out are scored all the same; the
    abstention curve shows what leaving them out gives.
    """
    from offline.classifier import Classifier
    from offline.training import evaluation
    from offline.training.labelledvideo import read_video

    if fov_deg is not None and video is None:
        raise click.UsageError("--fov is for a --video; a table tells it in a column fov_deg")
    if ended and video is not None:
        raise click.UsageError("--ended is for a synthetic set, not for a --video")
    folder = _model_folder(model)
    classifier = Classifier(folder, threads=threads)
    heads = {name: head.classes for name, head in classifier.heads.items()}
    if video is not None:
        around = [(max(start_s - CONTEXT_S, 0.0), end_s + CONTEXT_S)]
        sets = [read_video(video, data, heads, [(start_s, end_s)], {}, fov_deg, around)]
    else:
        sets = evaluation.read_evaluation_data(data, heads, split, only, ended=ended)
    scores, probabilities = evaluation.evaluate(classifier, sets)
    six = evaluation.six_class_scores(sets, probabilities)
    if html_folder is not None:
        from offline.training.report import write_page

        page = write_page(html_folder, classifier, classifier.network, sets, scores, probabilities)
        Console(stderr=True).print(f"page: {page}")
    if card_title is not None:
        from offline.training.card import add_section

        add_section(folder, card_title, about, scores)
    shown = dict(scores) | ({"six classes": six} if six is not None else {})
    if as_json:
        click.echo(json.dumps({name: score.as_json() for name, score in shown.items()}))
        return
    console = Console()
    for name, score in shown.items():
        _print(console, name, score)


def _model_folder(model: str) -> Path:
    if (Path(model) / "model.json").is_file():
        return Path(model)
    try:
        return models.locate(model)
    except FileNotFoundError as error:
        raise ModelError(f"{error}; or give a folder that holds a model.json") from error


def _print(console: Console, name: str, score: HeadScores) -> None:
    from offline.training.report import figure

    table = Table(title=f"{name}: macro-F1 {figure(score.macro_f1)}, calibration error "
                  f"{figure(score.reliability.error)}, {score.frames} frames")  # fmt: skip
    for column in ("truth", "frames", "precision", "recall", "F1", *score.classes):
        table.add_column(column, justify="left" if column == "truth" else "right")
    for k, label in enumerate(score.classes):
        table.add_row(label, str(score.confusion[k].sum()), figure(score.precision[k]),
                      figure(score.recall[k]), figure(score.f1[k]),
                      *(str(v) for v in score.confusion[k]))  # fmt: skip
    console.print(table)
    wrong = [m for m in score.manoeuvres if not m["right"]]
    if score.manoeuvres:
        console.print(f"{len(score.manoeuvres) - len(wrong)} of {len(score.manoeuvres)} "
                      "manoeuvres right by majority")  # fmt: skip
        for m in wrong[:12]:
            console.print(f"  {m['group']}: {m['truth']}, called {m['majority']} "
                          f"({m['frames']} frames)")  # fmt: skip
