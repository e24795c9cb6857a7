"""An ELM327 adapter with a vehicle behind it, in software: for the desk, and for the tests.

It speaks the ELM327 command set as far as python-OBD and this package use it, over TCP
(`socket://host:port`) or a pseudo-terminal, on an 11-bit CAN bus (ISO 15765-4, 500 kbit/s), with
several parameters in one question. It can also fail in the ways adapters do.
"""

from __future__ import annotations

import os
import pty
import random
import re
import select
import socket
import threading
import time
import tty
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from onboard.signals import SIGNALS

ENGINE_ID: Final = "7E8"
VERSION: Final = "ELM327 v1.5"
DESCRIPTION: Final = "GRADEWISE REPLAY: "


class Fault(StrEnum):
    """Ways in which an adapter fails."""

    NONE = "none"
    SILENT = "silent"
    """Takes questions and answers nothing."""
    BABBLING = "babbling"
    """Sends without end and without being asked."""
    NO_DATA = "no_data"
    """The vehicle does not answer."""
    WRONG_PID = "wrong_pid"
    """Answers another question than was asked."""
    TRUNCATED = "truncated"
    """Loses the end of every reply."""
    LOST_BYTE = "lost_byte"
    """Loses a byte in the middle of every reply."""
    GARBAGE = "garbage"
    """Replies with random characters."""
    SLOW = "slow"
    """Takes 1.5 s more for every reply."""


SLOW_S: Final = 1.5

Readings = Callable[[], Mapping[str, float]]
"""Values of signals at this moment, by name; what is absent the vehicle does not support."""

# SAE J1979: the inverse of what `onboard.decoders` does, written from the other side.
_ENCODE: Final[Mapping[str, Callable[[float], bytes]]] = {
    "rpm": lambda v: round(v * 4).to_bytes(2, "big"),
    "speed_kmh": lambda v: bytes([round(v)]),
    "coolant_temp_c": lambda v: bytes([round(v) + 40]),
    "load_percent": lambda v: bytes([round(v * 2.55)]),
    "throttle_percent": lambda v: bytes([round(v * 2.55)]),
    "maf_g_s": lambda v: round(v * 100).to_bytes(2, "big"),
    "map_kpa": lambda v: bytes([round(v)]),
    "intake_temp_c": lambda v: bytes([round(v) + 40]),
    "ambient_temp_c": lambda v: bytes([round(v) + 40]),
    "fuel_level_percent": lambda v: bytes([round(v * 2.55)]),
    "run_time_s": lambda v: (round(v) & 0xFFFF).to_bytes(2, "big"),
}


@dataclass
class Vehicle:
    """What is on the other side of the plug.

    Attributes
    ----------
    readings : callable
        Values now; an empty mapping means that the ignition is off.
    vin : str
        17 characters.
    batches : bool
        Whether it answers several parameters in one question.
    """

    readings: Readings
    vin: str = "WGWZZZ1KZAW000001"
    batches: bool = True

    def answer(self, question: bytes) -> bytes | None:
        """The reply to a request of service 01 or 09; None where it stays silent."""
        values = self.readings()
        if not values:
            return None
        if question[0] == 0x09:
            if question[1:] == b"\x02":
                return b"\x49\x02\x01" + self.vin.encode()
            return None
        if question[0] != 0x01 or len(question) > 7 or (len(question) > 2 and not self.batches):
            return None
        pids = {SIGNALS[name].pid: name for name in values if SIGNALS[name].pid is not None}
        reply = b""
        for pid in question[1:]:
            if pid % 0x20 == 0:
                bits = sum(1 << (31 - (p - pid - 1)) for p in pids if p and pid < p <= pid + 32)
                if any(p and p > pid + 32 for p in pids):
                    bits |= 1
                reply += bytes([pid]) + bits.to_bytes(4, "big")
            elif pid in pids:
                reply += bytes([pid]) + _ENCODE[pids[pid]](values[pids[pid]])
        return b"\x41" + reply if reply else None


class Elm327:
    """One adapter. `handle` takes a command line and returns what the adapter prints."""

    def __init__(
        self, vehicle: Vehicle, *, delay_s: float = 0.0, seed: int = 0, describes: str = "emulated"
    ):
        self.vehicle = vehicle
        self.describes = describes
        self.delay_s = delay_s
        self.fault = Fault.NONE
        self.questions = 0
        self._random = random.Random(seed)
        self.power_cycle()

    def power_cycle(self) -> None:
        """Forget all settings, as when the plug lost contact for a moment."""
        self._echo, self._headers, self._linefeeds, self._spaces = True, False, True, True
        self._automatic = True

    def handle(self, line: str) -> bytes:
        """The adapter's answer to one line, prompt included; empty while it is silent."""
        if self.fault in (Fault.SILENT, Fault.BABBLING):
            return b""
        command = re.sub(r"\s", "", line).upper()
        end = "\r\n" if self._linefeeds else "\r"
        echo = line + end if self._echo else ""
        if command.startswith("AT"):
            lines = self._configure(command[2:])
        elif re.fullmatch(r"(?:[0-9A-F]{2})+[0-9A-F]?", command):
            time.sleep(self.delay_s + (SLOW_S if self.fault is Fault.SLOW else 0.0))
            self.questions += 1
            lines = self._ask(bytes.fromhex(command[: len(command) // 2 * 2]))
        else:
            lines = ["?"] if command else []
        return (echo + "".join(text + end for text in lines) + end + ">").encode()

    def _configure(self, command: str) -> list[str]:
        if command in ("Z", "WS", "D"):
            self.power_cycle()
            return [VERSION] if command != "D" else ["OK"]
        if command == "I":
            return [VERSION]
        if command == "@1":
            # The device description: a recorder can tell that nothing here was measured.
            return [f"{DESCRIPTION}{self.describes}"]
        if command == "RV":
            return ["12.6V"]
        if command == "DPN":
            return ["A6" if self._automatic else "6"]
        if command == "DP":
            return ["ISO 15765-4 (CAN 11/500)"]
        switches = {"E": "_echo", "H": "_headers", "L": "_linefeeds", "S": "_spaces"}
        if command[:1] in switches and command[1:] in ("0", "1"):
            setattr(self, switches[command[0]], command[1] == "1")
        elif command.startswith(("SP", "TP")):
            if command[2:] not in ("0", "6", "00", "A6"):
                return ["OK"]
            self._automatic = command.endswith("0")
        return ["OK"]

    def _ask(self, question: bytes) -> list[str]:
        if self.fault is Fault.NO_DATA:
            return ["NO DATA"]
        if self.fault is Fault.GARBAGE:
            letters = "0123456789ABCDEFGHXYZ?<>. "
            return ["".join(self._random.choices(letters.replace(">", ""), k=14))]
        if self.fault is Fault.WRONG_PID and question[0] == 0x01:
            question = b"\x01\x11" if question[1] != 0x11 else b"\x01\x0d"
        reply = self.vehicle.answer(question)
        if reply is None:
            return ["NO DATA"]
        frames = can_frames(reply)
        lines = [self._printed(frame) for frame in frames]
        if self.fault is Fault.TRUNCATED:
            # Into what it means, not only into the padding.
            meant = 1 + (len(reply) if len(frames) == 1 else (len(reply) - 6 - 1) % 7 + 1)
            whole = self._printed(frames[-1][:meant])
            lines[-1] = whole[: self._random.randrange(1, len(whole))]
        elif self.fault is Fault.LOST_BYTE:
            at = 5 + 2 * self._random.randrange(3)
            lines[0] = lines[0][:at] + lines[0][at + 2 :]
        return lines

    def _printed(self, frame: bytes) -> str:
        text = frame.hex().upper()
        if self._spaces:
            text = " ".join(re.findall("..", text))
        if not self._headers:
            return text
        return f"{ENGINE_ID} {text}" if self._spaces else ENGINE_ID + text


def can_frames(message: bytes) -> list[bytes]:
    """Split a message into ISO 15765-2 frames of eight bytes, padded with AA."""
    if len(message) <= 7:
        return [(bytes([len(message)]) + message).ljust(8, b"\xaa")]
    frames = [bytes([0x10 | len(message) >> 8, len(message) & 0xFF]) + message[:6]]
    for number, at in enumerate(range(6, len(message), 7), 1):
        frames.append((bytes([0x20 | number & 0x0F]) + message[at : at + 7]).ljust(8, b"\xaa"))
    return frames


class _Served:
    """Serves an adapter on one file descriptor at a time until stopped."""

    def __init__(self, adapter: Elm327):
        self.adapter: Final = adapter
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def _start(self, target: Callable[[], None]) -> None:
        self._thread = threading.Thread(target=target, name="elm327", daemon=True)
        self._thread.start()

    def _talk(self, descriptor: int) -> None:
        """Answer lines until the other side is gone."""
        line = b""
        while not self._stopping.is_set():
            if self.adapter.fault is Fault.BABBLING:
                os.write(descriptor, b"7E8 06 41 0C ")
                time.sleep(0.005)
            ready, _, _ = select.select([descriptor], [], [], 0.05)
            if not ready:
                continue
            data = os.read(descriptor, 1024)
            if not data:
                return
            for byte in data:
                if byte == 0x0D:
                    text, line = line.decode("ascii", errors="replace"), b""
                    os.write(descriptor, self.adapter.handle(text))
                elif byte not in (0x0A, 0x00):
                    line += bytes([byte])

    def stop(self) -> None:
        """Unplug."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(5)


class TcpAdapter(_Served):
    """An adapter on a TCP port, as Wi-Fi adapters are; one client at a time."""

    def __init__(self, adapter: Elm327, *, host: str = "127.0.0.1", port: int = 0):
        super().__init__(adapter)
        self._server = socket.create_server((host, port))
        self._server.settimeout(0.1)
        self.port: Final[int] = self._server.getsockname()[1]
        self.url: Final = f"socket://{host}:{self.port}"
        self._start(self._serve)

    def _serve(self) -> None:
        with self._server:
            while not self._stopping.is_set():
                try:
                    client, _ = self._server.accept()
                except TimeoutError:
                    continue
                with client:
                    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    try:
                        self._talk(client.fileno())
                    except OSError:
                        continue


class PtyAdapter(_Served):
    """An adapter on a pseudo-terminal, reached by a link of a name that stays the same."""

    def __init__(self, adapter: Elm327, link: Path):
        super().__init__(adapter)
        self._ours, theirs = pty.openpty()
        tty.setraw(theirs)
        self._theirs = theirs
        self._link = link
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(theirs))
        self._start(self._serve)

    def _serve(self) -> None:
        # `_theirs` stays open too, so a client that leaves does not hang up the terminal.
        self._talk(self._ours)

    def stop(self) -> None:
        """Unplug: the device is gone and so is its name."""
        super().stop()
        self._link.unlink(missing_ok=True)
        os.close(self._theirs)
        os.close(self._ours)
