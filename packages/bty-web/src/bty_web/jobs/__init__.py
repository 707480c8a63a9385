"""Background work: what takes longer than a request, and what the clock asks for."""
