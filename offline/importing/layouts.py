"""The layouts of OBD logs: Torque Pro, OBD Fusion, Car Scanner, carOBD, plain columns."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from offline.errors import InputError
from offline.importing.columns import Column, preference, recognize, split_header
from offline.importing.moments import date_in_name, in_order, read_date, read_moments
from offline.importing.table import Table, is_blank, number, read_table
from onboard.signals import Status

TIME_NAMES: Final = (
    "device time",
    "t s",
    "time s",
    "time sec",
    "time",
    "t",
    "seconds",
    "elapsed s",
    "elapsed time",
    "timestamp",
    "datetime",
    "date time",
    "gps time",
)
"""Names of the time column, the one to be preferred first."""
CAROBD_KNOT_S: Final = 60.0
"""Stretch of a carOBD log over which its row rate is taken as constant."""


@dataclass(frozen=True)
class Readings:
    """All readings of one signal.

    Attributes
    ----------
    t_s : ndarray of float64, shape (n,)
        Seconds since the log's first row.
    value : list of float or None
        In the signal's native unit.
    status : list of Status
    """

    t_s: NDArray[np.float64]
    value: list[float | None]
    status: list[Status]


@dataclass(frozen=True)
class Log:
    """A foreign log, read.

    Attributes
    ----------
    layout : str
        Which of the known layouts it has.
    readings : dict of str to Readings
        By signal.
    duration_s : float
    started : datetime or None
        Date and time of the first row, with its zone if the log names it.
    notes : list of str
        What a reader of the trip should know.
    """

    layout: str
    readings: dict[str, Readings]
    duration_s: float
    started: datetime | None
    notes: list[str] = field(default_factory=list)


def read_log(
    path: Path, *, speed_unit: str | None = None, temperature_unit: str | None = None
) -> Log:
    """Read a log of any known layout.

    Parameters
    ----------
    path : Path
    speed_unit : str, optional
        `km/h` or `mph`; where missing, what the header says, else km/h.
    temperature_unit : str, optional
        `C` or `F`; where missing, what the header says, else °C.

    Raises
    ------
    InputError
        The file is no such log, has no time or no vehicle speed, or holds two recordings.
    """
    overrides = {}
    if speed_unit:
        overrides["km/h"] = speed_unit
    if temperature_unit:
        overrides["°C"] = temperature_unit
    table = read_table(path)
    names = [split_header(header)[0] for header in table.header]
    if names[:3] == ["seconds", "pid", "value"]:
        log = _long(table, overrides)
    elif {"gps time", "device time"} <= set(names):
        log = _wide(table, names, overrides, "Torque Pro")
        log = replace(log, started=_torque_start(table, names, log.started))
    elif any(line.startswith("# StartTime") for line in table.preamble):
        log = _wide(table, names, overrides, "OBD Fusion")
        line = next(line for line in table.preamble if line.startswith("# StartTime"))
        log = replace(log, started=_fusion_start(line, table, names))
    elif "engine run tine" in names or (
        "engine run time" in names and not set(names) & set(TIME_NAMES)
    ):
        log = _carobd(table, names, overrides)
    else:
        log = _wide(table, names, overrides, "plain columns")
        if log.started is None:
            log = replace(log, started=date_in_name(path.name))
    speed = log.readings.get("speed_kmh")
    if speed is None or sum(value is not None for value in speed.value) < 2:
        raise InputError(
            f"{path}: no column with the vehicle's speed (its columns: "
            f"{', '.join(header for header in table.header[:12] if header)})"
        )
    missing = [name for name in ("rpm", "coolant_temp_c") if name not in log.readings]
    if missing:
        log.notes.append(f"the log has no {' and no '.join(missing)}")
    return log


def _wide(table: Table, names: list[str], overrides: dict[str, str], layout: str) -> Log:
    time_column = _time_column(table, names)
    unit = re.search(r"\(([^)]*)\)\s*$", table.header[time_column])
    moments = read_moments(
        table.column(time_column),
        unit=unit.group(1) if unit else "",
        decimal_comma=table.decimal_comma,
    )
    rows = in_order(moments.t_s, table.path)
    return _collected(table, layout, moments.t_s, rows, overrides, moments.started)


def _collected(
    table: Table,
    layout: str,
    t_s: NDArray[np.float64],
    rows: NDArray[np.int64],
    overrides: dict[str, str],
    started: datetime | None,
) -> Log:
    readings = {}
    for index, column in _columns(table.header, overrides).items():
        cells = table.column(index)
        found = _readings(column, t_s[rows], [cells[row] for row in rows], table.decimal_comma)
        if found.t_s.size:
            readings[column.signal] = found
    notes = []
    unreadable = len(table.rows) - rows.size
    if unreadable and layout != "carOBD":
        notes.append(f"{unreadable} rows of the log have no readable time and were left out")
    return Log(layout, readings, float(t_s[rows[-1]]) if rows.size else 0.0, started, notes)


def _columns(headers: list[str], overrides: dict[str, str]) -> dict[int, Column]:
    """The best column of every signal."""
    best: dict[str, tuple[int, int, Column]] = {}
    for index, header in enumerate(headers):
        column = recognize(header, overrides=overrides)
        if column is not None:
            rank = preference(header)
            if column.signal not in best or rank < best[column.signal][0]:
                best[column.signal] = rank, index, column
    return {index: column for _, index, column in best.values()}


def _readings(
    column: Column, t_s: NDArray[np.float64], cells: Sequence[str], decimal_comma: bool
) -> Readings:
    times: list[float] = []
    values: list[float | None] = []
    status: list[Status] = []
    for time_s, cell in zip(t_s.tolist(), cells, strict=True):
        if is_blank(cell):
            continue
        value = number(cell, decimal_comma=decimal_comma)
        times.append(time_s)
        values.append(None if value is None else column.convert(value))
        status.append(Status.MALFORMED if value is None else Status.OK)
    return Readings(np.array(times, np.float64), values, status)


def _time_column(table: Table, names: list[str]) -> int:
    for name in TIME_NAMES:
        if name in names:
            return names.index(name)
        # `Time (ms)`: milliseconds are no unit of any signal, so the bracket stays in the name.
        for unit in ("ms", "msec", "milliseconds", "hh mm ss", "hh mm ss ms"):
            if f"{name} {unit}" in names:
                return names.index(f"{name} {unit}")
    raise InputError(
        f"{table.path}: no time column (its columns: {', '.join(table.header[:12])}); "
        "expected one named t_s, time or Device Time"
    )


def _long(table: Table, overrides: dict[str, str]) -> Log:
    """Car Scanner: one row a reading, times in seconds since midnight."""
    has_unit = len(table.header) > 3
    moments = read_moments(table.column(0), decimal_comma=table.decimal_comma)
    rows = in_order(moments.t_s, table.path)
    columns: dict[tuple[str, str], Column | None] = {}
    cells: dict[str, tuple[Column, int, list[float], list[str]]] = {}
    for row in rows.tolist():
        key = table.rows[row][1], table.rows[row][3] if has_unit else ""
        if key not in columns:
            columns[key] = recognize(key[0], unit=key[1] or None, overrides=overrides)
        column = columns[key]
        if column is None:
            continue
        rank = preference(key[0])
        kept = cells.get(column.signal)
        if kept is None or rank < kept[1]:
            kept = cells[column.signal] = (column, rank, [], [])
        if rank == kept[1]:
            kept[2].append(float(moments.t_s[row]))
            kept[3].append(table.rows[row][2])
    readings = {
        signal: _readings(column, np.array(times), texts, table.decimal_comma)
        for signal, (column, _, times, texts) in cells.items()
    }
    readings |= _positions(table, moments.t_s, rows)
    return Log(
        "Car Scanner",
        {signal: found for signal, found in readings.items() if found.t_s.size},
        float(moments.t_s[rows[-1]]) if rows.size else 0.0,
        date_in_name(table.path.name),
    )


def _positions(
    table: Table, t_s: NDArray[np.float64], rows: NDArray[np.int64]
) -> dict[str, Readings]:
    """Positions that Car Scanner repeats on every row, one a moment."""
    once = rows[np.concatenate([[True], np.diff(t_s[rows]) > 0])] if rows.size else rows
    result = {}
    for index, header in enumerate(table.header[4:], start=4):
        column = recognize(header)
        if column is not None and column.signal.startswith("gps"):
            cells = [table.rows[row][index] for row in once]
            result[column.signal] = _readings(column, t_s[once], cells, table.decimal_comma)
    return result


def _torque_start(table: Table, names: list[str], started: datetime | None) -> datetime | None:
    """The device's clock has milliseconds, the GPS column names the zone."""
    if started is None or started.tzinfo is not None:
        return started
    for cell in table.column(names.index("gps time")):
        moment = read_date(cell)
        if moment is not None and moment.tzinfo is not None:
            return started.replace(tzinfo=moment.tzinfo)
    return started


def _fusion_start(line: str, table: Table, names: list[str]) -> datetime | None:
    """The head gives the date of time 0; the first row may come later."""
    start = read_date(line.partition("=")[2].strip().strip(","))
    first = number(table.rows[0][_time_column(table, names)])
    return None if start is None or first is None else start + timedelta(seconds=first)


def _carobd(table: Table, names: list[str], overrides: dict[str, str]) -> Log:
    """carOBD: no clock, rows at a steady rate, every value repeated until it is asked again.

    The run time of the engine dates the rows (in steps of a second, so through a smooth curve),
    and of the rows that repeat one poll only the last is kept: repeats would look as a speed
    that stands still and jumps.
    """
    index = next(i for i, name in enumerate(names) if name.startswith("engine run ti"))
    run_s = np.array([number(cell) or 0.0 for cell in table.column(index)])
    running = np.flatnonzero(run_s > 0)
    if running.size < 10:
        raise InputError(f"{table.path}: a carOBD log whose engine never runs cannot be dated")
    if (np.diff(run_s[running]) < 0).any():
        raise InputError(
            f"{table.path}: the engine's run time goes back: it holds more than one recording; "
            "split it there"
        )
    rate = (run_s[running[-1]] - run_s[running[0]]) / max(running[-1] - running[0], 1)
    knots = np.linspace(
        running[0],
        running[-1],
        2 + int((run_s[running[-1]] - run_s[running[0]]) // CAROBD_KNOT_S),
    )
    hats = np.stack([np.interp(running, knots, row) for row in np.eye(knots.size)], axis=1)
    fitted, *_ = np.linalg.lstsq(hats, run_s[running], rcond=None)
    every = np.arange(run_s.size)
    t_s = np.interp(every, knots, np.maximum.accumulate(fitted))
    before, after = every < running[0], every > running[-1]
    t_s[before] = t_s[running[0]] + (every[before] - running[0]) * rate
    t_s[after] = t_s[running[-1]] + (every[after] - running[-1]) * rate
    t_s -= t_s[0]
    last_of_poll = np.flatnonzero(np.concatenate([np.diff(run_s) != 0, [True]]))
    log = _collected(table, "carOBD", t_s, last_of_poll, overrides, None)
    log.notes.append("the log has no clock: its rows were dated by the engine's run time")
    return log
