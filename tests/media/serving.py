"""A real `bty-web serve`, on SQLite, with tokens."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Served:
    """A server that answers."""

    url: str
    state: Path
    env: dict[str, str]

    @property
    def boot(self) -> Path:
        """Where its live environments are."""
        return self.state / "boot"

    def token(self, scope: str = "admin") -> str:
        """Return a new token."""
        return _said(self.env, "token", f"for {scope}", "--scope", scope).strip()


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    """Run a server until the block is left."""
    state = folder / "state"
    env = {name: value for name, value in os.environ.items() if not name.startswith("BTY_")}
    env["BTY_STATE_DIR"] = str(state)
    _said(env, "init")
    serve = [sys.executable, "-m", "bty_web", "serve", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(
        serve, env=env, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            yield Served(line.removeprefix("serving ").strip().rstrip("/"), state, env)
        finally:
            process.terminate()
            process.wait(timeout=60)


def _said(env: dict[str, str], *words: str) -> str:
    argv = [sys.executable, "-m", "bty_web", *words]
    ran = subprocess.run(argv, env=env, stdout=subprocess.PIPE, text=True, check=True)
    return ran.stdout
