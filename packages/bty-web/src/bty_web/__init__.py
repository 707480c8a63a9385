"""The server of bty."""

__version__ = "0.1.0"
