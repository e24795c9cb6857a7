"""Whether every part of the logger is alive, and what it counts; for people and for monitors."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from onboard.errors import OnboardError
from onboard.manifest import write_atomically

STATUS_FILE: Final = "status.json"
DEAD_AFTER_S: Final = 10.0
"""A part that has not come round for this long is stuck: the watchdog is not fed any more."""
STALE_AFTER_S: Final = 5.0
"""A status file older than this was left by a logger that is gone."""


class Health:
    """Heartbeats and counters of the parts of a running logger; callable from any thread."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._beats: dict[str, float] = {}
        self._counters: dict[str, int] = {}
        self._last_words: dict[str, str] = {}

    def beat(self, part: str) -> None:
        """Say that a part has come round."""
        with self._mutex:
            self._beats[part] = time.monotonic()

    def retire(self, part: str) -> None:
        """Say that a part is not needed any more."""
        with self._mutex:
            self._beats.pop(part, None)

    def count(self, name: str, more: int = 1) -> None:
        """Count something."""
        with self._mutex:
            self._counters[name] = self._counters.get(name, 0) + more

    def say(self, part: str, words: str) -> None:
        """Keep a part's last words."""
        with self._mutex:
            self._last_words[part] = words

    def stuck(self) -> list[str]:
        """Parts that have not come round for too long."""
        now = time.monotonic()
        with self._mutex:
            return sorted(p for p, at in self._beats.items() if now - at > DEAD_AFTER_S)

    def counter(self, name: str) -> int:
        """The count of something so far."""
        with self._mutex:
            return self._counters.get(name, 0)

    def snapshot(self) -> dict[str, Any]:
        """Everything, as plain data."""
        now = time.monotonic()
        with self._mutex:
            return {
                "parts": {
                    part: {
                        "last_beat_s": round(now - at, 3),
                        "alive": now - at <= DEAD_AFTER_S,
                        "says": self._last_words.get(part, ""),
                    }
                    for part, at in sorted(self._beats.items())
                },
                "counters": dict(sorted(self._counters.items())),
            }


@dataclass(slots=True)
class Rates:
    """Events a second, over about the last five seconds."""

    _seen: dict[str, list[tuple[float, int]]] = field(default_factory=dict)

    def update(self, name: str, count: int) -> float:
        """Take in a count so far; returns how fast it grows."""
        now = time.monotonic()
        seen = self._seen.setdefault(name, [])
        seen.append((now, count))
        while len(seen) > 2 and now - seen[0][0] > 5.0:
            seen.pop(0)
        span = seen[-1][0] - seen[0][0]
        return round((seen[-1][1] - seen[0][1]) / span, 2) if span > 0 else 0.0


def write_status(folder: Path, status: Mapping[str, Any]) -> None:
    """Write the status file, whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / STATUS_FILE
    beside = target.with_name(f".{STATUS_FILE}.new")
    # Not synced: it is worth nothing after a power cut.
    beside.write_text(json.dumps(status, ensure_ascii=False, indent=1), encoding="utf-8")
    beside.replace(target)


def read_status(folder: Path) -> dict[str, Any]:
    """Read the status file of a running logger.

    Raises
    ------
    OnboardError
        If no logger runs there.
    """
    try:
        status = json.loads((folder / STATUS_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as problem:
        raise OnboardError(
            f"no logger runs with state folder {folder}; start `gradewise-onboard record`, or "
            "name its configuration with --config"
        ) from problem
    status["age_s"] = (time.monotonic_ns() - status["t_mono_ns"]) / 1e9
    return status


def write_prometheus(path: Path, status: Mapping[str, Any]) -> None:
    """Write the status as a Prometheus text file, for node_exporter's textfile collector."""
    lines = []
    for name, value in sorted(status["counters"].items()):
        lines += [
            f"# TYPE gradewise_{name}_total counter",
            f"gradewise_{name}_total {value}",
        ]
    gauges = {
        "recording": int(status["recording"]),
        "disk_free_bytes": status["disk_free_bytes"],
        "obd_readings_per_second": status["obd_per_s"],
        "frames_per_second": status["frames_per_s"],
        **{f'part_alive{{part="{p}"}}': int(v["alive"]) for p, v in status["parts"].items()},
    }
    declared = set()
    for name, value in gauges.items():
        family = name.partition("{")[0]
        if family not in declared:
            declared.add(family)
            lines.append(f"# TYPE gradewise_{family} gauge")
        lines.append(f"gradewise_{name} {value}")
    write_atomically(path, "\n".join(lines) + "\n")


class ServiceManager:
    """systemd's notification socket (sd_notify(3)); does nothing where there is none."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        if self._address.startswith("@"):
            self._address = "\0" + self._address[1:]

    def notify(self, message: str) -> None:
        """Send one message, such as `READY=1` or `WATCHDOG=1`."""
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(message.encode(), self._address)
