"""Writing a stick: the live environment, the partition for images, and images on it."""
