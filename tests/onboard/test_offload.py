"""Offloading: resumed, verified at the far end, marked as sent."""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import paramiko
import pytest

from onboard.errors import DeviceError, TripError
from onboard.offload import FarEnd, offload, unsent_trips
from onboard.trip import Trip, TripWriter


def make_trip(root: Path, samples: int = 20_000) -> Path:
    writer = TripWriter.create(root, vehicle="v", driver="d")
    for k in range(samples):
        writer.add_sample(k, "rpm", (k * 37) % 8000)
    writer.close("test")
    return writer.path


def nobody(_: int) -> None:
    """Nobody watches."""


def send(trips: Path, url: str, trip: Path, **more: float):
    return offload(trips, FarEnd(url, **more), url, trip, nobody)


def test_a_trip_arrives_whole_and_once(tmp_path: Path) -> None:
    trips, depot = tmp_path / "trips", tmp_path / "depot"
    path = make_trip(trips)
    assert unsent_trips(trips) == [path]
    sent = send(trips, str(depot), path)
    assert sent.resumed_bytes == 0
    assert unsent_trips(trips) == []
    with Trip.open(depot / "v" / path.name) as arrived, Trip.open(path) as kept:
        arrived.verify()
        assert arrived.sha256() == kept.sha256()
        assert json.loads((path / "sent.json").read_text())["sha256"] == kept.sha256()
    assert sorted(p.name for p in (depot / "v" / path.name).iterdir()) == [
        "manifest.json",
        "trip.sqlite",
    ]


def test_what_broke_off_goes_on(tmp_path: Path) -> None:
    trips, depot = tmp_path / "trips", tmp_path / "depot"
    path = make_trip(trips)
    data = (path / "trip.sqlite").read_bytes()
    (depot / "v" / path.name).mkdir(parents=True)
    (depot / "v" / path.name / "trip.sqlite.part").write_bytes(data[:300_000])
    assert send(trips, str(depot), path).resumed_bytes == 300_000
    assert (depot / "v" / path.name / "trip.sqlite").read_bytes() == data


@pytest.mark.parametrize("name", ["trip.sqlite.part", "trip.sqlite"])
def test_what_was_damaged_at_the_far_end_is_sent_again(tmp_path: Path, name: str) -> None:
    trips, depot = tmp_path / "trips", tmp_path / "depot"
    path = make_trip(trips)
    (depot / "v" / path.name).mkdir(parents=True)
    (depot / "v" / path.name / name).write_bytes(os.urandom(300_000))
    send(trips, str(depot), path)
    with Trip.open(depot / "v" / path.name) as arrived:
        arrived.verify()


def test_a_trip_damaged_here_is_not_sent(tmp_path: Path) -> None:
    trips, depot = tmp_path / "trips", tmp_path / "depot"
    path = make_trip(trips)
    with (path / "trip.sqlite").open("r+b") as file:
        file.seek(50_000)
        file.write(b"damage")
    with pytest.raises(TripError, match="differs from its SHA-256"):
        send(trips, str(depot), path)
    assert not (path / "sent.json").exists()
    assert not (depot / "v" / path.name / "manifest.json").exists()


def test_the_rate_is_limited(tmp_path: Path) -> None:
    trips = tmp_path / "trips"
    path = make_trip(trips)
    size = (path / "trip.sqlite").stat().st_size
    begun = time.monotonic()
    send(trips, str(tmp_path / "depot"), path, bytes_per_s=size * 2)
    assert time.monotonic() - begun > 0.4


def test_a_far_end_that_cannot_be_written(tmp_path: Path) -> None:
    trips = tmp_path / "trips"
    path = make_trip(trips, 10)
    (tmp_path / "file").touch()
    with pytest.raises(DeviceError):
        send(trips, str(tmp_path / "file" / "depot"), path)
    assert unsent_trips(trips) == [path]


class _Door(paramiko.ServerInterface):
    def check_auth_password(self, username: str, password: str) -> int:
        good = (username, password) == ("depot", "secret")
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return paramiko.OPEN_SUCCEEDED

    def get_allowed_auths(self, username: str) -> str:
        return "password"


class _Handle(paramiko.SFTPHandle):
    def stat(self) -> paramiko.SFTPAttributes:
        return paramiko.SFTPAttributes.from_stat(os.fstat(self.readfile.fileno()))


class _Disk(paramiko.SFTPServerInterface):
    """The real file system, as any SFTP server shows it."""

    def stat(self, path: str):
        try:
            return paramiko.SFTPAttributes.from_stat(Path(path).stat())
        except OSError as problem:
            return paramiko.SFTPServer.convert_errno(problem.errno)

    lstat = stat

    def list_folder(self, path: str):
        return [
            paramiko.SFTPAttributes.from_stat(p.stat(), p.name)
            for p in sorted(Path(path).iterdir())
        ]

    def open(self, path: str, flags: int, attr: paramiko.SFTPAttributes):
        try:
            descriptor = os.open(path, flags, 0o644)
        except OSError as problem:
            return paramiko.SFTPServer.convert_errno(problem.errno)
        mode = "ab" if flags & os.O_APPEND else "wb" if flags & os.O_WRONLY else "rb"
        if flags & os.O_RDWR:
            mode = "r+b"
        handle = _Handle(flags)
        handle.readfile = handle.writefile = os.fdopen(descriptor, mode)
        return handle

    def mkdir(self, path: str, attr: paramiko.SFTPAttributes) -> int:
        Path(path).mkdir()
        return paramiko.SFTP_OK

    def rename(self, oldpath: str, newpath: str) -> int:
        Path(oldpath).rename(newpath)
        return paramiko.SFTP_OK

    posix_rename = rename

    def remove(self, path: str) -> int:
        Path(path).unlink()
        return paramiko.SFTP_OK


@pytest.fixture
def sftp_server() -> Iterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    transports: list[paramiko.Transport] = []
    key = paramiko.RSAKey.generate(2048)

    def serve() -> None:
        while True:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            transport = paramiko.Transport(client)
            transport.add_server_key(key)
            transport.set_subsystem_handler("sftp", paramiko.SFTPServer, _Disk)
            transport.start_server(server=_Door())
            transports.append(transport)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield listening.getsockname()[1]
    listening.shutdown(socket.SHUT_RDWR)
    listening.close()
    for transport in transports:
        transport.close()
    thread.join(5)


def test_over_sftp_resumed(tmp_path: Path, sftp_server: int) -> None:
    trips, depot = tmp_path / "trips", tmp_path / "depot"
    depot.mkdir()
    path = make_trip(trips)
    data = (path / "trip.sqlite").read_bytes()
    (depot / "v" / path.name).mkdir(parents=True)
    (depot / "v" / path.name / "trip.sqlite.part").write_bytes(data[:300_000])
    url = f"sftp://depot:secret@127.0.0.1:{sftp_server}{depot}"
    assert send(trips, url, path).resumed_bytes == 300_000
    with Trip.open(depot / "v" / path.name) as arrived:
        arrived.verify()
    assert "secret" not in (path / "sent.json").read_text()


def test_offload_as_a_program(tmp_path: Path, onboard_program) -> None:
    trips, depot = tmp_path / "trips", tmp_path / "depot"
    path = make_trip(trips, 100)
    done = onboard_program("offload", "--from", trips, "--to", depot, "--json")
    assert done.returncode == 0, done.stderr
    assert [s["trip"] for s in json.loads(done.stdout)["sent"]] == [str(path)]
    assert "nothing to send" in onboard_program("offload", "--from", trips, "--to", depot).stdout
    missing = onboard_program("offload", "--from", trips)
    assert missing.returncode == 2
    assert "--to" in missing.stderr
