"""What agent and server say to each other, as types: `fields` reads JSON, `plan` and `reports` are the messages."""
