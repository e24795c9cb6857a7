"""Which SFTP servers may be talked to: those of `~/.ssh/known_hosts`, and new ones once.

fsspec takes any server for the right one at every connection, and trips say where people drove.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import paramiko

SYSTEM_FILE: Final = Path("/etc/ssh/ssh_known_hosts")


def own_file() -> Path:
    """Where the keys of servers are remembered for this user."""
    return Path.home() / ".ssh" / "known_hosts"


class KnownHosts(paramiko.MissingHostKeyPolicy):
    """Accepts a server of unknown name and remembers its key; refuses one whose key differs.

    As OpenSSH's `StrictHostKeyChecking accept-new` does.
    """

    def missing_host_key(
        self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey
    ) -> None:
        """Judge a server by its name and key.

        Raises
        ------
        SSHException
            If another key is known for it.
        """
        known = paramiko.HostKeys()
        for file in (SYSTEM_FILE, own_file()):
            if file.exists():
                known.load(str(file))
        if known.check(hostname, key):
            return
        if known.lookup(hostname) is not None:
            raise paramiko.SSHException(
                f"the key of {hostname} is not the one in {own_file()}: either somebody stands "
                f"between, or it was changed, then `ssh-keygen -R '{hostname}'`"
            )
        own_file().parent.mkdir(mode=0o700, exist_ok=True)
        with own_file().open("a", encoding="ascii") as remembered:
            remembered.write(f"{hostname} {key.get_name()} {key.get_base64()}\n")
