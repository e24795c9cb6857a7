"""Strict decoders of raw OBD-II replies: a reply that is not whole and ours is no reading.

The adapter is asked with headers on (ATH1) and spaces off, so every line is one frame on the
bus. Layouts: SAE J1979 for services and parameters, ISO 15765-2 for transport over CAN, ISO
15765-4 for the CAN identifiers, ISO 9141-2 / 14230-4 / SAE J1850 for the older buses.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from onboard.signals import SIGNALS, Status, checked

CURRENT_DATA: Final = 0x01
VEHICLE_INFORMATION: Final = 0x09
VIN: Final = 0x02
_REPLY: Final = 0x40
_REFUSED: Final = 0x7F
_CAN_FRAME_BYTES: Final = 8

# Replies of the adapter itself (ELM327 data sheet, "Error Messages"). The first set means that
# the vehicle has nothing to say, the second that what it said was lost on the way.
_SILENT_VEHICLE: Final = ("NODATA", "UNABLETOCONNECT", "CANERROR", "BUSINIT", "BUSERROR", "LVRESET")
_SEARCHING: Final = "SEARCHING"


class ReplyError(ValueError):
    """A reply cannot be used; `status` says in which way."""

    def __init__(self, status: Status, message: str):
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class _Parameter:
    length: int
    decode: Callable[[bytes], float]


def _percent(data: bytes) -> float:
    return data[0] * 100 / 255


def _celsius(data: bytes) -> float:
    return data[0] - 40


def _byte(data: bytes) -> float:
    return data[0]


def _word(data: bytes) -> float:
    return data[0] * 256 + data[1]


# SAE J1979, service 01; by signal name, so that `onboard.signals` stays the one list of them.
_PARAMETERS: Final[Mapping[str, _Parameter]] = {
    "rpm": _Parameter(2, lambda data: _word(data) / 4),
    "speed_kmh": _Parameter(1, _byte),
    "coolant_temp_c": _Parameter(1, _celsius),
    "load_percent": _Parameter(1, _percent),
    "throttle_percent": _Parameter(1, _percent),
    "maf_g_s": _Parameter(2, lambda data: _word(data) / 100),
    "map_kpa": _Parameter(1, _byte),
    "intake_temp_c": _Parameter(1, _celsius),
    "ambient_temp_c": _Parameter(1, _celsius),
    "fuel_level_percent": _Parameter(1, _percent),
    "run_time_s": _Parameter(2, _word),
}
_SIGNAL_OF_PID: Final = {SIGNALS[name].pid: name for name in _PARAMETERS}


def messages(lines: Iterable[str], *, can_id_digits: int) -> dict[int, bytes]:
    """Assemble the frames of one reply into one message for each control unit that answered.

    Parameters
    ----------
    lines : iterable of str
        The adapter's lines, headers on.
    can_id_digits : int
        Hexadecimal digits of a CAN identifier: 3 (11 bits) or 8 (29 bits); 0 for the older
        buses, whose frames carry three header bytes and a checksum.

    Returns
    -------
    dict of int to bytes
        Message by the address of the sender, from the service byte on.

    Raises
    ------
    ReplyError
        If nobody answered, or anything in the reply is not whole.
    """
    frames: dict[int, list[bytes]] = {}
    silent = False
    for line in lines:
        text = line.replace(" ", "").replace("\x00", "").upper()
        if text.startswith(_SEARCHING):
            text = text[len(_SEARCHING) :].lstrip(".")
        if not text:
            continue
        if text.startswith(_SILENT_VEHICLE):
            silent = True
        elif re.fullmatch(r"[0-9A-F]+", text) is None:
            raise ReplyError(Status.MALFORMED, f"the adapter says {line!r}")
        else:
            sender, frame = _frame(text, can_id_digits)
            frames.setdefault(sender, []).append(frame)
    if silent:
        if frames:
            raise ReplyError(Status.MALFORMED, "the reply broke off")
        raise ReplyError(Status.NO_DATA, "the vehicle does not answer")
    if not frames:
        raise ReplyError(Status.TIMEOUT, "no reply")
    if can_id_digits == 0:
        return {sender: _assemble_legacy(parts) for sender, parts in frames.items()}
    return {sender: _assemble_can(parts) for sender, parts in frames.items()}


def _frame(text: str, can_id_digits: int) -> tuple[int, bytes]:
    if can_id_digits:
        digits, payload = text[:can_id_digits], text[can_id_digits:]
        if len(payload) % 2 or not payload:
            raise ReplyError(Status.MALFORMED, f"half a byte in {text!r}")
        data = bytes.fromhex(payload)
        # A unit sends as many bytes as it means or, mostly, eight; any other number of bytes
        # means that some were lost between adapter and computer.
        expected = 1 + (data[0] & 0x0F) if data[0] >> 4 == 0 else _CAN_FRAME_BYTES
        if data[0] >> 4 == 2:
            if not 2 <= len(data) <= _CAN_FRAME_BYTES:
                raise ReplyError(Status.MALFORMED, f"{len(data)} bytes in {text!r}")
        elif len(data) not in (expected, _CAN_FRAME_BYTES) or len(data) < expected:
            raise ReplyError(Status.MALFORMED, f"{len(data)} bytes in {text!r}")
        return int(digits, 16), data
    if len(text) % 2:
        raise ReplyError(Status.MALFORMED, f"half a byte in {text!r}")
    raw = bytes.fromhex(text)
    if not 6 <= len(raw) <= 11:
        raise ReplyError(Status.MALFORMED, f"{len(raw)} bytes in {text!r}")
    return raw[2], raw[3:-1]


def _assemble_can(frames: Sequence[bytes]) -> bytes:
    kind = frames[0][0] >> 4
    if kind == 0:
        if len(frames) != 1:
            raise ReplyError(Status.MALFORMED, "more frames than the reply has")
        length = frames[0][0] & 0x0F
        if length == 0:
            raise ReplyError(Status.MALFORMED, "an empty frame")
        return frames[0][1 : 1 + length]
    if kind != 1:
        raise ReplyError(Status.MALFORMED, "the first frame is missing")
    length = (frames[0][0] & 0x0F) << 8 | frames[0][1]
    body = bytearray(frames[0][2:])
    for number, frame in enumerate(frames[1:], 1):
        if frame[0] != 0x20 | number & 0x0F:
            raise ReplyError(Status.MALFORMED, "a frame is missing or out of order")
        missing = length - len(body)
        if missing <= 0:
            raise ReplyError(Status.MALFORMED, "more frames than the reply has")
        wanted = min(7, missing)
        if len(frame) - 1 not in (wanted, 7):
            raise ReplyError(Status.MALFORMED, "a frame is cut short")
        body += frame[1 : 1 + wanted]
    if len(body) != length or length < 8:
        raise ReplyError(Status.MALFORMED, f"{len(body)} of {length} bytes")
    return bytes(body)


def _assemble_legacy(frames: Sequence[bytes]) -> bytes:
    if len(frames) == 1:
        return frames[0]
    # Longer replies number their frames from 1 in the byte after service and parameter.
    head = frames[0][:2]
    body = bytearray(head)
    for number, frame in enumerate(frames, 1):
        if frame[:2] != head or len(frame) != 7 or frame[2] != number:
            raise ReplyError(Status.MALFORMED, "a frame is missing or out of order")
        body += frame[3:]
    return bytes(body)


def engine_address(found: Mapping[int, bytes]) -> int:
    """The address of the engine's control unit among those that answered a first question.

    It has the lowest: 7E8 or 18DAF110 on CAN (ISO 15765-4), 10 on the older buses (SAE J2178).
    """
    return min(found)


def engine_message(found: Mapping[int, bytes], engine: int) -> bytes:
    """The message of the engine's control unit.

    Raises
    ------
    ReplyError
        If only other units answered.
    """
    if engine not in found:
        raise ReplyError(Status.NO_DATA, "the engine's control unit does not answer")
    return found[engine]


def current_data(message: bytes, pids: Sequence[int]) -> dict[int, bytes]:
    """Split a reply of service 01 into the data of each parameter.

    Parameters
    ----------
    message : bytes
        From the service byte on.
    pids : sequence of int
        Parameters that were asked for; one that the vehicle left out is left out here too.

    Raises
    ------
    ReplyError
        If the reply is a refusal, answers another question, or has another length.
    """
    if message[0] == _REFUSED:
        raise ReplyError(Status.NO_DATA, "the vehicle refuses the question")
    if message[0] != _REPLY | CURRENT_DATA:
        raise ReplyError(Status.MALFORMED, f"a reply of service {message[0]:02X}")
    result: dict[int, bytes] = {}
    at = 1
    while at < len(message):
        pid = message[at]
        if pid not in pids:
            raise ReplyError(Status.MALFORMED, f"a reply to parameter {pid:02X}")
        if pid in result:
            raise ReplyError(Status.MALFORMED, f"parameter {pid:02X} twice")
        length = data_length(pid)
        data = message[at + 1 : at + 1 + length]
        if len(data) != length:
            raise ReplyError(Status.MALFORMED, f"parameter {pid:02X} is cut short")
        result[pid] = data
        at += 1 + length
    if not result:
        raise ReplyError(Status.MALFORMED, "a reply without a parameter")
    return result


def data_length(pid: int) -> int:
    """Bytes of data of a service 01 parameter that this package asks for.

    Raises
    ------
    KeyError
        If it never asks for it.
    """
    if pid % 0x20 == 0:
        return 4
    return _PARAMETERS[_SIGNAL_OF_PID[pid]].length


def reading(pid: int, data: bytes) -> tuple[str, float | None, Status]:
    """The signal, value and status of one parameter's data."""
    name = _SIGNAL_OF_PID[pid]
    value, status = checked(name, _PARAMETERS[name].decode(data))
    return name, value, status


def supported(base: int, data: bytes) -> set[int]:
    """Parameters that a vehicle supports, from its answer to parameter `base` (00, 20, 40 …)."""
    bits = int.from_bytes(data, "big")
    return {base + 1 + k for k in range(32) if bits >> (31 - k) & 1}


def vin(message: bytes) -> str:
    """The vehicle identification number from a reply of service 09, parameter 02.

    Raises
    ------
    ReplyError
        If it is none: 17 characters, no I, O or Q (ISO 3779).
    """
    if message[0] == _REFUSED:
        raise ReplyError(Status.NO_DATA, "the vehicle refuses the question")
    if message[:2] != bytes([_REPLY | VEHICLE_INFORMATION, VIN]):
        raise ReplyError(Status.MALFORMED, "a reply to another question")
    # CAN puts the number of items first; the older buses pad with zeros.
    text = message[2:].lstrip(b"\x00\x01").decode("ascii", errors="replace")
    if re.fullmatch(r"[A-HJ-NPR-Z0-9]{17}", text) is None:
        raise ReplyError(Status.MALFORMED, f"{text!r} is no vehicle identification number")
    return text


def request(pids: Sequence[int]) -> bytes:
    """The question for up to six parameters of service 01, as the adapter takes it."""
    return f"{CURRENT_DATA:02X}{''.join(f'{pid:02X}' for pid in pids)}".encode()
