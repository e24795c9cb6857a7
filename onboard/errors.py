"""Errors that the onboard package raises on purpose."""


class OnboardError(Exception):
    """Root of every error the onboard package raises on purpose.

    The message is one line that says what is wrong and what to do about it; the command line
    prints it and exits with 2.
    """


class TripError(OnboardError, ValueError):
    """A folder is not a usable trip: truncated, empty, foreign or written by newer software."""


class SettingsError(OnboardError, ValueError):
    """The configuration file is missing, malformed or holds an unknown key or a bad value."""


class DeviceError(OnboardError, OSError):
    """A camera, an adapter or a disk does not answer as it must."""
