"""Block devices: what they are, which one is meant, and why one must not be written."""
