"""The live environment by the API."""

from __future__ import annotations

from tests.web.api.programs import Program
from tests.web.pxe.walk import add_live_environment
from tests.web.site import Site


def test_none_one_and_a_broken_one(site: Site) -> None:
    program = Program.of(site)
    assert program.get("/live").json == {"active": None, "message": None, "hint": None}
    add_live_environment(site)
    assert program.get("/live").json == {
        "active": {
            "version": "1.0",
            "kernel": "vmlinuz",
            "initrd": "initrd.zst",
            "cmdline": "quiet",
            "files": [
                {"name": "vmlinuz", "sha256": "a" * 64, "size": 6},
                {"name": "initrd.zst", "sha256": "b" * 64, "size": 6},
            ],
        },
        "message": None,
        "hint": None,
    }
    (site.settings.boot_dir / "manifest.json").write_text("{}")
    broken = program.get("/live").json
    assert broken["active"] is None
    assert broken["message"].startswith("the live environment's manifest.json cannot be used: ")
    assert broken["hint"]
