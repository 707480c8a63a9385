"""The real `bty-web serve` in the namespace of a lab's server, and its proxy-DHCP."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from bty_core.values import MacAddress
from bty_web.dhcp.dnsmasq import render
from bty_web.dhcp.values import ProxyDhcp
from tests.system.lab.network import SERVER, SUBNET, Lan, copy_ipxe, within
from tests.web.netns import inside
from tests.web.serving.server import descendants

PORT = 8080
URL = f"http://{SERVER}:{PORT}"
PATIENCE = 60.0
# On a busy computer the emulator's timer may be late for a check of the kernel, which panics then.
EMULATED = "no_timer_check"


@dataclass
class LabServer:
    """A server that machines can boot from. `state` is its folder, and outlives a restart."""

    lan: Lan
    state: Path
    token: str = ""
    password: str = ""  # of operator
    process: subprocess.Popen[bytes] | None = None
    log: Path = field(init=False)

    def __post_init__(self) -> None:
        self.log = self.lan.folder / "bty-web.log"

    def start(self) -> None:
        """Serve, and return when it answers."""
        words = ["serve", "--bind", f"{SERVER}:{PORT}", "--workers", "1"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                inside(self.lan.server, sys.executable, "-m", "bty_web", *words),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
            )
        end = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < end, self.log.read_text()
            try:
                if self.get("/healthz").ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.1)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """End it, and all that it has started."""
        if self.process is None:
            return
        family = descendants(self.process.pid)
        self.process.send_signal(how)
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(20)
        for pid in family:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process = None

    def command(self, *words: str) -> str:
        """Run a command of ``bty-web`` on its state; return what it printed."""
        argv = inside(self.lan.server, sys.executable, "-m", "bty_web", *words)
        ran = subprocess.run(
            argv, capture_output=True, text=True, env=self._environment(), timeout=PATIENCE
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request as an operator with all rights."""
        options.setdefault("timeout", PATIENCE)
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        url = f"{URL}{path}"
        return within(
            self.lan.server, lambda: requests.request(method, url, headers=headers, **options)
        )

    def get(self, path: str) -> requests.Response:
        """Ask for a page."""
        return self.ask("GET", path)

    def api(self, method: str, path: str, **body: Any) -> Any:
        """Use the API, which has to agree, and return its answer."""
        answer = self.ask(method, f"/api/v1{path}", json=body or None)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def add_image(self, path: Path, name: str | None = None) -> str:
        """Upload an image, wait until it is measured, and return its name."""
        name = name or path.name
        with path.open("rb") as content:
            answer = self.ask("PUT", f"/api/v1/images/{name}", data=content, timeout=600)
        assert answer.ok, answer.text
        end = time.monotonic() + 300
        while True:
            found = [one for one in self.get("/images").json() if one["name"] == name]
            if found and found[0]["sha256"]:
                return name
            assert time.monotonic() < end, f"{name} was not measured"
            time.sleep(0.3)

    def install_live(self, folder: Path) -> None:
        """Upload the live environment that lies in `folder` with its manifest."""
        manifest = json.loads((folder / "manifest.json").read_text())
        manifest["cmdline"] += f" {EMULATED}"
        text = json.dumps(manifest).encode()
        tar = self.lan.folder / "live.tar"
        with tarfile.open(tar, "w") as archive:
            described = tarfile.TarInfo("manifest.json")
            described.size = len(text)
            archive.addfile(described, io.BytesIO(text))
            for name in manifest["files"]:
                archive.add(folder / name, arcname=name)
        with tar.open("rb") as content:
            answer = self.ask("PUT", "/api/v1/live", data=content, timeout=600)
        tar.unlink()
        assert answer.ok, answer.text

    def machine(self, mac: MacAddress) -> dict[str, Any]:
        """Return what it knows of a machine."""
        found = self.api("GET", f"/machines/{mac}")
        assert isinstance(found, dict)
        return found

    def assign(self, mac: MacAddress, **values: Any) -> None:
        """Make or change a machine."""
        self.api("PUT" if self._unknown(mac) else "PATCH", f"/machines/{mac}", **values)

    def attempts(self, mac: MacAddress) -> list[dict[str, Any]]:
        """Return the attempts of a machine, the newest first."""
        found: list[dict[str, Any]] = self.api("GET", f"/attempts?mac={mac}")["items"]
        return found

    def _unknown(self, mac: MacAddress) -> bool:
        return self.ask("GET", f"/api/v1/machines/{mac}").status_code == 404

    def _environment(self) -> dict[str, str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("BTY_")}
        return {**env, "BTY_STATE_DIR": str(self.state), "PYTHONUNBUFFERED": "1"}


@contextmanager
def lab_server(lan: Lan) -> Iterator[LabServer]:
    """Run a server with proxy-DHCP and iPXE's programs, and an administrator's token."""
    server = LabServer(lan, lan.folder / "state")
    server.password = server.command("init", "--user", "operator").split()[-1]
    server.token = server.command("token", "lab", "--scope", "admin").split()[-1]
    tftp = server.state / "tftp"
    copy_ipxe(tftp)
    try:
        server.start()
        start_proxy(lan, tftp)
        yield server
    finally:
        server.stop()


def start_proxy(lan: Lan, tftp: Path) -> Path:
    """Start dnsmasq as proxy-DHCP with the configuration that the server's page makes; return its log."""
    values = ProxyDhcp.parse(
        {
            "interface": "eth0",
            "subnet": str(SUBNET),
            "server": str(SERVER),
            "url": URL,
            "tftp_root": str(tftp),
        }
    )
    file = lan.folder / "proxy.conf"
    file.write_text(f"{render(values)}user=root\n")
    words = ["dnsmasq", "--no-daemon", "--log-facility=-", f"--conf-file={file}"]
    return lan.start(lan.server, *words, until="started")
