"""What the server needs on a machine that has started its own system: SSH, a fence, facts, access taken back."""
