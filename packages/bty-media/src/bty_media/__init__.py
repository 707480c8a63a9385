"""The media of bty: USB stick, network boot environment and server appliance, built with mkosi."""

__version__ = "0.1.0"
