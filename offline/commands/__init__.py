"""The subcommands of `gradewise-offline`, one a module."""
