"""What the agent says to a server, and what it does when the server is away."""
