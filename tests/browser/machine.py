"""A machine that boots from the network: it reads its script and reports by HTTP, as the live environment does."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import requests

MIB = 2**20
PATIENCE = 30.0
INVENTORY: dict[str, Any] = {
    "disks": [
        {
            "path": "/dev/nvme0n1",
            "size_bytes": 512_110_190_592,
            "serial": "S5Y1NX0R400123",
            "wwn": "eui.0025388b400123",
            "model": "Samsung SSD 980 PRO 500GB",
            "transport": "nvme",
            "removable": False,
        },
        {
            "path": "/dev/sda",
            "size_bytes": 4_000_787_030_016,
            "serial": "ZW60AB12",
            "wwn": None,
            "model": "ST4000NM000A",
            "transport": "sata",
            "removable": False,
        },
    ],
    "cpu": "AMD EPYC 4344P 8-Core Processor",
    "memory_bytes": 64 * 2**30,
    "firmware": "uefi",
    "vendor": "Supermicro",
    "product": "AS-1015A-MT",
}


@dataclass
class Machine:
    """One machine at a server, known by its MAC address."""

    server: str
    mac: str
    token: str = field(default="", repr=False)

    def boot(self, **said: str) -> str:
        """Ask for the script, and keep the token that it hands over."""
        query = {"platform": "efi", **said}
        address = f"{self.server}/pxe/{self.mac.replace(':', '-')}"
        script = requests.get(address, params=query, timeout=PATIENCE).text
        assert script.startswith("#!ipxe\n"), script
        found = re.search(r"bty\.token=([\w-]+)", script)
        self.token = found[1] if found else ""
        return script

    @property
    def _headers(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.token}"}

    def plan(self) -> dict[str, Any]:
        """Ask what to do."""
        address = f"{self.server}/pxe/{self.mac}/plan"
        answer = requests.get(address, headers=self._headers, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def report(self, what: str, **body: Any) -> dict[str, Any]:
        """Say something."""
        address = f"{self.server}/pxe/{self.mac}/{what}"
        answer = requests.post(address, json=body, headers=self._headers, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def inventory(self, **other: Any) -> None:
        """Say what is in it."""
        nics = [{"name": "eno1", "mac": self.mac}]
        self.report("inventory", **{**INVENTORY, "nics": nics, **other})

    def progress(self, phase: str, disk_bytes: int, total_bytes: int, **more: Any) -> bool:
        """Give a sign of life; return whether it shall stop."""
        body = {"phase": phase, "disk_bytes": disk_bytes, "total_bytes": total_bytes, **more}
        return bool(self.report("progress", source_bytes=disk_bytes // 3, **body).get("cancel"))

    def done(self, image: str, **other: Any) -> None:
        """Say that it is done."""
        body = {"disk": "/dev/nvme0n1", "bytes_written": 3 * MIB, "seconds": 4.2, **other}
        self.report("done", image=image, **body)

    def failed(self, **body: Any) -> None:
        """Say that it failed."""
        self.report("failed", **body)
