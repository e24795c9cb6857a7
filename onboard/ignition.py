"""When a trip begins and ends: with the engine, told from OBD-II alone."""

from __future__ import annotations

from dataclasses import dataclass

from onboard.signals import Status


@dataclass(slots=True)
class Ignition:
    """Follows the engine through the answers about its speed.

    Attributes
    ----------
    end_after_off_s : float
        The adapter answers and the vehicle does not: ignition is off.
    end_after_stopped_s : float
        The vehicle answers 0 rpm: start-stop at a light, or a driver who left it on.
    end_after_lost_s : float
        Nobody answers: the adapter was pulled out, or lost its power with the ignition.
    """

    end_after_off_s: float
    end_after_stopped_s: float
    end_after_lost_s: float
    _turned_s: float | None = None
    _answered_s: float | None = None
    _vehicle_answered_s: float | None = None
    _silent_since_s: float | None = None

    def heard(self, now_s: float, rpm: float | None, status: str) -> None:
        """Take in one answer (or the lack of it) about engine speed."""
        if rpm is not None:
            self._answered_s = self._vehicle_answered_s = now_s
            self._silent_since_s = None
            if rpm > 0:
                self._turned_s = now_s
        elif status == Status.NO_DATA:
            self._answered_s = now_s
            if self._silent_since_s is None:
                self._silent_since_s = now_s

    def running(self, now_s: float) -> bool:
        """Whether the engine turned within the last two seconds."""
        return self._turned_s is not None and now_s - self._turned_s < 2.0

    def why_ended(self, now_s: float) -> str | None:
        """Why the trip is over, or None while it goes on; never before the engine has turned."""
        if self._turned_s is None or self._answered_s is None:
            return None
        if now_s - self._answered_s >= self.end_after_lost_s:
            return "adapter lost"
        if (
            self._silent_since_s is not None
            and self._answered_s - self._silent_since_s >= self.end_after_off_s
        ):
            return "ignition off"
        if (
            self._vehicle_answered_s is not None
            and self._vehicle_answered_s - self._turned_s >= self.end_after_stopped_s
        ):
            return "engine stopped"
        return None

    def forget(self) -> None:
        """Start over, for the next trip."""
        self._turned_s = self._answered_s = None
        self._vehicle_answered_s = self._silent_since_s = None
