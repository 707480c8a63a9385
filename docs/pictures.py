"""Pictures of a flash, from a real one: `nox -s pictures` makes docs/pictures/*.svg again.

A small image is served over HTTP, slowly enough for its bar to be seen, and flashed onto a regular file by `bty` on a
pseudo terminal of 80x24. Three screens are kept: the plan and its question, the moving bar, the last lines.
"""

from __future__ import annotations

import hashlib
import os
import pty
import re
import select
import signal
import struct
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from fcntl import ioctl
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from bty_core.values import MIB
from tests.fakes.images import disk_image, zstd
from tests.fakes.server import Fault, ImageServer

HERE = Path(__file__).resolve().parent
COLUMNS, ROWS = 80, 24
PROMPT = "\x1b[32m$\x1b[0m "
IMAGE, DISK = "debian-13.img.zst", "disk.img"
SIZE = 256 * MIB
PATIENCE = 60.0  # seconds


def main() -> int:
    """Flash, and write the pictures."""
    with tempfile.TemporaryDirectory(prefix="bty-") as folder:
        os.chdir(folder)
        data = zstd(disk_image(Path("image"), SIZE).read_bytes(), "-1", f"--stream-size={SIZE}")
        digest = f"{hashlib.sha256(data).hexdigest()}  {IMAGE}\n".encode()
        with ImageServer(
            data, name=IMAGE, files={f"{IMAGE}.sha256": digest}, then=Fault(pause=0.02)
        ) as server:
            plan, bar, end = screens(server.url)
    for name, screen in (("plan", plan), ("bar", bar), ("done", end)):
        draw(screen, HERE / "pictures" / f"{name}.svg")
    return 0


def screens(url: str) -> tuple[str, str, str]:
    """Return what the terminal shows at the question, in the middle and at the end."""
    typed = f"bty flash --image {url} --target file:{DISK}"
    process, terminal = pty.fork()
    if process == 0:
        os.environ |= {"TERM": "xterm", "LC_ALL": "C.UTF-8"}
        os.execv(sys.executable, [sys.executable, "-m", "bty_agent", *typed.split()[1:]])
    try:
        ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        shown = f"{PROMPT}{typed}\n"
        shown = until(terminal, shown, lambda text: "[y/N] " in text)
        plan = shown
        os.write(terminal, b"y\n")
        shown = until(terminal, shown, lambda text: re.search(r" 2\d%.*bound", plain(text)))
        bar = shown
        return plan, bar, until(terminal, shown, lambda _: False)
    finally:
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        os.close(terminal)


def until(terminal: int, shown: str, ready: Callable[[str], object]) -> str:
    """Read until what is shown is `ready`, or the program has ended."""
    deadline = time.monotonic() + PATIENCE
    while not ready(shown):
        if time.monotonic() > deadline:
            raise TimeoutError(plain(shown))
        if not select.select([terminal], [], [], 1.0)[0]:
            continue
        try:
            data = os.read(terminal, 65536)
        except OSError:  # the other end is closed
            break
        shown += data.decode(errors="replace").replace("\r\n", "\n")
    return shown


def plain(text: str) -> str:
    """Return the text without escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text)


def draw(shown: str, into: Path) -> None:
    """Write what a terminal shows after these characters as a picture."""
    lines = [""]
    # The bar goes back to the start of its line, and up by one when there are two.
    for token in re.findall(r"\x1b\[[0-9;?]*[a-zA-Z]|\n|\r|[^\x1b\n\r]+", shown):
        if token == "\n":
            lines.append("")
        elif token == "\r" or token.endswith("K"):
            lines[-1] = ""
        elif token.endswith("A") and token.startswith("\x1b["):
            lines = lines[: -int(token[2:-1] or 1)]
        elif token.endswith("m") or not token.startswith("\x1b"):
            lines[-1] += token
    console = Console(
        record=True,
        width=COLUMNS,
        force_terminal=True,
        color_system="standard",
        file=StringIO(),
    )
    for line in lines[-ROWS:]:
        console.print(Text.from_ansi(line), overflow="fold")
    into.parent.mkdir(exist_ok=True)
    picture = console.export_svg(title="bty", theme=MONOKAI, unique_id=f"bty-{into.stem}")
    # Fonts of the reader's machine: a picture fetches nothing.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    into.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n")


if __name__ == "__main__":
    raise SystemExit(main())
