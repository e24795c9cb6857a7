"""Offloading: resumed, verified at the far end, marked as sent."""

from __future__ import annotations

import getpass
import json
import os
import socket
import subprocess
import sys
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


def test_over_sftp_resumed(
    tmp_path: Path, sftp_server: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
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


class Sshd:
    """OpenSSH's own server, and a home folder with a key that it lets in."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.home = folder / "home"
        (self.home / ".ssh").mkdir(parents=True)
        self.make_key(self.home / ".ssh" / "id_ed25519")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.process: subprocess.Popen | None = None

    def make_key(self, path: Path) -> None:
        quiet = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path]
        subprocess.run(quiet, check=True)

    def start(self, name: str) -> None:
        self.make_key(self.folder / name)
        config = self.folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nHostKey {self.folder / name}\n"
            f"AuthorizedKeysFile {self.home}/.ssh/id_ed25519.pub\nStrictModes no\nUsePAM no\n"
            "PidFile none\nPermitRootLogin yes\nSubsystem sftp internal-sftp\n"
        )
        if os.geteuid() == 0:
            # Debian's service makes it at boot.
            Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
        self.process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-e", "-f", config], stderr=subprocess.DEVNULL
        )
        end = time.monotonic() + 20
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def offload(self, trips: Path, depot: Path) -> subprocess.CompletedProcess[str]:
        url = f"sftp://{getpass.getuser()}@127.0.0.1:{self.port}{depot}"
        return subprocess.run(
            [sys.executable, "-m", "onboard.cli", "offload", "--from", trips, "--to", url],
            capture_output=True,
            text=True,
            env={**os.environ, "HOME": str(self.home)},
            timeout=60,
        )


@pytest.mark.skipif(not Path("/usr/sbin/sshd").exists(), reason="needs openssh-server")
def test_over_openssh_whose_key_is_remembered(tmp_path: Path) -> None:
    trips, depot = tmp_path / "trips", tmp_path / "depot"
    depot.mkdir()
    first = make_trip(trips)
    sshd = Sshd(tmp_path / "ssh")
    try:
        sshd.start("first_key")
        done = sshd.offload(trips, depot)
        assert done.returncode == 0, done.stderr
        with Trip.open(depot / "v" / first.name) as arrived:
            arrived.verify()
        second = make_trip(trips)
        assert sshd.offload(trips, depot).returncode == 0
        known = (sshd.home / ".ssh" / "known_hosts").read_text()
        assert known.count("\n") == 1

        # Somebody else under the same address gets nothing.
        sshd.stop()
        sshd.start("another_key")
        third = make_trip(trips)
        refused = sshd.offload(trips, depot)
        assert refused.returncode == 2
        assert "ssh-keygen -R" in refused.stderr
        assert refused.stderr.count("\n") == 1
        assert unsent_trips(trips) == [third]
        assert sorted(p.name for p in (depot / "v").iterdir()) == sorted([first.name, second.name])
    finally:
        sshd.stop()


def test_to_an_object_store_and_back_at_the_depot(tmp_path: Path) -> None:
    trips, fetched = tmp_path / "trips", tmp_path / "fetched"
    first = make_trip(trips)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [Path(sys.executable).with_name("moto_server"), "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port}",
    }

    def run(program: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, env=environment,
            check=True, timeout=60,
        )  # fmt: skip

    def offload(bucket: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "onboard.cli", "offload", "--from", trips, "--to", bucket],
            capture_output=True, text=True, env=environment, timeout=60,
        )  # fmt: skip

    try:
        end = time.monotonic() + 30
        while True:
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                assert time.monotonic() < end
                time.sleep(0.1)
        done = offload("s3://depot/trips")
        assert done.returncode == 0, done.stderr
        assert unsent_trips(trips) == []
        run(
            f"import s3fs; s3fs.S3FileSystem().get('depot/trips', {str(fetched)!r}, recursive=True)"
        )
        with Trip.open(fetched / "v" / first.name) as arrived:
            arrived.verify()
    finally:
        server.kill()
        server.wait()


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
