"""The main job, for real: start `bty-web` with an image in its catalog, flash it with `bty`, compare each byte.

As root the target is a loop device, otherwise a regular file. No other disk is touched.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from shlex import join
from typing import Any
from urllib.request import urlopen

import zstandard

from bty_core.errors import BtyError
from bty_core.proc import run
from bty_core.values import MIB, size_text

ROOT = Path(__file__).resolve().parents[1]
IMAGE = "demo.img.zst"
IMAGE_SIZE = 320 * MIB
DISK_SIZE = 384 * MIB
ESP = (1 * MIB, 32 * MIB)  # start, size
ROOTFS = (33 * MIB, 256 * MIB)
CHUNK = 4 * MIB
PATIENCE = 120.0  # seconds for the server to measure the image

TABLE = f"""label: gpt
start={ESP[0] // 512}, size={ESP[1] // 512}, type=uefi, name=esp
start={ROOTFS[0] // 512}, size={ROOTFS[1] // 512}, type=linux, name=root
"""


class DemoFailed(Exception):
    """The demo did not show what it is there to show."""


def say(text: str) -> None:
    """Print one line at once, also into a pipe."""
    print(f"demo: {text}", flush=True)


def make_image(folder: Path) -> Path:
    """Return a disk image with a GPT, an ESP and an ext4 full of files; needs no root."""
    tree = folder / "tree"
    for name in ("etc", "boot", "usr/share/doc"):
        (tree / name).mkdir(parents=True)
    (tree / "etc/os-release").write_text('ID=bty-demo\nPRETTY_NAME="bty demo image"\n')
    (tree / "etc/hostname").write_text("bty-demo\n")
    (tree / "boot/vmlinuz").write_bytes(os.urandom(8 * MIB))  # stands for what does not compress
    for page in ("README.md", "LICENSE"):
        (tree / "usr/share/doc" / page).write_bytes((ROOT / page).read_bytes())
    esp, root, image = folder / "esp", folder / "root", folder / "demo.img"
    for file, size in ((esp, ESP[1]), (root, ROOTFS[1]), (image, IMAGE_SIZE)):
        with file.open("wb") as new:
            new.truncate(size)
    run(["mkfs.vfat", "-n", "ESP", esp], timeout=60)
    run(["mkfs.ext4", "-q", "-F", "-L", "root", "-d", tree, root], timeout=60)
    run(
        ["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", image],
        timeout=60,
        stdin=TABLE.encode(),
    )
    with image.open("r+b") as disk:
        for file, (start, _) in ((esp, ESP), (root, ROOTFS)):
            disk.seek(start)
            with file.open("rb") as part:
                while data := part.read(CHUNK):
                    if data.count(0) == len(data):
                        disk.seek(len(data), os.SEEK_CUR)
                    else:
                        disk.write(data)
            file.unlink()
    return image


def compress(image: Path, into: Path) -> str:
    """Write `image` as zstd; return the SHA-256 of the stored file."""
    with image.open("rb") as source, into.open("wb") as sink:
        zstandard.ZstdCompressor(level=3).copy_stream(source, sink, size=IMAGE_SIZE)
    return hashlib.sha256(into.read_bytes()).hexdigest()


@contextmanager
def target(folder: Path) -> Iterator[tuple[str, Path]]:
    """Give a disk to flash: its selector, and the path to read it back from."""
    backing = folder / "disk"
    if os.geteuid() != 0:
        say("not root, so the target is a regular file; as root it is a loop device")
        yield f"file:{backing}", backing
        return
    with backing.open("wb") as new:
        new.truncate(DISK_SIZE)
    try:
        disk = Path(run(["losetup", "--find", "--show", backing], timeout=30).strip())
    except BtyError as error:
        say(f"no loop device here, so the target is a regular file: {error}")
        yield f"file:{backing}", backing
        return
    try:
        yield str(disk), disk
    finally:
        run(["losetup", "--detach", disk], timeout=30)


def flash(url: str, selector: str, digest: str) -> float:
    """Flash with the `bty` that is installed beside this Python; return the seconds it took."""
    argv = [str(Path(sys.executable).with_name("bty")), "flash", "--image", url]
    argv += ["--target", selector, "--sha256", digest, "--yes"]
    say(f"running: bty {join(argv[1:])}")
    started = time.monotonic()
    try:
        # bty hears an interrupt too and ends within seconds: wait for it to clean up.
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as process:
            try:
                status = process.wait()
            except BaseException:
                process.terminate()
                raise
    except FileNotFoundError:
        raise DemoFailed(f"{argv[0]} is not installed") from None
    if status != 0:
        raise DemoFailed(f"bty flash ended with status {status}")
    return time.monotonic() - started


def compare(image: Path, disk: Path) -> None:
    """Compare each byte of the image with the disk; raise `DemoFailed` where one differs."""
    at = 0
    with image.open("rb") as wanted, disk.open("rb") as there:
        os.posix_fadvise(there.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        while expected := wanted.read(CHUNK):
            found = there.read(len(expected))
            if found != expected:
                pairs = zip(expected, found, strict=False)
                first = next((n for n, (a, b) in enumerate(pairs) if a != b), len(found))
                raise DemoFailed(f"{disk} differs from the image at byte {at + first}")
            at += len(expected)


@contextmanager
def server(state: Path, port: int) -> Iterator[tuple[str, str]]:
    """Run the `bty-web` that is installed beside this Python; give its address and the password of `bty`."""
    program = str(Path(sys.executable).with_name("bty-web"))
    env = {name: value for name, value in os.environ.items() if not name.startswith("BTY_")}
    env["BTY_STATE_DIR"] = str(state)
    log = state.with_name("bty-web.log")
    try:
        with log.open("wb") as talk:
            made = [program, "init"]
            password = subprocess.check_output(made, env=env, stderr=talk, text=True).strip()
            # Should the demo be killed, the kernel ends the server.
            words = ["setpriv", "--pdeathsig", "TERM", program]
            process = subprocess.Popen(
                [*words, "serve", "--bind", f"127.0.0.1:{port}"],
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=talk,
                text=True,
                start_new_session=True,  # Ctrl-C is for us: the server ends when we are done
            )
    except FileNotFoundError as error:
        raise DemoFailed(f"{error.filename} is not installed") from None
    except subprocess.CalledProcessError as error:
        raise DemoFailed(f"bty-web init ended with {error.returncode}: {log.read_text()}") from None
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line.startswith("serving "):
            raise DemoFailed(f"bty-web serve did not start: {log.read_text()}")
        yield line.split()[1].rstrip("/"), password
    finally:
        process.terminate()
        process.communicate()


def measured(address: str) -> dict[str, Any]:
    """Wait until the catalog offers the image with its digest; return what it says of it."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with urlopen(f"{address}/images", timeout=PATIENCE) as answer:
            for image in json.load(answer):
                if image["name"] == IMAGE and image["sha256"]:
                    return dict(image)
        time.sleep(0.2)
    raise DemoFailed(f"the catalog did not offer {IMAGE} within {PATIENCE:g} s")


def demo(folder: Path, *, port: int, once: bool) -> None:
    """Run the demo in `folder`, then serve until interrupted unless `once`."""
    started_by = os.getppid()
    say("making an image: GPT, an EFI system partition, ext4 with files")
    image = make_image(folder)
    digest = compress(image, folder / IMAGE)
    state = folder / "state"
    with server(state, port) as (address, password):
        stored = (folder / IMAGE).stat().st_size
        (folder / IMAGE).replace(state / "images" / IMAGE)
        say(f"bty-web serves {address}/ and measures what lies in its catalog")
        offered = measured(address)
        if offered["sha256"] != digest:
            raise DemoFailed(f"the catalog says {offered['sha256']}, the file is {digest}")
        url = f"{address}/images/{IMAGE}"
        say(f"offered: {url}, {size_text(stored)} stored, {size_text(IMAGE_SIZE)} on the disk")
        with target(folder) as (selector, disk):
            seconds = flash(url, selector, digest)
            compare(image, disk)
            say(f"flashed onto {selector} in {seconds:.1f} s")
            say(f"compared: all {IMAGE_SIZE} bytes of the disk are those of the image")
        say(f"look at {address}/ui (log in as bty, password {password})")
        if once:
            return
        say("serving until Ctrl-C")
        # A server whose session was killed would stay for ever.
        with suppress(KeyboardInterrupt):
            while os.getppid() == started_by:
                time.sleep(0.5)
    say("stopped")


def main(argv: list[str]) -> int:
    """Run the demo; 0 when the disk holds the image."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--once", action="store_true", help="end after the flash")
    parser.add_argument(
        "--port", type=int, default=0, help="where to serve; any free port by default"
    )
    arguments = parser.parse_args(argv)
    # A shell starts background jobs deaf to Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        with tempfile.TemporaryDirectory(prefix="bty-demo-") as folder:
            demo(Path(folder), port=arguments.port, once=arguments.once)
    except (DemoFailed, BtyError) as error:
        say(f"failed: {error}")
        if isinstance(error, BtyError) and error.hint:
            say(error.hint)
        return 1
    except KeyboardInterrupt:
        say("interrupted before the disk was compared")
        return 130
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
