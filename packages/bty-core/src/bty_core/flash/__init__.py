"""Writing an image onto a disk."""
