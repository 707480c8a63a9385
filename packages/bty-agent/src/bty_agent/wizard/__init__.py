"""The wizard: a person at a console puts an image onto a disk."""
