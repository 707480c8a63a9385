"""Contacts a second, and how long they take, while machines report, download and pages are open.

    sudo .venv/bin/python benchmarks/bench_web.py [--seconds 20]

Starts `bty-web serve` on loopback with two workers on SQLite, with 5,000 machines in its database, and measures
from this process. Two scenes: 500 contacts a second with 50 machines that report; 50 a second with 100 slow
downloads and 50 open event streams. Prints a Markdown table; errors are shown, not hidden.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import multiprocessing
import os
import secrets
import shutil
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.web_load import Tally, at_rate, exchange, forever, get, post, spread
from benchmarks.web_server import Server, memory_mib

from bty_web import database
from bty_web.models import Image, Mac, Machine
from bty_web.models.words import ImageState, Policy
from bty_web.services import keys
from bty_web.services.clock import change_stamp
from bty_web.settings import Bind, Settings

MACHINES = 5000
REPORTERS = 50
POLICIES = tuple(Policy)


def mac_of(number: int) -> str:
    """Return the MAC address of a machine."""
    return f"52:54:01:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"


def prepare(settings: Settings) -> None:
    """Fill the database: a fifth of the machines for each policy, one image, a live environment."""
    database.upgrade(settings)
    keys.load_key(settings.state_dir)
    for folder in (settings.image_root, settings.boot_dir / "1", settings.tftp_root):
        folder.mkdir(parents=True, exist_ok=True)
    now = datetime.now(UTC)
    for name in ("vmlinuz", "initrd"):
        (settings.boot_dir / "1" / name).write_bytes(secrets.token_bytes(8 << 20))
    files = {name: {"sha256": "0" * 64, "size": 8 << 20} for name in ("vmlinuz", "initrd")}
    manifest = {
        "version": "1",
        "kernel": "vmlinuz",
        "initrd": "initrd",
        "cmdline": "",
        "files": files,
    }
    (settings.boot_dir / "manifest.json").write_text(json.dumps(manifest))
    (settings.image_root / "bench.img").write_bytes(secrets.token_bytes(64 << 20))
    engine = database.make_engine(settings)
    with database.working(engine) as session:
        session.add(
            Image(
                name="bench.img",
                state=ImageState.READY,
                size_bytes=64 << 20,
                stamp="bench",
                format="raw",
                virtual_size_bytes=64 << 20,
                sha256="0" * 64,
                warnings=[],
                added_at=now,
            )
        )
        for number in range(MACHINES + REPORTERS):
            mac = mac_of(number)
            machine = Machine(
                mac=mac,
                boot_policy=POLICIES[number % len(POLICIES)] if number < MACHINES else Policy.FLASH,
                image="bench.img",
                target="largest",
                discovered_at=now,
                changed=change_stamp(),
            )
            machine.macs.append(Mac(mac=mac))
            session.add(machine)
    engine.dispose()


async def reporter(port: int, number: int, tally: Tally) -> None:
    """Boot one machine and report its progress every second."""
    mac = mac_of(MACHINES + number)
    _, script = await exchange(port, get(f"/pxe/{mac}"))
    token = script.decode().partition("bty.token=")[2].split()[0]
    sent = itertools.count(1)
    await asyncio.sleep(number / REPORTERS)

    async def once() -> None:
        done = next(sent) << 20
        body = json.dumps({"phase": "writing", "source_bytes": done, "disk_bytes": done}).encode()
        began = time.perf_counter()
        status, answer = await exchange(port, post(f"/pxe/{mac}/progress", token, body))
        tally.seconds.append(time.perf_counter() - began)
        if status != 200:
            tally.errors.append(answer.decode("utf-8", "replace"))

    await forever(1.0, once)


async def contacts(port: int, rate: float, seconds: float) -> Tally:
    """Ask for scripts at a fixed rate, all policies mixed, from a process of its own."""
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, ask_for_scripts, port, rate, seconds)


def ask_for_scripts(port: int, rate: float, seconds: float) -> Tally:
    """Ask for the scripts of all machines in turn, mixed."""
    paths = (f"/pxe/{mac_of(number)}?platform=efi" for number in spread(MACHINES))
    return at_rate(port, rate, seconds, paths, b"#!ipxe")


async def rush(port: int, seconds: float) -> list[tuple[str, Tally]]:
    """500 contacts a second while 50 machines report."""
    reports = Tally()
    reporters = [asyncio.create_task(reporter(port, n, reports)) for n in range(REPORTERS)]
    await asyncio.sleep(8)
    found = await contacts(port, 500, seconds)
    for one in reporters:
        one.cancel()
    await asyncio.gather(*reporters, return_exceptions=True)
    return [("500 contacts/s, 50 reporters", found), ("their reports", reports)]


async def slow_client(port: int, path: str, received: list[int]) -> None:
    """Download `path` at about 1 MiB/s."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(get(path))
    try:
        while data := await reader.read(1 << 16):
            received.append(len(data))
            await asyncio.sleep(1 / 16)
    finally:
        writer.close()


async def stream(port: int, cookie: str, heard: list[int]) -> None:
    """Keep one event stream of a page open."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    head = f"GET /ui/stream HTTP/1.1\r\nHost: 127.0.0.1\r\nCookie: {cookie}\r\n\r\n"
    writer.write(head.encode())
    try:
        while data := await reader.read(1 << 16):
            heard.append(len(data))
    finally:
        writer.close()


async def crowd(port: int, cookie: str, seconds: float) -> list[tuple[str, Tally]]:
    """50 contacts a second while 100 clients download slowly and 50 pages are open."""
    received: list[int] = []
    heard: list[int] = []
    paths = ["/images/bench.img", "/boot/1/vmlinuz"]
    others = [asyncio.create_task(slow_client(port, paths[n % 2], received)) for n in range(100)]
    others += [asyncio.create_task(stream(port, cookie, heard)) for _ in range(50)]
    await asyncio.sleep(2)
    found = await contacts(port, 50, seconds)
    open_still = sum(not one.done() for one in others)
    for one in others:
        one.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    print(
        f"downloads and streams still open at the end: {open_still} of 150; "
        f"{sum(received) >> 20} MiB downloaded, {len(heard)} stream messages",
        file=sys.stderr,
    )
    return [("50 contacts/s, 100 slow downloads, 50 streams", found)]


def main() -> None:
    """Run both scenes and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--scene", choices=["rush", "crowd", "both"], default="both")
    wanted = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="bty-bench-", dir=os.environ.get("TMPDIR")))
    settings = replace(Settings(state_dir=folder / "state"), bind=Bind("127.0.0.1", 0))
    settings.state_dir.mkdir(mode=0o700)
    try:
        prepare(settings)
        with Server(settings) as server:
            rows: list[tuple[str, Tally]] = []
            if wanted.scene != "crowd":
                rows += asyncio.run(rush(server.port, wanted.seconds))
            if wanted.scene != "rush":
                rows += asyncio.run(crowd(server.port, server.cookie(), wanted.seconds))
            print("| scene | requests | errors | median ms | p99 ms | slowest ms |")
            print("|---|---|---|---|---|---|")
            for name, tally in rows:
                print(tally.line(name))
                for error in tally.errors[:3]:
                    print(f"  error: {error}", file=sys.stderr)
            sizes = ", ".join(f"{size:.0f}" for size in memory_mib(server.pid))
            print(f"\nMemory of the processes, MiB: {sizes}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
