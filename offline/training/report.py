"""The evaluation page: figures, and the worst mistakes as pictures."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from offline import preprocessing
from offline.classifier import Classifier
from offline.training import calibration
from offline.training.activation import ActivationMaps, overlay
from offline.training.evaluation import HeadScores
from offline.training.framesets import FrameSet
from offline.training.release import replace

WORST = 24

_STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; margin: 0.5rem 0 1.5rem; }
th, td { border: 1px solid #8888; padding: 0.25rem 0.6rem; text-align: right; }
th:first-child, td:first-child { text-align: left; }
.mistakes {
  display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill, minmax(320px, 1fr));
}
figure { margin: 0; } figure img { width: 100%; } figcaption { font-size: 0.85rem; }
"""


def write_page(
    folder: Path,
    classifier: Classifier,
    network: Path,
    sets: Sequence[FrameSet],
    scores: Mapping[str, HeadScores],
    probabilities: Mapping[str, NDArray[np.float32]],
) -> Path:
    """Write `index.html`, one file that needs nothing else; returns its path."""
    maps = ActivationMaps(network, {name: h.output for name, h in classifier.heads.items()})
    body = [f"<h1>{_text(classifier.name)} {_text(classifier.version)}</h1>",
            f"<p>{sum(len(frames) for frames in sets)} frames: "
            f"{_text(', '.join(frames.name for frames in sets))}</p>"]  # fmt: skip
    for head, result in scores.items():
        body += _figures(head, result)
    diagrams = {head: result.reliability for head, result in scores.items()}
    body.append(_image(calibration.draw_reliability(diagrams), "png", "Reliability diagrams"))
    for head, result in scores.items():
        body.append(f"<h2>Worst mistakes: {_text(head)}</h2><div class='mistakes'>")
        body += _mistakes(maps, head, result.classes, sets, probabilities[head])
        body.append("</div>")
    page = (
        "<!doctype html><html lang='en'><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width'>"
        f"<title>Evaluation of {_text(classifier.name)}</title><style>{_STYLE}</style><body>"
        + "\n".join(body)
        + "</body></html>\n"
    )
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "index.html"
    replace(target, page.encode())
    return target


def _text(value: object) -> str:
    return html.escape(str(value))


def _table(header: Sequence[object], rows: Sequence[Sequence[object]]) -> str:
    head = "".join(f"<th scope='col'>{_text(cell)}</th>" for cell in header)
    lines = "".join(
        "<tr>" + "".join(f"<td>{_text(cell)}</td>" for cell in row) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def figure(value: float) -> str:
    """A share as text, a dash where it does not exist."""
    return "–" if np.isnan(value) else f"{value:.3f}"


def _figures(head: str, result: HeadScores) -> list[str]:
    classes = result.classes
    return [
        f"<h2>{_text(head)}</h2>",
        f"<p>Macro-F1 {figure(result.macro_f1)}, accuracy {figure(result.accuracy)}, calibration "
        f"error {figure(result.reliability.error)}, {result.frames} frames.</p>",
        _table(
            ["class", "frames", "precision", "recall", "F1"],
            [
                [name, int(result.confusion[k].sum()), figure(result.precision[k]),
                 figure(result.recall[k]), figure(result.f1[k])]
                for k, name in enumerate(classes)
            ],
        ),
        _table(
            ["truth, answer across", *classes],
            [[name, *result.confusion[k].tolist()] for k, name in enumerate(classes)],
        ),
        _table(
            ["answer only above", "answered", "right"],
            [[a["threshold"], a["answered"], a["accuracy"]] for a in result.abstention],
        ),
        _table(
            ["manoeuvre", "truth", "frames", "majority", "share right"],
            [[m["group"], m["truth"], m["frames"], m["majority"], m["share_right"]]
             for m in result.manoeuvres[:60]],
        ),
    ]  # fmt: skip


def _mistakes(
    maps: ActivationMaps,
    head: str,
    classes: Sequence[str],
    sets: Sequence[FrameSet],
    probabilities: NDArray[np.float32],
) -> list[str]:
    owner = [(frames, i) for frames in sets for i in range(len(frames))]
    truth = np.concatenate([frames.labels(head) for frames in sets])
    guess = probabilities.argmax(axis=1)
    wrong = np.flatnonzero((truth >= 0) & (guess != truth))
    order = wrong[np.argsort(-probabilities[wrong, guess[wrong]])]
    figures = []
    for row in order[:WORST]:
        frames, index = owner[row]
        one = np.array([index])
        stack = preprocessing.joined(frames.pictures(one), frames.motion(one))[0]
        evidence = maps.evidence(stack, head)[..., guess[row]]
        _, jpeg = cv2.imencode(".jpg", overlay(stack[..., 0], evidence))
        name = frames.names[index] if frames.names else str(index)
        caption = (
            f"{name}: {classes[truth[row]]}, called {classes[guess[row]]} "
            f"({probabilities[row, guess[row]]:.2f})"
        )
        figures.append(
            f"<figure>{_image(bytes(jpeg), 'jpeg', caption)}"
            f"<figcaption>{_text(caption)}</figcaption></figure>"
        )
    return figures or ["<p>None.</p>"]


def _image(data: bytes, kind: str, description: str) -> str:
    encoded = base64.b64encode(data).decode()
    return f"<img src='data:image/{kind};base64,{encoded}' alt='{_text(description)}'>"
