"""What an unattended flash says: on its console, for the other consoles, and in a log that is kept."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from bty_agent.console import Console
from bty_core.errors import NeedsRoot

LINES = "console.log"  # what was said, for the other consoles
LOG = "flash.log"  # all of it, with times
_TAIL = 60_000  # characters that a failure sends along


class Journal:
    """Lines for people, and a log for those who ask why. Secrets are in neither."""

    def __init__(self, console: Console, run_dir: Path, secret: str | None = None) -> None:
        """Begin the two files; raise `NeedsRoot` where they cannot be kept."""
        self._console = console
        self._secret = secret
        self.folder = run_dir
        self._log = run_dir / LOG
        self._lines = run_dir / LINES
        try:
            self._lines.write_text("")
            with self._log.open("a") as log:
                log.write("")
        except OSError as error:
            raise NeedsRoot(
                f"{run_dir} takes no log: {error.strerror}", hint="name another with --run-dir"
            ) from error

    def say(self, text: str, *, indent: int = 5) -> None:
        """Tell people."""
        text = self._clean(text)
        self._console.say(text, indent=indent)
        self._append(self._lines, f"{text}\n")
        self.note(text)

    def note(self, text: str) -> None:
        """Keep something in the log."""
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3]
        told = "".join(f"{now}Z {line}\n" for line in self._clean(text).split("\n"))
        self._append(self._log, told)

    def tail(self) -> str:
        """Return the end of the log."""
        try:
            with self._log.open("rb") as log:
                size = log.seek(0, 2)
                log.seek(max(0, size - _TAIL))
                return log.read().decode("utf-8", "replace")
        except OSError:
            return ""

    def _clean(self, text: str) -> str:
        return text.replace(self._secret, "REDACTED") if self._secret else text

    def _append(self, file: Path, text: str) -> None:
        with suppress(OSError), file.open("a", encoding="utf-8", errors="replace") as opened:
            opened.write(text)
