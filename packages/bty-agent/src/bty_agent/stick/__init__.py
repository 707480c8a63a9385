"""What the live environment does with the stick that it was started from."""
