"""The first steps of whoever installs the server: `bty-web init`, `bty-web serve`, and does it answer?

Started by the Python of an environment that holds bty-core and bty-web, and nothing else of bty.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

PATIENCE = 60.0


def steps(program: str, state: str) -> None:
    """Take the steps; raise where one does not lead on."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("BTY_")}
    env["BTY_STATE_DIR"] = state
    said = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    print(said.stdout.strip())
    made = subprocess.run([program, "init"], env=env, stdout=subprocess.PIPE, text=True, check=True)
    assert len(made.stdout.strip()) >= 12, "init printed no password"
    serve = [program, "serve", "--bind", "127.0.0.1:0"]
    with subprocess.Popen(serve, env=env, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().removeprefix("serving ").strip()
            assert url.startswith("http://127.0.0.1:"), f"serve said {url!r}"
            with urllib.request.urlopen(f"{url}healthz", timeout=PATIENCE) as answer:
                assert json.load(answer) == {"status": "ok"}
            with urllib.request.urlopen(f"{url}pxe/52-54-00-12-34-56", timeout=PATIENCE) as answer:
                assert answer.read().startswith(b"#!ipxe\n")
            started = time.monotonic()
            server.send_signal(signal.SIGTERM)
            assert server.wait(PATIENCE) == 0, "serve did not end well"
            print(f"{url} answered, and the server ended in {time.monotonic() - started:.1f} s")
        finally:
            server.kill()


def main() -> int:
    """Take the steps in a folder that is removed afterwards."""
    with tempfile.TemporaryDirectory(prefix="bty-first-") as folder:
        steps(str(Path(sys.executable).with_name("bty-web")), str(Path(folder) / "state"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
