"""The server of bty. `bty_web.app.create_app` puts it together."""

__version__ = "0.1.0"
