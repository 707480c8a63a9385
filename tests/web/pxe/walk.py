"""A machine as the server sees it: boots, reads its script, reports."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from werkzeug.test import TestResponse

from bty_core.values import MacAddress
from tests.web.site import INVENTORY, MAC, Site

MANIFEST = {
    "version": "1.0",
    "kernel": "vmlinuz",
    "initrd": "initrd.zst",
    "cmdline": "quiet",
    "files": {
        "vmlinuz": {"sha256": "a" * 64, "size": 6},
        "initrd.zst": {"sha256": "b" * 64, "size": 6},
    },
}


def add_live_environment(site: Site) -> None:
    """Let scripts have something to boot."""
    (site.settings.boot_dir / "manifest.json").write_text(json.dumps(MANIFEST))


@dataclass
class Boot:
    """One network boot: what the script said, and the reports of what it started."""

    site: Site
    script: str
    mac: MacAddress
    address: str

    @classmethod
    def of(
        cls, site: Site, mac: MacAddress = MAC, query: str = "", address: str = "127.0.0.1"
    ) -> Boot:
        """Ask for the script."""
        environ = {"REMOTE_ADDR": address}
        return cls(site, site.contact(mac, query, environ_overrides=environ), mac, address)

    @property
    def mode(self) -> str:
        """What the kernel command line says, or "disk" where there is none."""
        found = re.search(r"bty\.mode=(\w+)", self.script)
        return found[1] if found else "disk"

    @property
    def token(self) -> str:
        """The attempt's token."""
        found = re.search(r"bty\.token=([\w-]+)", self.script)
        assert found, self.script
        return found[1]

    @property
    def attempt(self) -> int:
        """The attempt's number."""
        found = re.search(r"bty\.attempt=(\d+)", self.script)
        assert found, self.script
        return int(found[1])

    def post(self, what: str, body: object, token: str | None = None) -> TestResponse:
        """Report something with this boot's token."""
        return self.site.report(
            what,
            token or self.token,
            body,
            self.mac,
            environ_overrides={"REMOTE_ADDR": self.address},
        )

    def plan(self, token: str | None = None) -> TestResponse:
        """Ask for the plan with this boot's token."""
        return self.site.client.get(
            f"/pxe/{self.mac}/plan",
            headers={"Authorization": f"Bearer {token or self.token}"},
            environ_overrides={"REMOTE_ADDR": self.address},
        )

    def inventory(self, **values: Any) -> TestResponse:
        """Report what the machine has."""
        return self.post("inventory", {**INVENTORY, **values})

    def progress(self, phase: str = "writing", **values: Any) -> TestResponse:
        """Report a sign of life."""
        return self.post("progress", {"phase": phase, **values})

    def done(self, **values: Any) -> TestResponse:
        """Report success."""
        body = {"image": "debian.img", "disk": "/dev/nvme0n1", "bytes_written": 10, "seconds": 1.5}
        return self.post("done", {**body, **values})

    def failed(self, **values: Any) -> TestResponse:
        """Report a failure."""
        body = {"code": "write-failed", "message": "the disk refused a write", "hint": "replace it"}
        return self.post("failed", {**body, **values})
