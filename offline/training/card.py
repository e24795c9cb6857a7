"""The model card: what a released model was trained on and how good it is, goals beside figures."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from offline.training import calibration
from offline.training.evaluation import HeadScores
from offline.training.release import replace
from offline.training.report import figure

CARD_MARKDOWN: Final = "card.md"
CARD_JSON: Final = "card.json"
RELIABILITY: Final = "reliability.png"


@dataclass(frozen=True)
class CardSection:
    """Scores on one set of frames nobody trained on."""

    title: str
    about: str
    scores: dict[str, HeadScores]


@dataclass(frozen=True)
class Card:
    """Everything a card says.

    Attributes
    ----------
    summary : list of str
        Paragraphs of Markdown before the figures.
    facts : dict
        Plain values for `card.json`: training data, steps, quantization.
    goals : list of tuple
        Goal, figure reached, whether it is met.
    shortfalls : list of str
        What was not reached and what would reach it.
    """

    name: str
    version: str
    summary: list[str]
    facts: dict[str, Any]
    sections: list[CardSection]
    goals: list[tuple[str, str, bool]] = field(default_factory=list)
    shortfalls: list[str] = field(default_factory=list)


def write_card(folder: Path, card: Card, validation: Mapping[str, calibration.Reliability]) -> None:
    """Write `card.md`, `card.json` and the reliability diagram into a model folder."""
    replace(folder / RELIABILITY, calibration.draw_reliability(dict(validation)))
    document = {
        "name": card.name,
        "version": card.version,
        **card.facts,
        "goals": [{"goal": g, "reached": r, "met": met} for g, r, met in card.goals],
        "shortfalls": card.shortfalls,
        "figures": {
            section.title: {head: s.as_json() for head, s in section.scores.items()}
            for section in card.sections
        },
    }
    replace(folder / CARD_JSON, (json.dumps(document, indent=1) + "\n").encode())
    replace(folder / CARD_MARKDOWN, markdown(card).encode())


def markdown(card: Card) -> str:
    """The card for people."""
    lines = [f"# {card.name} {card.version}", "", *_spaced(card.summary)]
    if card.goals:
        lines += ["## Goals", ""]
        lines += _table(["goal", "reached", "met"],
                        [[g, r, "yes" if met else "no"] for g, r, met in card.goals])  # fmt: skip
    if card.shortfalls:
        lines += ["## What falls short", ""]
        lines += [f"- {line}" for line in card.shortfalls] + [""]
    for section in card.sections:
        lines += [f"## {section.title}", "", section.about, ""]
        for head, scores in section.scores.items():
            lines += _head(head, scores)
    lines += ["## Calibration", "", f"![Reliability diagram]({RELIABILITY})", ""]
    return "\n".join(lines)


def _spaced(paragraphs: Sequence[str]) -> list[str]:
    return [line for paragraph in paragraphs for line in (paragraph, "")]


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    return [
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
        *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows),
        "",
    ]


def _head(head: str, scores: HeadScores) -> list[str]:
    rows = [
        [name, int(scores.confusion[k].sum()), figure(scores.precision[k]),
         figure(scores.recall[k]), figure(scores.f1[k]), *scores.confusion[k].tolist()]
        for k, name in enumerate(scores.classes)
    ]  # fmt: skip
    right = sum(bool(m["right"]) for m in scores.manoeuvres)
    lines = [
        f"### {head}",
        "",
        f"Macro-F1 **{figure(scores.macro_f1)}**, accuracy {figure(scores.accuracy)}, calibration "
        f"error {figure(scores.reliability.error)} on {scores.frames} frames; "
        f"{right} of {len(scores.manoeuvres)} manoeuvres or roads right by majority.",
        "",
        *_table(["truth", "frames", "precision", "recall", "F1",
                 *(f"called {name}" for name in scores.classes)], rows),
    ]  # fmt: skip
    answered = [a for a in scores.abstention if a["threshold"] in (0.5, 0.7, 0.9)]
    lines += [
        "Abstaining below a confidence: "
        + "; ".join(
            f"{a['threshold']}: {100 * a['answered']:.0f} % answered, {100 * a['accuracy']:.1f} % "
            "of them right"
            for a in answered
        )
        + ".",
        "",
    ]
    return lines
