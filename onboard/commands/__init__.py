"""The subcommands of `gradewise-onboard`, one a module."""
