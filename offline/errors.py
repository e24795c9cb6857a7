"""Errors that the offline package raises on purpose."""


class OfflineError(Exception):
    """Root of every error the offline package raises on purpose.

    The message is one line that says what is wrong and what to do about it; the command line
    prints it and exits with 2.
    """


class InputError(OfflineError, ValueError):
    """A file given by the user cannot be read as what it should be: video, log, labels, stills."""


class ModelError(OfflineError, ValueError):
    """A model is missing, damaged, or predicts other classes than the caller expects."""


class PolicyError(OfflineError, ValueError):
    """A policy file is malformed, holds an unknown key or a value out of range."""


class StoreError(OfflineError, OSError):
    """The result store cannot be opened, read or written."""


class RuntimeMissingError(OfflineError, ImportError):
    """An optional package is needed for what was asked and is not installed."""
