"""What stays at its place of the picture while the road turns: tags, dirt, captions, a bonnet.

Corners there say that the camera does not turn. Few other corners, in rain or dusk, are then
outvoted, and a bend reads as a straight road. Which places these are shows while the camera turns:
everything outside moves.
"""

from __future__ import annotations

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from offline.corners import MIDDLE_PX, Places, Tracked
from offline.preprocessing import PLANE_HEIGHT, PLANE_WIDTH

STAYS_PX: Final = 0.5
"""A corner that moves less stays."""
MOVES_PX: Final = 1.0
"""And one that moves more belongs to what is seen behind."""
LEAST_M: Final = 1.0
"""Of a vehicle that creeps, the world outside stays as well."""
TURNED_PX: Final = 2.5
"""The camera turned if everything far away moved sideways by so much."""
LEAST_SEEN: Final = 2
LEAST_SHARE: Final = 0.3
"""So often, and in so many of the pictures with a corner there, a corner stayed. Dirt gives a
corner against a bright background only (chosen on rendered training roads)."""
AROUND: Final = (3, 3)
"""Pixels counted as one place."""


class Windscreen:
    """Counts, place by place, how often corners stayed while the camera turned."""

    def __init__(self) -> None:
        self._stayed = np.zeros((PLANE_HEIGHT, PLANE_WIDTH), np.float32)
        self._seen = np.zeros((PLANE_HEIGHT, PLANE_WIDTH), np.float32)
        self._held: NDArray[np.bool_] | None = None

    def watch(self, tracked: Tracked, yaw_px: float) -> None:
        """Take the corners of two pictures between which far things moved sideways by `yaw_px`."""
        if abs(yaw_px) < TURNED_PX or tracked.driven_m < LEAST_M:
            return
        row, column = _cells(tracked.before)
        stayed = tracked.moved_px < STAYS_PX
        np.add.at(self._seen, (row, column), 1.0)
        np.add.at(self._stayed, (row[stayed], column[stayed]), 1.0)
        self._held = None

    def cleared(self, tracked: Tracked) -> Tracked | None:
        """The corners without those on the windscreen; None where too few are left."""
        kept = ~self.places[_cells(tracked.before)] | (tracked.moved_px > MOVES_PX)
        return tracked if kept.all() else tracked.only(kept)

    @property
    def places(self) -> NDArray[np.bool_]:
        """Pixels of the plane that are on the windscreen, shape (96, 160)."""
        if self._held is None:
            stayed, seen = (
                cv2.boxFilter(each, -1, AROUND, normalize=False, borderType=cv2.BORDER_CONSTANT)
                for each in (self._stayed, self._seen)
            )
            self._held = np.asarray((stayed >= LEAST_SEEN) & (stayed >= LEAST_SHARE * seen))
        return self._held


def _cells(places: Places) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    column, row = np.round(places + MIDDLE_PX).astype(np.int64).T
    return row, column
