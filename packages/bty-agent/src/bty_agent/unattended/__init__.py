"""``bty-flash-on-boot``: a machine flashes itself, tells its server, and reboots."""
