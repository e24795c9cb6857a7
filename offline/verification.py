"""Is a stored result the one that its data, model, policy and software give? Bit for bit.

Everything a result is made of is recomputed from the trip and compared: provenance, exposure,
scores, every verdict, and every value of the timeline, with no tolerance. Floats are compared
as bits, so that a result is reproducible or it is not.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from offline.verdicts import Exposure, Provenance, Score, TripResult, Verdict

SHOWN = 20
"""Differences listed by name; further ones are counted."""


class Scores(Protocol):
    """What a fresh result and a stored trip have in common."""

    @property
    def road_context(self) -> str: ...
    @property
    def exposure(self) -> Exposure: ...
    @property
    def score(self) -> Score: ...
    @property
    def score_without_context(self) -> Score: ...
    @property
    def provenance(self) -> Provenance: ...


@dataclass(frozen=True)
class Verification:
    """What the comparison found.

    Attributes
    ----------
    differences : tuple of str
        One line each; empty where the results are identical.
    stored_sha256, recomputed_sha256 : str
        Hashes of the two results in canonical form; equal if and only if nothing differs.
    """

    differences: tuple[str, ...]
    stored_sha256: str
    recomputed_sha256: str

    @property
    def identical(self) -> bool:
        return not self.differences and self.stored_sha256 == self.recomputed_sha256


def canonical(trip: Scores, verdicts: tuple[Verdict, ...]) -> dict[str, Any]:
    """Return all of a result but its timeline as plain values in a fixed form."""
    plain: dict[str, Any] = json.loads(
        json.dumps(
            {
                "provenance": asdict(trip.provenance),
                "road_context": trip.road_context,
                "exposure": asdict(trip.exposure),
                "score": asdict(trip.score),
                "score_without_context": asdict(trip.score_without_context),
                "verdicts": [asdict(verdict) for verdict in verdicts],
            },
            sort_keys=True,
        )
    )
    return plain


def result_sha256(trip: Scores, verdicts: tuple[Verdict, ...], timeline: pd.DataFrame) -> str:
    """Hash a result in canonical form: sorted JSON, then the timeline's columns as bytes."""
    digest = hashlib.sha256(
        json.dumps(canonical(trip, verdicts), sort_keys=True, separators=(",", ":")).encode()
    )
    for name in timeline.columns:
        digest.update(name.encode() + b"\0")
        digest.update(_column_bytes(timeline[name]))
    return digest.hexdigest()


def compare(
    stored: Scores,
    stored_verdicts: tuple[Verdict, ...],
    stored_timeline: pd.DataFrame,
    fresh: TripResult,
) -> Verification:
    """Compare a stored result with a fresh one.

    Parameters
    ----------
    stored, stored_verdicts, stored_timeline
        From the store; the timeline is empty where it was purged, and then not compared.
    fresh : TripResult
        Recomputed from the trip.
    """
    lines: list[str] = []
    _walk("", canonical(stored, stored_verdicts), canonical(fresh, fresh.verdicts), lines)
    if len(stored_timeline.columns) and len(stored_timeline):
        fresh_timeline = fresh.timeline
        lines += _timeline_differences(stored_timeline, fresh_timeline)
    else:
        stored_timeline = fresh_timeline = pd.DataFrame()
    if len(lines) > SHOWN:
        lines = [*lines[:SHOWN], f"and {len(lines) - SHOWN} more differences"]
    return Verification(
        tuple(lines),
        result_sha256(stored, stored_verdicts, stored_timeline),
        result_sha256(fresh, fresh.verdicts, fresh_timeline),
    )


def _walk(place: str, stored: Any, fresh: Any, lines: list[str]) -> None:
    if isinstance(stored, dict) and isinstance(fresh, dict):
        for key in sorted({*stored, *fresh}):
            _walk(f"{place}.{key}" if place else key, stored.get(key), fresh.get(key), lines)
    elif isinstance(stored, list) and isinstance(fresh, list):
        if len(stored) != len(fresh):
            lines.append(f"{place}: {len(stored)} stored, {len(fresh)} recomputed")
        for index, (one, other) in enumerate(zip(stored, fresh, strict=False)):
            _walk(f"{place}[{index}]", one, other, lines)
    elif stored != fresh:
        lines.append(f"{place}: stored {stored!r}, recomputed {fresh!r}")


def _timeline_differences(stored: pd.DataFrame, fresh: pd.DataFrame) -> list[str]:
    if list(stored.columns) != list(fresh.columns):
        odd = sorted(set(stored.columns) ^ set(fresh.columns))
        return [f"timeline: columns differ: {', '.join(odd) or 'their order'}"]
    if len(stored) != len(fresh):
        return [f"timeline: {len(stored)} rows stored, {len(fresh)} recomputed"]
    lines = []
    for name in stored.columns:
        if _column_bytes(stored[name]) != _column_bytes(fresh[name]):
            lines.append(f"timeline.{name}: values differ")
    return lines


def _column_bytes(values: pd.Series) -> bytes:
    """Bytes of a column in one form, whatever it was read back as; missing is NaN."""
    if pd.api.types.is_numeric_dtype(values.dtype) and not pd.api.types.is_float_dtype(
        values.dtype
    ):
        missing = values.isna().to_numpy()
        whole = values.to_numpy(dtype=np.int64, na_value=0)
        return missing.tobytes() + whole.tobytes()
    if pd.api.types.is_float_dtype(values.dtype):
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan).copy()
        numbers[np.isnan(numbers)] = np.nan
        return numbers.tobytes()
    return "\0".join("" if v is None or v is pd.NA else str(v) for v in values).encode()
