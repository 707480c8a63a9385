"""Image bytes a second over loopback: `bty-web serve` against nginx with sendfile, in turns.

    sudo .venv/bin/python benchmarks/bench_images.py [--rounds 5] [--size 1024]

One image of random bytes in the page cache; 1 and then 16 clients (curl) fetch all of it at once. The contenders take
turns, round after round, and the medians count: compare ratios, not figures, with other machines.
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
from dataclasses import replace
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


@contextmanager
def nginx(folder: Path, images: Path) -> Iterator[int]:
    """Run an nginx of our own on loopback."""
    program = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if program is None:
        raise SystemExit("nginx is not installed: apt install nginx-light")
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
        yield port
    finally:
        process.terminate()
        process.wait(30)


def fetch(port: int, clients: int, size: int) -> float:
    """Let so many clients fetch the whole image at once; return MiB a second of all together."""
    url = f"http://127.0.0.1:{port}/images/bench.img"
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
        raise SystemExit(f"port {port}: {got} bytes came instead of {size} each")
    return clients * size / MIB / seconds


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
        with (
            Server(settings) as server,
            nginx(folder / "nginx", settings.image_root) as other,
        ):
            wait_for_image(server.port, size)
            print("| clients | bty-web MiB/s | nginx MiB/s | bty-web / nginx, median of pairs |")
            print("|---|---|---|---|")
            for clients in CLIENTS:
                pairs = []
                for number in range(wanted.rounds):
                    turn = [server.port, other]
                    figures = {
                        port: fetch(port, clients, size)
                        for port in (turn if number % 2 else reversed(turn))
                    }
                    pairs.append((figures[server.port], figures[other]))
                ours, theirs = (statistics.median(one) for one in zip(*pairs, strict=True))
                ratio = statistics.median(mine / his for mine, his in pairs)
                print(f"| {clients} | {ours:.0f} | {theirs:.0f} | {ratio:.2f} |", flush=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
