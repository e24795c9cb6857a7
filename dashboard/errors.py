"""Errors that the dashboard raises on purpose."""


class DashboardError(Exception):
    """Root of every error the dashboard raises on purpose; its message is one clear line."""


class ServeError(DashboardError, OSError):
    """The server cannot start: its port is taken, or its address is not of this machine."""
