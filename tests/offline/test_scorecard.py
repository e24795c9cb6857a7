"""The PDF scorecard: one tagged page that says everything, the same bytes every time."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from pypdf import PdfReader

from offline.commands.report import command, trip_id_of
from offline.errors import StoreError
from offline.results import ResultStore
from offline.results.scorecard import scorecard_pdf
from offline.verdicts import SWITCHED_OFF, Event, EventKind, Outcome, Score, TripResult, Verdict

MakeResult = Callable[..., TripResult]


def page_of(result: TripResult) -> tuple[PdfReader, str]:
    reader = PdfReader(io.BytesIO(scorecard_pdf(result, result.verdicts, result.timeline)))
    assert len(reader.pages) == 1
    return reader, " ".join(reader.pages[0].extract_text().replace("\u00a0", " ").split())


def test_the_page_says_who_what_and_why(make_result: MakeResult) -> None:
    reader, text = page_of(make_result(3, driver="Jana Nováková"))
    for told in (
        "Jana Nováková",
        "van-1 (car)",
        "2026-01-01 18:00 UTC",
        "13.0 km in 15 min",
        "83 of 100, band B",
        "likely between 70 and 90",
        "Without road context it would be 70 (C)",
        "Smoothness 81",
        "Economy not measured",
        "Events: 1 kept, 1 exonerated, 1 undetermined",
        "harsh_braking is kept",
        "over_revving is exonerated",
        "6.5 spared",
        "Engine speed was not recorded",
        "m" * 64,
        "p" * 64,
        f"{3:064d}",
        "verify",
    ):
        assert told in text, told
    box = reader.pages[0].mediabox
    assert (round(box.width), round(box.height)) == (595, 842)  # A4 in points


def test_the_page_is_tagged_and_its_charts_are_described(make_result: MakeResult) -> None:
    pdf = scorecard_pdf(result := make_result(3), result.verdicts, result.timeline)
    root = PdfReader(io.BytesIO(pdf)).trailer["/Root"]
    assert bool(root["/MarkInfo"]["/Marked"])
    assert root["/Lang"] == "en"
    assert b"pdfuaid:part" in pdf

    found: list[str] = []

    def walk(node: object) -> None:
        resolved = node.get_object() if hasattr(node, "get_object") else node
        if isinstance(resolved, list):
            for child in resolved:
                walk(child)
        elif isinstance(resolved, dict):
            if "/Alt" in resolved:
                found.append(str(resolved["/Alt"]))
            if "/K" in resolved:
                walk(resolved["/K"])

    walk(root["/StructTreeRoot"])
    assert any(re.search(r"Speed over time: driven \d+ km/h on average", alt) for alt in found)
    assert "Engine speed over time: not recorded." in found


def test_the_same_trip_gives_the_same_bytes(make_result: MakeResult) -> None:
    first, second = make_result(5), make_result(5)
    assert scorecard_pdf(first, first.verdicts, first.timeline) == scorecard_pdf(
        second, second.verdicts, second.timeline
    )


def test_where_the_data_came_from_is_said_at_the_top(make_result: MakeResult) -> None:
    note = "Made by a vehicle model."
    _, text = page_of(
        make_result(1, origin={"video": "recorded", "obd": "simulated", "note": note})
    )
    assert f"OBD simulated. {note}" in text
    _, genuine = page_of(make_result(1))
    assert "simulated" not in genuine


def test_a_trip_without_score_says_why_and_prints_no_zero(make_result: MakeResult) -> None:
    reason = "Under 500 m: too short to score."
    nothing = Score(None, None, None, None, reason)
    _, text = page_of(
        make_result(
            1,
            score=nothing,
            score_without_context=nothing,
            verdicts=(),
            road_context="no video",
            started_utc_ns=None,
            driver="",
        )
    )
    assert f"No score {reason}" in text
    assert "Driver not signed in" in text
    assert "start time not known" in text
    assert "of 100" not in text


def test_a_trip_without_timeline_still_has_its_page(make_result: MakeResult) -> None:
    result = make_result(1)
    for purged in (result.timeline.iloc[:0], pd.DataFrame()):
        _, text = page_of(replace(result, timeline=purged))
        assert "Speed was not recorded" in text


@pytest.mark.parametrize("count", [13, 300])
def test_events_that_do_not_fit_are_counted(count: int, make_result: MakeResult) -> None:
    sentence = (
        "The engine was driven hard for a long while and nothing on the road explains it. " * 2
    )
    verdicts = tuple(
        Verdict(
            Event(EventKind.OVER_REVVING, 60 / count * n, 60 / count * n, 4e3, 3.5e3, "rpm", 1.0),
            Outcome.KEPT, "", "", None, None, (), None, 100.0 + n, 0.0, sentence,
        )
        for n in range(count)
    )  # fmt: skip
    _, text = page_of(make_result(1, verdicts=verdicts))
    shown = len(re.findall(r"\d:\d\d\.\d ▼", text))
    left_out = re.search(r"and (\d+) more events?,", text)
    assert shown >= 8
    assert left_out is not None
    assert shown + int(left_out.group(1)) == count
    assert f"{100.0 + count - 1:.1f}" in text  # what cost most is shown


def test_names_in_any_script_and_hostile_text_are_printed_as_text(
    make_result: MakeResult,
) -> None:
    for driver in ("Ωmir Šťastný Đorđe", '#import "x" $a$ *b* _c_ <d> \\e'):
        _, text = page_of(make_result(1, driver=driver))
        assert driver in text
    # Printed where a font of this machine has them, else by their code points; never left out.
    _, text = page_of(make_result(1, driver="王小明"))
    assert "王小明" in text or "[U+738B][U+5C0F][U+660E]" in text


def test_a_long_drive_with_gaps_stays_small(make_result: MakeResult) -> None:
    result = make_result(1)
    t_s = np.arange(0, 36_000, 0.2)
    long = result.timeline.iloc[np.zeros(t_s.size, dtype=int)].reset_index(drop=True)
    speed = 60 + 20 * np.sin(t_s / 50)
    speed[(t_s % 400) < 20] = np.nan
    long = long.assign(t_s=t_s, speed_kmh=speed, rpm=speed * 40,
                       scene=np.where(t_s % 60 < 20, "uphill", "curve"))  # fmt: skip
    assert len(scorecard_pdf(result, result.verdicts, long)) < 400_000


def test_report_writes_the_page_of_a_trip_named_by_id_or_by_folder(
    make_result: MakeResult, tmp_path: Path
) -> None:
    result = make_result(4)
    folder = tmp_path / "trips" / result.trip_id
    folder.mkdir(parents=True)
    with ResultStore.open(None, tmp_path / "results") as store:
        store.put(result)
    pages = []
    for name in (result.trip_id, str(folder)):
        target = tmp_path / "card.pdf"
        done = CliRunner().invoke(
            command, [name, "--results", str(tmp_path / "results"), "--pdf", str(target)]
        )
        assert done.exit_code == 0, done.output
        pages.append(target.read_bytes())
    assert pages[0] == pages[1] == scorecard_pdf(result, result.verdicts, result.timeline)
    assert [path.name for path in tmp_path.glob("*.pdf")] == ["card.pdf"]
    assert trip_id_of("van-1/absent") == "van-1/absent"


def test_report_prints_the_result_without_road_context_on_request(
    make_result: MakeResult, tmp_path: Path
) -> None:
    target = tmp_path / "card.pdf"
    arguments = ["van-1/trip-00004", "--results", str(tmp_path), "--pdf", str(target)]
    with ResultStore.open(None, tmp_path) as store:
        store.put(make_result(4, road_context=SWITCHED_OFF))
    assert isinstance(CliRunner().invoke(command, arguments).exception, StoreError)
    done = CliRunner().invoke(command, [*arguments, "--no-road-context"])
    assert done.exit_code == 0, done.output
    text = PdfReader(target).pages[0].extract_text()
    assert "No road context: switched off." in text


def test_report_leaves_nothing_half_written(make_result: MakeResult, tmp_path: Path) -> None:
    result = make_result(4)
    with ResultStore.open(None, tmp_path / "results") as store:
        store.put(result)
    where = ["--results", str(tmp_path / "results")]
    done = CliRunner().invoke(
        command, [result.trip_id, *where, "--pdf", str(tmp_path / "absent" / "card.pdf")]
    )
    assert isinstance(done.exception, StoreError)
    done = CliRunner().invoke(command, ["van-1/absent", *where, "--pdf", str(tmp_path / "c.pdf")])
    assert isinstance(done.exception, StoreError)
    assert not list(tmp_path.glob("*.pdf"))
