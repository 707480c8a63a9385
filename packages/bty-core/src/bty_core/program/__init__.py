"""What the programs of bty have in common at their edges: words in, words out, an exit code."""
