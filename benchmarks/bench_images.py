"""Image bytes a second over loopback: `bty-web serve` against nginx with sendfile, in turns.

    sudo .venv/bin/python benchmarks/bench_images.py [--rounds 5] [--size 1024]

One image of random bytes in the page cache; 1 and then 16 clients (curl) fetch all of it at once. The contenders take
turns, round after round, and the medians count: compare ratios, not figures, with other machines. On a machine with few
cores the clients take most of them; what a server's own processes computed for each GiB tells more than the clock.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.web_server import Server

from bty_web.settings import Bind, Settings

MIB = 1 << 20
CLIENTS = (1, 16)

NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
worker_processes 2;
events {{ worker_connections 256; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; location /images/ {{ alias {images}/; }} }}
}}
"""


@dataclass(frozen=True)
class Contender:
    """A server: where it listens, and its first process."""

    port: int
    pid: int

    def cpu(self) -> float:
        """Return the seconds that its processes have computed."""
        ticks, waiting = 0, [self.pid]
        while waiting:
            task = Path(f"/proc/{waiting.pop()}")
            ticks += sum(map(int, (task / "stat").read_text().rpartition(")")[2].split()[11:13]))
            for thread in (task / "task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
        return ticks / os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Turn:
    """What one contender did once: MiB a second, and CPU seconds for each GiB."""

    speed: float
    cpu: float


@contextmanager
def nginx(program: str | None, folder: Path, images: Path) -> Iterator[Contender | None]:
    """Run an nginx of our own on loopback, if there is one."""
    if program is None:
        yield None
        return
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    folder.mkdir()
    config = folder / "nginx.conf"
    text = NGINX.format(folder=folder, port=port, images=images)
    config.write_text(("user root;\n" if os.geteuid() == 0 else "") + text)
    process = subprocess.Popen([program, "-p", str(folder), "-c", str(config)])
    try:
        for _ in range(100):
            with socket.socket() as one:
                if one.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield Contender(port, process.pid)
    finally:
        process.terminate()
        process.wait(30)


def fetch(server: Contender, clients: int, size: int) -> Turn:
    """Let so many clients fetch the whole image at once; return what the server did."""
    url = f"http://127.0.0.1:{server.port}/images/bench.img"
    computed = server.cpu()
    began = time.perf_counter()
    running = [
        subprocess.Popen(
            ["curl", "-s", "-o", "/dev/null", "-w", "%{size_download}", url],
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(clients)
    ]
    got = [int(one.communicate()[0] or 0) for one in running]
    seconds = time.perf_counter() - began
    if got != [size] * clients:
        raise SystemExit(f"port {server.port}: {got} bytes came instead of {size} each")
    mib = clients * size / MIB
    return Turn(mib / seconds, (server.cpu() - computed) / mib * 1024)


def row(clients: int, pairs: list[tuple[Turn, Turn | None]]) -> str:
    """Return the line of a table: medians, and the median of the ratios of each pair."""
    cells = [str(clients)]
    for turns in zip(*pairs, strict=True):
        done = [one for one in turns if one]
        speed = statistics.median(one.speed for one in done) if done else None
        cpu = statistics.median(one.cpu for one in done) if done else None
        cells += ["-", "-"] if speed is None else [f"{speed:.0f}", f"{cpu:.3f}"]
    ratios = [mine.speed / his.speed for mine, his in pairs if his]
    cells.append(f"{statistics.median(ratios):.2f}" if ratios else "-")
    return f"| {' | '.join(cells)} |"


def wait_for_image(port: int, size: int) -> None:
    """Wait until the server offers the image, measured."""
    for _ in range(300):
        said = subprocess.run(
            ["curl", "-s", f"http://127.0.0.1:{port}/images"], capture_output=True, text=True
        ).stdout
        if f'"virtual_size_bytes":{size}' in said:
            return
        time.sleep(0.2)
    raise SystemExit("the server did not measure the image")


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=1024, help="MiB of the image")
    wanted = parser.parse_args()
    size = wanted.size * MIB
    folder = Path(tempfile.mkdtemp(prefix="bty-bench-"))
    settings = replace(Settings(state_dir=folder / "state"), bind=Bind("127.0.0.1", 0))
    settings.image_root.mkdir(parents=True)
    settings.state_dir.chmod(0o700)
    try:
        image = settings.image_root / "bench.img"
        block = secrets.token_bytes(MIB)
        with image.open("wb") as file:
            for _ in range(wanted.size):
                file.write(block)
        folder.chmod(0o755)
        program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        if program is None:
            print("nginx is not installed, so bty-web is measured alone: apt install nginx-light\n")
        with (
            Server(settings) as server,
            nginx(program, folder / "nginx", settings.image_root) as other,
        ):
            bty = Contender(server.port, server.pid)
            wait_for_image(server.port, size)
            print(f"{wanted.rounds} rounds, {wanted.size} MiB, {os.cpu_count()} cores\n")
            print(
                "| clients | bty-web MiB/s | CPU s/GiB | nginx MiB/s | CPU s/GiB"
                " | bty-web / nginx, median of pairs |"
            )
            print("|---|---|---|---|---|---|")
            for clients in CLIENTS:
                pairs: list[tuple[Turn, Turn | None]] = []
                for number in range(wanted.rounds):
                    done = {}
                    for one in (bty, other) if number % 2 else (other, bty):
                        if one is not None:
                            done[one] = fetch(one, clients, size)
                    pairs.append((done[bty], done[other] if other else None))
                print(row(clients, pairs), flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
