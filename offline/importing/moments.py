"""The clocks of phone apps: what their time columns say, in seconds and, if they can, in UTC."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

import numpy as np
from numpy.typing import NDArray

from offline.errors import InputError
from offline.importing.table import number

DAY_S: Final = 86_400.0
EPOCH_S: Final = 1e9
"""A time column that counts beyond this counts from 1970 (it is 2001 there)."""
BACKWARDS_S: Final = 2.0
"""A clock that goes back by more is a second recording in the same file."""

MONTHS: Final = {
    name: month
    for month, names in enumerate(
        (
            "jan janv ene",
            "feb févr fév",
            "mar mars mär mrz",
            "apr avr abr",
            "may mai",
            "jun juin",
            "jul juil",
            "aug août ago",
            "sep sept",
            "oct okt",
            "nov",
            "dec déc dez dic",
        ),
        start=1,
    )
    for name in names.split()
}
"""Month names in the languages in which Torque has been seen to write them."""

ZONES_H: Final = {
    "UTC": 0, "GMT": 0, "WET": 0, "WEST": 1, "BST": 1, "CET": 1, "CEST": 2, "EET": 2, "EEST": 3,
    "EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7,
}  # fmt: skip
"""Zone abbreviations of Java's date format, in hours; those that mean one zone only here."""


@dataclass(frozen=True)
class Moments:
    """A time column, read.

    Attributes
    ----------
    t_s : ndarray of float64, shape (n,)
        Seconds since the first row; NaN where a row has no readable time.
    started : datetime or None
        The first row's date and time; without a zone where the log does not give one.
    """

    t_s: NDArray[np.float64]
    started: datetime | None


def read_moments(cells: Sequence[str], *, unit: str = "", decimal_comma: bool = False) -> Moments:
    """Read a time column: seconds, milliseconds, seconds since 1970, time of day, or date.

    Raises
    ------
    InputError
        No cell of it can be read.
    """
    values = [number(cell, decimal_comma=decimal_comma) for cell in cells]
    if sum(value is not None for value in values) > len(values) / 2:
        t_s = np.array([np.nan if v is None else v for v in values], np.float64)
        if unit.lower() in ("ms", "msec", "milliseconds") or np.nanmax(t_s) > 1e3 * EPOCH_S:
            t_s /= 1e3
        first = float(t_s[~np.isnan(t_s)][0])
        started = datetime.fromtimestamp(first, UTC) if first > EPOCH_S else None
        return Moments(t_s - first, started)
    for read in (_iso, _torque, _java, _american, _time_of_day):
        moments = [_tried(read, cell) for cell in cells]
        known = [moment for moment in moments if moment is not None]
        if len(known) > len(cells) / 2:
            t_s = np.array(
                [np.nan if m is None else (m - known[0]).total_seconds() for m in moments]
            )
            if read is _time_of_day:
                return Moments(_over_midnight(t_s), None)
            return Moments(t_s, known[0])
    raise InputError(f"times such as {cells[0]!r} cannot be read")


def read_date(text: str) -> datetime | None:
    """Date and time of one text in any of the known ways, else None."""
    for read in (_iso, _torque, _java, _american):
        moment = _tried(read, text.strip())
        if moment is not None:
            return moment
    return None


def date_in_name(name: str) -> datetime | None:
    """Date and time that Car Scanner puts into a file's name (`2026-08-16 19-19-39.csv`)."""
    match = re.search(r"(\d{4})-(\d\d)-(\d\d)[ _T](\d\d)-(\d\d)-(\d\d)", name)
    if match is None:
        return None
    try:
        return datetime(*(int(part) for part in match.groups()))  # type: ignore[arg-type]
    except ValueError:
        return None


def in_utc(moment: datetime, zone: tzinfo | None) -> datetime | None:
    """A moment in UTC; None where neither it nor the caller names its zone."""
    if moment.tzinfo is None:
        if zone is None:
            return None
        moment = moment.replace(tzinfo=zone)
    return moment.astimezone(UTC)


def in_order(t_s: NDArray[np.float64], path: object) -> NDArray[np.int64]:
    """Rows with a readable time, in order of time.

    Raises
    ------
    InputError
        The clock jumps back: the file holds more than one recording.
    """
    rows = np.flatnonzero(~np.isnan(t_s))
    back = np.flatnonzero(np.diff(t_s[rows]) < -BACKWARDS_S)
    if back.size:
        raise InputError(
            f"{path}: time runs backwards at data row {rows[back[0] + 1] + 1}: it holds more "
            "than one recording; split it there"
        )
    return rows[np.argsort(t_s[rows], kind="stable")]


def _tried(read: Callable[[str], datetime | None], text: str) -> datetime | None:
    try:
        return read(text)
    except ValueError:
        return None


def _iso(text: str) -> datetime | None:
    if not re.match(r"\d{4}-\d\d-\d\d[ T]\d", text):
        return None
    return datetime.fromisoformat(text)


def _torque(text: str) -> datetime | None:
    """`05-Oct-2026 14:22:01.100`, the month in the phone's language."""
    match = re.fullmatch(r"(\d{1,2})-([^\W\d]+)\.?-(\d{4}) (\d\d):(\d\d):(\d\d(?:\.\d+)?)", text)
    month = MONTHS.get(match.group(2).lower()) if match else None
    if match is None or month is None:
        return None
    return _moment(match.group(3), month, match.group(1), *match.groups()[3:])


def _java(text: str) -> datetime | None:
    """`Sun Oct 05 14:22:01 PDT 2026` or `... GMT+02:00 2026`."""
    match = re.fullmatch(
        r"\w+ (\w+) (\d{1,2}) (\d\d):(\d\d):(\d\d) ([A-Z]+)(?:([+-]\d\d):?(\d\d))? (\d{4})", text
    )
    month = MONTHS.get(match.group(1).lower()) if match else None
    if match is None or month is None:
        return None
    moment = _moment(match.group(9), month, *match.groups()[1:5])
    hours = ZONES_H.get(match.group(6))
    if match.group(7):
        minutes = int(match.group(8)) * (-1 if match.group(7)[0] == "-" else 1)
        return moment.replace(
            tzinfo=timezone(timedelta(hours=int(match.group(7)), minutes=minutes))
        )
    return moment if hours is None else moment.replace(tzinfo=timezone(timedelta(hours=hours)))


def _american(text: str) -> datetime | None:
    """`03/27/2026 06:54:01.3973 PM`, as OBD Fusion heads its logs."""
    match = re.fullmatch(
        r"(\d{1,2})/(\d{1,2})/(\d{4}) (\d{1,2}):(\d\d):(\d\d(?:\.\d+)?)(?: ([AP])M)?", text
    )
    if match is None:
        return None
    hour = int(match.group(4))
    if match.group(7):
        hour = hour % 12 + (12 if match.group(7) == "P" else 0)
    return _moment(
        match.group(3), int(match.group(1)), match.group(2), str(hour), *match.groups()[4:6]
    )


def _time_of_day(text: str) -> datetime | None:
    match = re.fullmatch(r"(\d{1,2}):(\d\d):(\d\d(?:[.,]\d+)?)", text)
    if match is None:
        return None
    return _moment("2000", 1, "1", match.group(1), match.group(2), match.group(3))


def _moment(year: str, month: int, day: str, hour: str, minute: str, second: str) -> datetime:
    whole, _, fraction = second.replace(",", ".").partition(".")
    microsecond = int(fraction[:6].ljust(6, "0")) if fraction else 0
    return datetime(int(year), month, int(day), int(hour), int(minute), int(whole), microsecond)


def _over_midnight(t_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times of day, continued over midnight."""
    known = ~np.isnan(t_s)
    days = np.zeros(t_s.size)
    days[np.flatnonzero(known)[1:]] = np.diff(t_s[known]) < -DAY_S / 2
    return t_s + np.cumsum(days) * DAY_S
