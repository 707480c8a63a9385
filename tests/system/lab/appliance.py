"""The server appliance as a machine of a lab: started from its image, used over SSH, its API and its pages."""

from __future__ import annotations

import re
import shlex
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pexpect
import requests
from playwright.sync_api import Page, sync_playwright

from bty_core.values import MacAddress
from tests.system.lab.firmware import Firmware
from tests.system.lab.machine import Drive, Machine
from tests.system.lab.media import medium
from tests.system.lab.network import Lan, within
from tests.web.netns import inside

T = TypeVar("T")
MAC = MacAddress.parse("52:54:00:77:00:02")
SIZE = 12 << 30  # bytes; the file has holes
HOST = "bty-server"
_GREETING = re.compile(r"https://(\d+\.\d+\.\d+\.\d+)/")
_STARTS = 900  # seconds that a first start may take in an emulator on a busy computer
_PATIENCE = 240.0
_SSH = [
    *("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null"),
    *("-o", "PubkeyAuthentication=no", "-o", "NumberOfPasswordPrompts=1", "-o", "LogLevel=ERROR"),
]


def disk_of_appliance(path: Path) -> Path:
    """Write the image of the newest build onto a new disk, as `dd` would; return the disk."""
    (image,) = medium("server").glob("*.img.zst")
    words = ["zstd", "--decompress", "--quiet", "--force", str(image), "-o", str(path)]
    subprocess.run(words, check=True, timeout=600)
    with path.open("r+b") as disk:
        disk.truncate(SIZE)
    return path


@dataclass
class Appliance:
    """A server that has started. People sit in the namespace `lan.server`."""

    lan: Lan
    machine: Machine
    address: str
    password: str = "odus"  # of odus
    token: str = field(default="", repr=False)

    @property
    def url(self) -> str:
        """The pages."""
        return f"https://{self.address}"

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request to the port for machines and programs."""
        options.setdefault("timeout", _PATIENCE)
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        url = f"http://{self.address}:8080{path}"
        return self.beside(lambda: requests.request(method, url, headers=headers, **options))

    def api(self, method: str, path: str, **body: Any) -> Any:
        """Use the API, which has to agree, and return its answer."""
        answer = self.ask(method, f"/api/v1{path}", json=body or None)
        assert answer.ok, answer.text
        return answer.json() if answer.content else None

    def beside(self, work: Callable[[], T]) -> T:
        """Run `work` on a computer in the same network."""
        return within(self.lan.server, work)

    def run(self, command: str) -> str:
        """Run `command` as root, over SSH and sudo, and return what it prints; it must succeed."""
        script = f"echo {shlex.quote(self.password)} | sudo -S -p '' sh -c {shlex.quote(command)}"
        told, status = self._ssh("ssh", f"odus@{self.address}", script)
        assert status == 0, f"{command}: {told}"
        return told

    def fetch(self, path: str, into: Path) -> None:
        """Copy a file that odus may read."""
        told, status = self._ssh("scp", f"odus@{self.address}:{path}", str(into))
        assert status == 0, told

    def put(self, file: Path, path: str) -> None:
        """Copy a file to where odus may write."""
        told, status = self._ssh("scp", str(file), f"odus@{self.address}:{path}")
        assert status == 0, told

    def lets_in(self, user: str, password: str) -> bool:
        """Whether SSH lets somebody in."""
        _, status = self._ssh("ssh", f"{user}@{self.address}", "true", password=password)
        return status == 0

    def certificate(self) -> str:
        """Return the certificate of the pages, which has to fit name and key."""
        found = self.beside(lambda: ssl.get_server_certificate((self.address, 443), timeout=60))
        context = ssl.create_default_context(cadata=found)

        def shake() -> None:
            with (
                socket.create_connection((self.address, 443), 60) as line,
                context.wrap_socket(line, server_hostname=HOST),
            ):
                pass

        self.beside(shake)
        return found

    def visit(self, work: Callable[[Page], T]) -> T:
        """Do `work` with a page of Chromium on a computer in the same network."""

        def look() -> T:
            with sync_playwright() as playwright:
                chromium = playwright.chromium.launch(
                    executable_path=shutil.which("chromium"), args=["--no-sandbox"]
                )
                try:
                    context = chromium.new_context(
                        ignore_https_errors=True, base_url=self.url, locale="en"
                    )
                    context.set_default_timeout(_PATIENCE * 1000)
                    return work(context.new_page())
                finally:
                    chromium.close()

        return self.beside(look)

    def _ssh(self, program: str, *words: str, password: str | None = None) -> tuple[str, int]:
        argv = inside(self.lan.server, program, *_SSH, *words)
        child = pexpect.spawn(argv[0], argv[1:], timeout=_PATIENCE, encoding="utf-8")
        try:
            if child.expect(["assword: ?", pexpect.EOF]) == 0:
                child.sendline(self.password if password is None else password)
                child.expect(pexpect.EOF)
            told = str(child.before)
        finally:
            child.close()
        return told.replace("\r\n", "\n").strip(), child.exitstatus or 0


def log_in(page: Page, name: str, password: str) -> bool:
    """Log in on the page; return whether that worked."""
    page.goto("/ui/login")
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()
    out = page.get_by_role("button", name="Log out")
    out.or_(page.get_by_role("alert")).first.wait_for()
    return bool(out.is_visible())


@contextmanager
def appliance(lan: Lan, disk: Path, firmware: Firmware = Firmware.BIOS) -> Iterator[Appliance]:
    """Start an appliance on a network, and return when its pages answer."""
    machine = Machine(
        disk.stem,
        disk.parent,
        firmware,
        [Drive(disk, "SERVER")],
        lan=lan,
        mac=MAC,
        memory=2048,
        network_first=False,
    )
    with machine:
        machine.wait(_GREETING.pattern, _STARTS)
        found = _GREETING.findall(machine.said)
        made = Appliance(lan, machine, found[-1])
        end = time.monotonic() + _STARTS
        while True:
            try:
                if made.ask("GET", "/healthz", timeout=20).ok and made.certificate():
                    break
            except (OSError, requests.RequestException):
                assert time.monotonic() < end, machine.said[-2000:]
                time.sleep(2)
        yield made
