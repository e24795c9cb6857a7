"""Reads the CSV files of phone apps as text: encodings, separators, comments, repeated headers."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from offline.errors import InputError

MOST_HEADER_LINES: Final = 30
"""How many lines may stand before the header."""


@dataclass(frozen=True)
class Table:
    """A CSV file as text.

    Attributes
    ----------
    path : Path
    preamble : list of str
        Lines before the header.
    header : list of str
        Stripped.
    rows : list of list of str
        Stripped; all as long as the header; repeated headers left out.
    decimal_comma : bool
        Numbers are written `1,5`.
    """

    path: Path
    preamble: list[str]
    header: list[str]
    rows: list[list[str]]
    decimal_comma: bool

    def column(self, index: int) -> list[str]:
        return [row[index] for row in self.rows]


def read_table(path: Path) -> Table:
    """Read a CSV file.

    Raises
    ------
    InputError
        The file cannot be read, is no text, or holds no table.
    """
    text = _text(path)
    lines = [line for line in text.splitlines() if line.strip()]
    found = _header(lines)
    if found is None:
        raise InputError(f"{path} is no CSV log: no line with column names in it")
    start, separator = found
    reader = csv.reader(io.StringIO("\n".join(lines[start:])), delimiter=separator)
    try:
        table = [[cell.strip() for cell in row] for row in reader]
    except csv.Error as problem:
        raise InputError(f"{path} is no CSV log: {problem}") from problem
    header = table[0]
    # Car Scanner ends each line with a separator.
    while header and not header[-1]:
        header = header[:-1]
    width = len(header)
    rows = [(row + [""] * width)[:width] for row in table[1:] if any(row) and row[:width] != header]
    if not rows:
        raise InputError(f"{path} holds column names and no rows")
    decimal_comma = separator != "," and any(
        re.fullmatch(r"-?\d+,\d+", cell) for row in rows[:200] for cell in row
    )
    return Table(path, lines[:start], header, rows, decimal_comma)


def number(cell: str, *, decimal_comma: bool = False) -> float | None:
    """A cell's number; None where it holds none.

    Apps write a missing value as nothing or as a dash.
    """
    try:
        return float(cell.replace(",", ".") if decimal_comma else cell)
    except ValueError:
        return None


def is_blank(cell: str) -> bool:
    """Whether the app wrote that it has no value here."""
    return cell.lower() in ("", "-", "--", "na", "n/a", "nan", "null", "none", "∞")


def _text(path: Path) -> str:
    try:
        data = path.read_bytes()
    except OSError as problem:
        raise InputError(f"cannot read {path}: {problem.strerror}") from problem
    if not data.strip():
        raise InputError(f"{path} is empty")
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        encodings: Sequence[str] = ("utf-16",)
    elif b"\0" in data[:4096]:
        raise InputError(f"{path} is no CSV log: it is no text file")
    else:
        # Older apps write degree signs in the phone's 8-bit encoding.
        encodings = ("utf-8-sig", "cp1252", "latin-1")
    for encoding in encodings:
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError(f"{path} is no CSV log: it is no text file")


def _header(lines: list[str]) -> tuple[int, str] | None:
    """Number of the first line that names columns, and the separator.

    It is a line of at least two cells, most of them no numbers, with the next line split alike.
    """
    for start, line in enumerate(lines[:MOST_HEADER_LINES]):
        if line.lstrip().startswith("#"):
            continue
        separator = max(",;\t", key=line.count)
        cells = next(csv.reader([line], delimiter=separator))
        named = [cell for cell in cells if cell.strip() and number(cell.strip()) is None]
        if len(named) < 2 or 2 * len(named) <= len([cell for cell in cells if cell.strip()]):
            continue
        below = lines[start + 1 : start + 2]
        if below and below[0].count(separator) >= line.count(separator) - 1:
            return start, separator
    return None
