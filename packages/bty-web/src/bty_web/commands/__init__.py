"""One subcommand each: read arguments, call the rules, print."""
