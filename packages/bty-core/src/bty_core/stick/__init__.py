"""The stick that carries the live environment, and its partition for images."""
