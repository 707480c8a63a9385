"""The flash engine of bty: read disks, read images, write one onto the other, verified."""

__version__ = "0.1.0"
