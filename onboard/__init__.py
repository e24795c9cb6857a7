"""What runs in the vehicle: trip recording, the trip format and the signal vocabulary."""

__version__ = "0.1.0"
