"""The model card: what a model was trained on and how good it is, goals beside figures.

`card.json` holds everything; `card.md` is written from it. Training writes the first card,
`gradewise-offline evaluate --card TITLE` adds figures on further frames.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from offline.errors import ModelError
from offline.training import calibration
from offline.training.evaluation import HeadScores
from offline.training.release import replace

CARD_MARKDOWN: Final = "card.md"
CARD_JSON: Final = "card.json"
RELIABILITY: Final = "reliability.png"

Document = dict[str, Any]


def write_card(folder: Path, document: Document) -> None:
    """Write `card.json` and `card.md` into a model folder."""
    replace(folder / CARD_JSON, (json.dumps(document, indent=1) + "\n").encode())
    replace(folder / CARD_MARKDOWN, markdown(document).encode())


def write_reliability(folder: Path, diagrams: Mapping[str, calibration.Reliability]) -> None:
    """Write the reliability diagram into a model folder."""
    replace(folder / RELIABILITY, calibration.draw_reliability(dict(diagrams)))


def read_card(folder: Path) -> Document:
    """Read `card.json`.

    Raises
    ------
    ModelError
        The model has no card.
    """
    try:
        return dict(json.loads((folder / CARD_JSON).read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise ModelError(f"{folder} has no readable {CARD_JSON} ({error})") from error


def section(about: str, scores: Mapping[str, HeadScores]) -> Document:
    """One set of frames as the card keeps it."""
    return {"about": about, "heads": {name: score.as_json() for name, score in scores.items()}}


def add_section(folder: Path, title: str, about: str, scores: Mapping[str, HeadScores]) -> None:
    """Add figures to a model's card, or replace those of the same title.

    Raises
    ------
    ModelError
        The model has no card.
    """
    document = read_card(folder)
    sections = dict(document.get("figures", {}))
    about = about or sections.get(title, {}).get("about", "")
    sections[title] = section(about, scores)
    write_card(folder, document | {"figures": sections})


def reached(document: Document, goal: Mapping[str, Any]) -> float | None:
    """The figure a goal is about, None where the card does not hold it.

    A goal names a section, a head and a figure: `macro_f1`, `calibration_error`, `recall:CLASS`,
    `missed:CLASS` (share of the class's frames given another answer), or `manoeuvres` (share
    right by majority).
    """
    head = document.get("figures", {}).get(goal["section"], {}).get("heads", {}).get(goal["head"])
    if head is None:
        return None
    kind, _, name = str(goal["figure"]).partition(":")
    if kind in ("recall", "missed"):
        recall = head["per_class"].get(name, {}).get("recall")
        if recall is None:
            return None
        return float(recall) if kind == "recall" else 1.0 - float(recall)
    if kind == "manoeuvres":
        count = len(head["manoeuvres"])
        return head["manoeuvres_right"] / count if count else None
    value = head.get(kind)
    return None if value is None else float(value)


def markdown(document: Document) -> str:
    """The card for people."""
    lines = [f"# {document['name']} {document['version']}", ""]
    lines += [line for paragraph in document.get("summary", []) for line in (paragraph, "")]
    goals = document.get("goals", [])
    if goals:
        lines += ["## Goals", ""]
        lines += _table(["goal", "on", "wanted", "reached", "met"],
                        [_goal_row(document, goal) for goal in goals])  # fmt: skip
    if document.get("shortfalls"):
        lines += ["## What falls short", ""]
        lines += [f"- {line}" for line in document["shortfalls"]] + [""]
    lines += ["## int8 against float, same frames", ""]
    lines += _table(
        ["head", "int8 macro-F1", "float macro-F1"],
        [
            [head, _share(c["int8_macro_f1"]), _share(c["float_macro_f1"])]
            for head, c in document.get("int8_against_float_on_validation", {}).items()
        ],
    )
    for title, held in document.get("figures", {}).items():
        lines += [f"## {title}", "", held["about"], ""]
        for head, scores in held["heads"].items():
            lines += _head(head, scores)
    lines += ["## Calibration on validation frames", "", f"![Reliability]({RELIABILITY})", ""]
    return "\n".join(lines)


def _goal_row(document: Document, goal: Mapping[str, Any]) -> list[str]:
    value = reached(document, goal)
    least = "at_least" in goal
    bound = float(goal["at_least" if least else "at_most"])
    wanted = f"at {'least' if least else 'most'} {bound:g}"
    if value is None:
        return [goal["text"], goal["section"], wanted, "not measured", "–"]
    met = value >= bound if least else value <= bound
    return [goal["text"], goal["section"], wanted, f"{value:.3f}", "yes" if met else "no"]


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    return [
        "| " + " | ".join(header) + " |",
        "|" + "---|" * len(header),
        *("| " + " | ".join(str(cell) for cell in row) + " |" for row in rows),
        "",
    ]


def _head(head: str, scores: Mapping[str, Any]) -> list[str]:
    classes = scores["classes"]
    rows = []
    for k, name in enumerate(classes):
        each = scores["per_class"][name]
        rows.append([name, each["frames"], _share(each["precision"]), _share(each["recall"]),
                     _share(each["f1"]), *scores["confusion"][k]])  # fmt: skip
    text = (
        f"Macro-F1 **{_share(scores['macro_f1'])}**, accuracy {_share(scores['accuracy'])}, "
        f"calibration error {_share(scores['calibration_error'])} on {scores['frames']} frames"
    )
    if scores["manoeuvres"]:
        text += (
            f"; {scores['manoeuvres_right']} of {len(scores['manoeuvres'])} manoeuvres right by "
            "majority"
        )
    answered = [a for a in scores["abstention"] if a["threshold"] in (0.5, 0.7, 0.9)]
    curve = "; ".join(
        f"{a['threshold']}: {100 * a['answered']:.0f} % answered, {100 * a['accuracy']:.1f} % right"
        for a in answered
    )
    return [
        f"### {head}",
        "",
        text + ".",
        "",
        *_table(["truth", "frames", "precision", "recall", "F1",
                 *(f"called {name}" for name in classes)], rows),
        f"Abstaining below a confidence of {curve}.",
        "",
        *_persistence(scores),
        *_by_grade(scores),
    ]  # fmt: skip


def _persistence(scores: Mapping[str, Any]) -> list[str]:
    """How long mistakes last."""
    held = scores.get("persistence")
    if held is None:
        return []
    return [
        f"How long mistakes last: those of two frames of one place correlate by {held['share']:g}, "
        f"falling to 1/e within {held['length_m']:g} m; measured "
        + ", ".join(f"{m['correlation']:.2f} at {m['metres']:.0f} m" for m in held["measured"])
        + ".",
        "",
    ]


def _by_grade(scores: Mapping[str, Any]) -> list[str]:
    """Share of each answer by the true grade."""
    rows = [row for row in scores.get("by_grade", []) if sum(row["answers"])]
    return (
        _table(
            ["true grade", "frames", *(f"called {name}" for name in scores["classes"])],
            [
                [
                    f"{row['from_percent']:g} to {row['to_percent']:g} %",
                    sum(row["answers"]),
                    *(f"{100 * n / sum(row['answers']):.0f} %" for n in row["answers"]),
                ]
                for row in rows
            ],
        )
        if rows
        else []
    )
