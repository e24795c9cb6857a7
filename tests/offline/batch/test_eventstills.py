"""A trip that has video only is stored with pictures of its events."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from offline import video
from offline.eventstills import event_frames, stills_of
from offline.results import ResultStore
from offline.verdicts import TripResult
from onboard.trip import Trip

MakeTrip = Callable[..., Path]
MakeResult = Callable[..., TripResult]
FPS = 10.0


def result_with_events(result: TripResult) -> TripResult:
    """Two events: one shown by the frames 5 to 20, one whose best frame lies before it."""
    t_s = np.arange(0, 12, 0.2)
    timeline = pd.DataFrame(
        {
            "t_s": t_s,
            # Where no picture shows the place there is no frame.
            "frame": pd.array([None, *(np.floor(t_s[1:] * 2) * 5).astype(int)], "Int64"),
        }
    )
    first, second, _ = result.verdicts
    verdicts = (
        replace(first, event=replace(first.event, start_s=0.0, end_s=2.1), frames=()),
        replace(second, event=replace(second.event, start_s=9.0, end_s=9.3), frames=(70, 75)),
    )
    return replace(result, timeline=timeline, verdicts=verdicts)


def test_the_events_of_a_trip_with_video_only_have_pictures(
    tmp_path: Path, make_trip: MakeTrip, make_result: MakeResult
) -> None:
    from synthetictrips import picture

    path = make_trip(tmp_path, 1, seconds=12, stills=False, video_fps=FPS)
    result = result_with_events(make_result())
    wanted = [0, 5, 10, 15, 20, 70, 75, 90]
    assert event_frames(result).tolist() == wanted
    with Trip.open(path) as trip, ResultStore.open(None, tmp_path / "results") as store:
        store.put(result, stills_of(trip, result))
        assert store.still_frames(result.trip_id) == wanted
        for frame in wanted:
            jpeg = store.still(result.trip_id, frame)
            assert jpeg is not None
            shown = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR)
            assert shown.shape == (180, 320, 3)
            distance = {
                other: np.abs(shown.astype(float) - picture(1, other, 320, 180)).mean()
                for other in range(0, 120, 5)
            }
            assert min(distance, key=distance.__getitem__) == frame


def test_a_trip_with_stills_keeps_them_all_and_one_without_labels_none(
    tmp_path: Path, make_trip: MakeTrip, make_result: MakeResult
) -> None:
    result = result_with_events(make_result())
    with Trip.open(make_trip(tmp_path, 1, seconds=4, video_fps=FPS)) as trip:
        assert [frame for frame, _ in stills_of(trip, result)] == list(range(0, 40, 5))
    with Trip.open(make_trip(tmp_path, 2, seconds=4, stills=False, video_fps=FPS)) as trip:
        assert list(stills_of(trip, replace(result, labels=None))) == []


@pytest.mark.parametrize("b_frames", [0, 2])
def test_only_the_groups_of_chosen_pictures_are_decoded(tmp_path: Path, b_frames: int) -> None:
    path = tmp_path / "long.mp4"
    with av.open(str(path), "w") as sink:
        stream = sink.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 90, "yuv420p"
        stream.options = {
            "crf": "5",
            "x264-params": f"keyint=20:min-keyint=20:scenecut=0:open-gop=1:bframes={b_frames}",
        }
        for number in range(200):
            grey = np.full((90, 160, 3), 20 + number, np.uint8)
            sink.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="bgr24")))
        sink.mux(stream.encode(None))
    index = video.index_video(path)
    chosen = np.array([3, 59, 60, 61, 155, 199])
    every = dict(video.pictures(index, np.arange(200)))
    found = dict(video.pictures(index, chosen))
    assert list(found) == chosen.tolist()
    for position, shown in found.items():
        assert shown is not None
        np.testing.assert_array_equal(shown, every[position])
    # Three events in ten groups: at most two groups each.
    assert len(video._needed_groups(index, chosen)) <= 8
    assert len(video._needed_groups(index, np.array([5]))) == 2
