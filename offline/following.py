"""Corners followed from picture to picture, from one of a trip's stills to the next.

Half a second apart, pictures of a fast vehicle have little in common: corners leave them, and those
that stay are far ahead, where roll hardly moves them. Through the pictures between, motion is small
and corners are many; what each finds is turned into one turn from still to still.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from offline.corners import (
    FEW,
    MOST,
    PLANE_HEIGHT,
    PLANE_WIDTH,
    Image,
    Places,
    Tracked,
    detected,
    followed,
    track,
    tracked_of,
)

WINDOW_PX: Final = (7, 7)
RETURN_PX: Final = 0.3
"""Of small motion corners are told more exactly, by less of their surroundings (measured on
rendered training roads)."""
APART_PX: Final = 4
"""New corners lie farther from those that are followed already."""
_AROUND: Final = np.ones((2 * APART_PX + 1, 2 * APART_PX + 1), np.uint8)


@dataclass(frozen=True)
class Step:
    """Corners from one picture to the next.

    Attributes
    ----------
    whole : Tracked or None
        Those that were followed all the way.
    parts : tuple of Tracked
        Those from each picture between to the next; none where one of them showed too few, or where
        there are no pictures between.
    """

    whole: Tracked | None
    parts: tuple[Tracked, ...] = ()

    def each(self, take: Callable[[Tracked], Tracked | None]) -> Step | None:
        """What is taken of all of them; None where that is nothing."""
        return _step(self.whole and take(self.whole), [take(part) for part in self.parts])

    def fast_part(self, least_m: float) -> Tracked | None:
        """The middle one of the parts where all of it is longer than `least_m`, and it is not."""
        if sum(part.driven_m for part in self.parts) <= least_m:
            return None
        part = self.parts[len(self.parts) // 2]
        return part if part.driven_m <= least_m else None


def _step(whole: Tracked | None, parts: Sequence[Tracked | None]) -> Step | None:
    known = tuple(part for part in parts if part is not None)
    if len(known) < len(parts):
        known = ()
    return None if whole is None and not known else Step(whole, known)


class Follower:
    """Follows the corners of a picture through those after it.

    Parameters
    ----------
    plane : ndarray of uint8, shape (96, 160)
    driven_m : float
        Where it was taken.
    """

    def __init__(self, plane: Image, driven_m: float) -> None:
        self._first = self._last = plane
        self._first_m = self._last_m = driven_m
        self._corners = detected(plane)
        self._shift = np.zeros_like(self._corners)
        self._began: Places = self._corners[:, 0].astype(np.float64)
        self._parts: list[Tracked | None] = []

    def follow(self, plane: Image, driven_m: float) -> None:
        """Take the next picture."""
        part = None
        if len(self._corners):
            p, q, kept = followed(
                self._last, plane, self._corners, self._shift, WINDOW_PX, RETURN_PX
            )
            part = tracked_of(p[kept], q[kept], driven_m - self._last_m)
            here = q[kept].astype(np.float32)[:, None]
            # Between pictures an even time apart a corner moves on as it did.
            self._corners, self._shift = here, here - self._corners[kept]
            self._began = self._began[kept]
        self._parts.append(part)
        self._last, self._last_m = plane, driven_m

    def renew(self) -> None:
        """Look for corners that the last picture shows for the first time."""
        apart = np.full((PLANE_HEIGHT, PLANE_WIDTH), 255, np.uint8)
        column, row = np.round(self._corners[:, 0]).astype(np.int64).T
        apart[row, column] = 0
        new = detected(self._last, np.asarray(cv2.erode(apart, _AROUND), np.uint8))[
            : max(MOST - len(self._corners), 0)
        ]
        self._corners = np.concatenate([self._corners, new])
        self._shift = np.concatenate([self._shift, np.zeros_like(new)])
        self._began = np.concatenate([self._began, np.full((len(new), 2), np.nan)])

    def finish(self, plane: Image, driven_m: float) -> Step | None:
        """Take the last picture; None where nothing could be followed."""
        self.follow(plane, driven_m)
        old = ~np.isnan(self._began[:, 0])
        here = self._corners[old, 0].astype(np.float64)
        driven_m -= self._first_m
        whole = tracked_of(self._began[old], here, driven_m)
        if whole is None or len(here) < FEW:
            direct = track(self._first, plane, driven_m)
            if direct is not None and (whole is None or len(direct.before) > len(whole.before)):
                whole = direct
        return _step(whole, self._parts)
