"""The child process that talks to the adapter through python-OBD.

The library can block for two minutes on a silent adapter, so it lives in a process of its own
that `onboard.obdlink` kills when it has not been heard for three seconds. It writes one JSON
object a line to its standard output; every line is also a heartbeat:

    {"say": "...", "grace_s": 15}                        what it is doing, and how long it may take
    {"t": ns, "rt": ms, "signals": {name: [value, status]}}   one answered (or failed) question
    {"device": "OBDII to RS232 Interpreter"}               how the adapter describes itself
    {"vehicle": {"vin": "...", "protocol": "6", "supported": [...], "batch": 6}}

A line on its standard input, whatever it says, has it ask for everything anew at once: a trip
begins, and its first rows shall hold the signals that are asked for slowly, too.

Several parameters go into one question where the vehicle answers that (CAN only), found by
trying. No decoder of the library is used: it pads short replies with zeros and takes replies
meant for another question.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import serial  # type: ignore[import-untyped]

from onboard import decoders
from onboard.decoders import ReplyError
from onboard.signals import ALWAYS, SIGNALS, Status

HEARTBEAT_S: Final = 0.5
PROMPT_TIMEOUT_S: Final = 1.5
BAUD_RATES: Final = (38400, 115200, 9600, 230400, 57600, 19200)
"""Rates ELM327 adapters are sold with, most frequent first."""
START_GRACE_S: Final = 30.0
"""Importing python-OBD takes a second, and many on a computer that is busy booting."""
CONNECT_GRACE_S: Final = 20.0
"""Searching for the bus of an unknown vehicle takes an ELM327 up to fifteen seconds."""
SILENT_VEHICLE_EVERY_S: Final = 1.0
"""How often a vehicle that does not answer (ignition off) is asked."""
TRY_BATCH_AGAIN_S: Final = 10.0
"""A vehicle that answered no long question is tried again after this, then ever more rarely."""
RESYNC_AFTER_S: Final = 2.0
"""Nothing but unusable replies for this long: the connection is made anew."""
_CAN_ID_DIGITS: Final = {"6": 3, "7": 8, "8": 3, "9": 8}
_PR_SET_PDEATHSIG: Final = 1


def emit(**message: Any) -> None:
    """Write one line to the parent."""
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


@dataclass(slots=True)
class PollPlan:
    """Which parameters to ask for next: fast ones always, slow ones when they are due.

    Attributes
    ----------
    pids : sequence of int
        Parameters of service 01 the vehicle supports, among those wanted.
    batch : int
        How many go into one question.
    """

    pids: Sequence[int]
    batch: int
    _due_s: dict[int, float] = field(default_factory=dict)
    _waiting: list[int] = field(default_factory=list)

    def next(self, now_s: float) -> list[int]:
        """The parameters of the next question; at least one fast one."""
        fast = [pid for pid in self.pids if _period_s(pid) == 0.0]
        slow = sorted(
            (pid for pid in self.pids if _period_s(pid) > 0.0 and self._due_s.get(pid, 0) <= now_s),
            key=lambda pid: self._due_s.get(pid, 0.0),
        )
        if self.batch == 1:
            # One slow one after each round of fast ones, so that these keep their rate.
            if not self._waiting:
                self._waiting = fast + slow[:1]
            chosen = [self._waiting.pop(0)]
        else:
            chosen = (fast[: self.batch - 1 if slow else self.batch] + slow)[: self.batch]
        for pid in chosen:
            self._due_s[pid] = now_s + _period_s(pid)
        return chosen

    def all_anew(self) -> None:
        """Have the slow ones asked for next, whenever they were asked for last."""
        self._due_s.clear()


def _period_s(pid: int) -> float:
    return next(s.period_s for s in SIGNALS.values() if s.pid == pid)


class Adapter:
    """A connected ELM327 and the vehicle behind it."""

    def __init__(self, connection: Any):
        # python-OBD's own classes: importing them takes a second, so not at the top.
        from obd import ECU, OBDCommand

        self._connection = connection
        self._command = OBDCommand
        self._ecu_all = ECU.ALL
        self._digits = _CAN_ID_DIGITS.get(connection.protocol_id(), 0)
        self._engine: int | None = None
        self.protocol: Final[str] = connection.protocol_id()
        self.can: Final = self._digits > 0

    def ask(self, question: bytes) -> bytes:
        """Send a question and return the engine's message, whole.

        Raises
        ------
        ReplyError
            If there is none.
        """
        from obd import OBDStatus

        lines: list[str] = []

        def keep(messages: Sequence[Any]) -> None:
            lines.extend(frame.raw for message in messages for frame in message.frames)

        # `_bytes=0` and `fast=False` keep the library from padding and from repeating.
        command = self._command("raw", "raw reply", question, 0, keep, self._ecu_all, False)
        try:
            self._connection.query(command, force=True)
        except (ValueError, IndexError, TypeError, AttributeError) as problem:
            # The library's parsers fail on some garbage.
            raise ReplyError(Status.MALFORMED, f"unreadable reply: {problem}") from problem
        if self._connection.status() == OBDStatus.NOT_CONNECTED:
            raise ConnectionError("the adapter is gone")
        found = decoders.messages(lines, can_id_digits=self._digits)
        if self._engine is None:
            self._engine = decoders.engine_address(found)
        return decoders.engine_message(found, self._engine)

    def close(self) -> None:
        """Let go of the adapter."""
        self._connection.close()

    def ask_parameters(self, pids: Sequence[int]) -> dict[int, bytes]:
        """Ask for parameters of service 01."""
        return decoders.current_data(self.ask(decoders.request(pids)), pids)

    def supported(self) -> set[int]:
        """Parameters the vehicle says it has."""
        found: set[int] = set()
        for base in (0x00, 0x20, 0x40):
            if base and base not in found:
                break
            found |= decoders.supported(base, self.ask_parameters([base])[base])
        return found

    def vin(self) -> str:
        """The vehicle's identification number, empty where it gives none."""
        try:
            return decoders.vin(self.ask(b"0902"))
        except ReplyError:
            return ""

    def batch(self, pids: Sequence[int]) -> int:
        """How many parameters one question may hold: tried out, twice each."""
        if not self.can:
            return 1
        for size in (6, 3, 2):
            tried = list(pids)[:size]
            if len(tried) < 2:
                return 1
            try:
                if all(set(self.ask_parameters(tried)) == set(tried) for _ in range(2)):
                    return size
            except ReplyError:
                continue
        return 1


def wait_for_prompt(port: str, baudrate: int | None) -> int:
    """Return the adapter's baud rate once it answers a question about itself.

    python-OBD's constructor blocks for two minutes on a silent adapter, so it is not called
    before the adapter has shown its prompt and stopped talking. Heartbeats until then.
    """
    # A pseudo-terminal and a TCP port have no baud rate; the number is only passed on.
    real = not port.startswith(("/dev/pts", "socket:"))
    rates = BAUD_RATES if baudrate is None and real else (baudrate or BAUD_RATES[0],)
    said = ""
    while True:
        for rate in rates:
            problem = _prompt_problem(port, rate if real else None)
            if problem is None:
                return rate
            emit(say=problem if problem != said else "")
            said = problem


def _prompt_problem(port: str, baudrate: int | None) -> str | None:
    try:
        with serial.serial_for_url(port, timeout=PROMPT_TIMEOUT_S) as opened:
            if baudrate is not None:
                opened.baudrate = baudrate
            # Ends whatever was being typed or monitored.
            opened.write(b"\r")
            time.sleep(0.1)
            opened.reset_input_buffer()
            opened.write(b"ATI\r")
            answer = opened.read_until(b">", 256)
            if answer.endswith(b">") and b"ELM" in answer:
                opened.write(b"AT@1\r")
                described = opened.read_until(b">", 256).decode("ascii", errors="replace")
                emit(device=" ".join(described.replace("AT@1", "").strip("\r\n> ").split()))
                return None
    except (OSError, ValueError) as problem:
        time.sleep(HEARTBEAT_S)
        return f"no adapter: {problem}"
    if not answer:
        return "the adapter is silent"
    return "the adapter babbles"


def connect(port: str, baudrate: int, protocol: str | None) -> Adapter | None:
    """Connect to adapter and vehicle; None where the vehicle does not answer."""
    import obd

    emit(say="connecting", grace_s=CONNECT_GRACE_S)
    connection = obd.OBD(port, baudrate, protocol, fast=False, timeout=1.0, check_voltage=False)
    if connection.status() != obd.OBDStatus.CAR_CONNECTED:
        connection.close()
        return None
    return Adapter(connection)


def poll(adapter: Adapter, wanted: Sequence[int]) -> None:
    """Ask for readings until the connection is lost or must be made anew."""
    emit(say="connected, reading what the vehicle supports", grace_s=CONNECT_GRACE_S)
    offered = _what_is_supported(adapter)
    if offered is None:
        return
    always = [SIGNALS[name].pid for name in ALWAYS]
    pids = [pid for pid in wanted if pid in offered or pid in always]
    tried = [pid for pid in pids if pid in offered]
    plan = PollPlan(pids, adapter.batch(tried))
    again_s = TRY_BATCH_AGAIN_S
    again_at = time.monotonic() + again_s
    emit(
        vehicle={
            "vin": adapter.vin(),
            "protocol": adapter.protocol,
            "supported": sorted(offered & set(wanted)),
            "batch": plan.batch,
        }
    )
    good_at = time.monotonic()
    failures = 0
    while True:
        if _told_to_ask_anew():
            plan.all_anew()
        asked = plan.next(time.monotonic())
        before = time.monotonic_ns()
        answer: Mapping[int, bytes] = {}
        problem: ReplyError | None = None
        try:
            answer = adapter.ask_parameters(asked)
        except ReplyError as caught:
            problem = caught
        after = time.monotonic_ns()
        emit(
            t=(before + after) // 2,
            rt=(after - before) / 1e6,
            signals=_signals(asked, answer, problem),
        )
        now = time.monotonic()
        if problem is None:
            good_at = now
            failures = 0
            if adapter.can and plan.batch == 1 and now > again_at:
                # It may have been a fault, not the vehicle, that kept it from long questions.
                plan = PollPlan(pids, adapter.batch(tried))
                again_s *= 2
                again_at = now + again_s
            continue
        failures += 1
        if problem.status is Status.NO_DATA:
            # The adapter is sound and the vehicle asleep: ask gently.
            good_at = now
            if failures > 3:
                time.sleep(SILENT_VEHICLE_EVERY_S)
        elif now - good_at > RESYNC_AFTER_S:
            emit(say=f"unusable replies ({problem}): connecting anew")
            return
        if failures == 3 and plan.batch > 1:
            # Not all vehicles that answer long questions do so in every state.
            plan = PollPlan(pids, 1)


def _told_to_ask_anew() -> bool:
    ready, _, _ = select.select([0], [], [], 0)
    # A closed input is always ready, and empty.
    return bool(ready and os.read(0, 4096))


def _what_is_supported(adapter: Adapter) -> set[int] | None:
    """Parameters the vehicle has; None where it cannot be asked now."""
    problem: ReplyError | None = None
    for _ in range(5):
        try:
            return adapter.supported()
        except ReplyError as caught:
            problem = caught
    status = problem.status if problem else Status.NO_DATA
    emit(say=f"the vehicle does not say what it supports: {problem}")
    emit(t=time.monotonic_ns(), rt=0.0, signals={"rpm": (None, status)})
    time.sleep(SILENT_VEHICLE_EVERY_S)
    return None


def _signals(
    asked: Sequence[int], answer: Mapping[int, bytes], problem: ReplyError | None
) -> dict[str, tuple[float | None, str]]:
    result: dict[str, tuple[float | None, str]] = {}
    for pid in asked:
        if pid in answer:
            name, value, status = decoders.reading(pid, answer[pid])
            result[name] = (value, status)
        else:
            name = next(s.name for s in SIGNALS.values() if s.pid == pid)
            result[name] = (None, problem.status if problem else Status.NO_DATA)
    return result


def run(port: str, baudrate: int | None, protocol: str | None, wanted: Sequence[int]) -> None:
    """Connect, poll, connect again, for ever."""
    while True:
        adapter = connect(port, wait_for_prompt(port, baudrate), protocol)
        if adapter is None:
            emit(say="the adapter answers, the vehicle does not (ignition off?)")
            emit(t=time.monotonic_ns(), rt=0.0, signals={"rpm": (None, Status.NO_DATA)})
            time.sleep(SILENT_VEHICLE_EVERY_S)
            continue
        protocol = adapter.protocol
        try:
            poll(adapter, wanted)
        except ConnectionError as problem:
            emit(say=str(problem))
        adapter.close()


def main() -> None:
    """Entry point: settings as one JSON object in the first argument."""
    settings = json.loads(sys.argv[1])
    # The adapter must be free again when the recorder is gone, however it went.
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != settings["parent"]:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    emit(say="starting", grace_s=START_GRACE_S)
    import logging

    logging.getLogger("obd").setLevel(logging.CRITICAL)
    import obd  # noqa: F401  (a second, spent before any question is asked)

    run(settings["port"], settings["baudrate"], settings["protocol"], settings["pids"])


if __name__ == "__main__":
    main()
