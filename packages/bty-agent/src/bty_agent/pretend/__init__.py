"""A machine that is a file: disks and inventory from JSON, writes to scratch files."""
