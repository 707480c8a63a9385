"""The processes of `bty-web serve`: who starts, watches and ends whom."""
