"""A click group whose subcommands are modules, imported only when called.

A name typed at the prompt costs no more than its own imports: `--help` of a group that can
train networks must not load TensorFlow.
"""

from __future__ import annotations

import importlib
import keyword
import os
import sys
from collections.abc import Sequence
from typing import Any

import click


class CommandGroup(click.Group):
    """Finds the command `a-b` as the object `command` of the module `<package>.a_b`.

    Parameters
    ----------
    package : str
        Dotted name of the package that holds the command modules.
    commands_help : dict of str to str
        Command names in the order of the help page, each with its one-line help.
    error : type of Exception, or tuple of them
        Errors that end the program with one line on stderr and exit code 2.
    """

    def __init__(
        self,
        *args: Any,
        package: str,
        commands_help: dict[str, str],
        error: type[Exception] | tuple[type[Exception], ...],
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._package = package
        self._commands_help = commands_help
        self._error = error

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._commands_help)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._commands_help:
            return None
        name = cmd_name.replace("-", "_")
        # A module cannot be called `import`: by custom a trailing underscore sets it apart.
        name += "_" if keyword.iskeyword(name) else ""
        module = importlib.import_module(f"{self._package}.{name}")
        command: click.Command = module.command
        command.name = cmd_name
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        # The one-line helps stand here, so that the help page imports no command.
        with formatter.section("Commands"):
            formatter.write_dl(list(self._commands_help.items()))

    def run(self, arguments: Sequence[str] | None = None) -> int:
        """Run the command line and return its exit code; never a traceback for bad input."""
        try:
            code = self.main(args=arguments, standalone_mode=False)
        except click.exceptions.Exit as stop:
            return stop.exit_code
        except click.ClickException as problem:
            problem.show()
            return 2
        except (click.Abort, KeyboardInterrupt):
            print("interrupted", file=sys.stderr)
            return 130
        except BrokenPipeError:
            # The reader of our output is gone (`| head`): nothing is left to tell it.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 0
        except self._error as problem:
            line = " ".join(str(problem).split())
            print(f"{self.name}: error: {line}", file=sys.stderr)
            return 2
        return code if isinstance(code, int) else 0
