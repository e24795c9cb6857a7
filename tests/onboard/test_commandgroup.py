"""The command lines find their commands lazily and fail in one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

import offline.cli
import onboard.cli
from onboard.commandgroup import CommandGroup

GROUPS = [onboard.cli.group, offline.cli.group]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: str(group.name))
def test_every_listed_command_exists_and_has_help(group: CommandGroup) -> None:
    context = group.make_context(group.name, [], resilient_parsing=True)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None, name
        assert command.name == name
        assert command.help, f"{name} has no help"
        for parameter in command.params:
            record = parameter.to_info_dict()
            if record["param_type_name"] == "option":
                assert record["help"], f"{name} {record['opts']} has no help"


@pytest.mark.parametrize("module", ["onboard.cli", "offline.cli", "dashboard.cli"])
def test_help_works_and_unknown_commands_exit_2(module: str) -> None:
    assert _run(module, "--help").returncode == 0
    wrong = _run(module, "no-such-command")
    assert wrong.returncode == 2
    assert "No such command" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_help_of_offline_imports_nothing_heavy() -> None:
    code = (
        "import sys; sys.argv=['gradewise-offline','--help']\n"
        "import offline.cli\n"
        "code = offline.cli.group.run()\n"
        "heavy = {'pandas', 'tensorflow', 'cv2', 'sqlalchemy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
        "sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
