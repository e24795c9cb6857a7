"""The subcommands of `gradewise-dashboard`, one module each."""
