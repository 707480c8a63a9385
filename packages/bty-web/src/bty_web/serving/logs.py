"""What the processes of the server write to standard error: sentences, and never a secret."""

from __future__ import annotations

import logging
import re
import sys

# Tokens of attempts, bearer tokens, and whatever else stands where one would stand.
_SECRETS = re.compile(
    r"\bbty_[A-Za-z0-9_-]{20,}|(?<![0-9a-zA-Z])[0-9a-f]{32}(?![0-9a-zA-Z])"
    r"|(?i:(?<=bearer )\S+|(?<=bty\.token=)\S+|(?<=password=)[^&\s]+)"
)
_QUIET = ("alembic", "huey", "urllib3")


class Redacting(logging.Formatter):
    """Lines for a journal, which has times of its own, without tokens."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record, its traceback included."""
        return redacted(super().format(record))


def redacted(text: str) -> str:
    """Return `text` with tokens and passwords taken out."""
    return _SECRETS.sub("[redacted]", text)


def to_stderr() -> logging.Handler:
    """Send what this process logs to standard error; return the handler."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Redacting("bty-web: %(levelname)s: %(message)s"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    return handler
