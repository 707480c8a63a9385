"""This computer: what it is and what it has."""
