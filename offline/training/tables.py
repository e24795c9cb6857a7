"""Tables of labels: CSVs of pictures or of a video's times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from offline import roadscene
from offline.errors import InputError

Heads = Mapping[str, Sequence[str]]


def read_csv(file: Path) -> pd.DataFrame:
    """Read any CSV.

    Raises
    ------
    InputError
        The file is missing or no CSV.
    """
    try:
        return pd.read_csv(file)
    except (OSError, ValueError) as error:
        raise InputError(f"{file}: cannot be read as CSV ({error})") from error


def read_table(file: Path) -> pd.DataFrame:
    """Read a CSV of pictures: column `file` and labels."""
    table = read_csv(file)
    if "file" not in table:
        raise InputError(f"{file}: no column file")
    return table


def with_manoeuvres(table: pd.DataFrame) -> pd.DataFrame:
    """Add a column `group`: a run of one label within a source with no gap over 0.5 s."""
    if "group" in table or "label" not in table or "t_s" not in table:
        return table
    key = "source" if "source" in table else "sequence" if "sequence" in table else None
    source = table[key].astype(str) if key else pd.Series("frames", index=table.index)
    ordered = table.assign(_source=source).sort_values(["_source", "t_s"], kind="stable")
    label = ordered["label"].fillna("")
    new = (
        (label != label.shift())
        | (ordered["_source"] != ordered["_source"].shift())
        | ~(ordered["t_s"].diff().abs() <= 0.5)
    )
    first = ordered["t_s"].groupby(new.cumsum()).transform("min")
    ordered["group"] = [
        f"{where} {name} {t:.1f} s" for where, name, t in zip(ordered["_source"], label, first,
                                                             strict=True)
    ]  # fmt: skip
    return ordered.drop(columns="_source").loc[table.index]


def labels_by_head(table: pd.DataFrame, heads: Heads, where: str) -> dict[str, list[str | None]]:
    """A table's labels a head: from columns named after heads, or from `label`.

    The road scene heads also take the six-class `label`: a straight road is level, a climb or
    descent is not said to be straight, a bend's slope is not known.
    """
    if all(head in table for head in heads):
        return {head: [None if pd.isna(v) else str(v) for v in table[head]] for head in heads}
    if "label" not in table:
        raise InputError(f"{where}: no column {next(iter(heads))} and no column label")
    labels = [None if pd.isna(v) else str(v) for v in table["label"]]
    if len(heads) == 1:
        return {next(iter(heads)): labels}
    require_road_heads(heads, where)
    unknown = {v for v in labels if v} - set(roadscene.CLASSES)
    if unknown:
        raise InputError(
            f"{where}: label {sorted(unknown)[0]!r} is not one of the classes "
            f"{', '.join(roadscene.CLASSES)}"
        )
    slope = {"straight": "level", "uphill": "uphill", "downhill": "downhill"}
    return {
        "slope": [slope.get(v) if v else None for v in labels],
        "course": [v if v in roadscene.COURSES else None for v in labels],
    }


def require_road_heads(heads: Heads, where: str) -> None:
    expected = {"slope": roadscene.SLOPES, "course": roadscene.COURSES}
    if any(tuple(classes) != expected.get(head) for head, classes in heads.items()):
        raise InputError(
            f"{where} is labelled for the heads slope ({', '.join(roadscene.SLOPES)}) and course "
            f"({', '.join(roadscene.COURSES)}), not for {', '.join(heads)}"
        )
