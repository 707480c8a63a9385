"""What a person at a console does is seen on the server before it is done: which image, which disk, where, how long."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from bty_web.models import Attempt
from bty_web.services import attempts
from tests.web.api.programs import Program
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import INVENTORY, MAC, Site

DISK = INVENTORY["disks"][0]


@pytest.fixture(autouse=True)
def _ready(site: Site) -> None:
    add_live_environment(site)
    site.add_image()


def row(site: Site, number: int) -> Attempt:
    with site.session() as session:
        found = attempts.get(session, number)
        session.expunge(found)
        return found


def machine_page(site: Site) -> str:
    site.log_in()
    answer = site.client.get(f"/ui/machines/{site.machine().id}")
    assert answer.status_code == 200
    return " ".join(answer.text.split())


def test_the_page_and_the_api_show_what_a_wizard_is_doing(site: Site) -> None:
    boot = Boot.of(site)
    boot.progress("waiting", console="tty1")
    boot.progress("waiting", image="debian.img")
    boot.progress("queued", disk=DISK)
    boot.progress("writing", disk_bytes=5, total_bytes=10)
    with site.session() as session:
        attempts.get(session, boot.attempt).started_at -= timedelta(minutes=3)
    found = Program.of(site).get(f"/attempts/{boot.attempt}").json
    assert (found["mode"], found["image"], found["image_sha256"]) == (
        "interactive",
        "debian.img",
        "a" * 64,
    )
    assert (found["disk"], found["console"]) == ("/dev/nvme0n1", "tty1")
    assert found["disk_details"] == DISK
    page = machine_page(site)
    assert "<strong>Samsung SSD 980, 512 GB</strong> · serial S5Y1 · /dev/nvme0n1" in page
    assert "at tty1, for 3 min" in page
    assert "debian.img" in page


def test_what_was_said_of_another_disk_is_not_kept(site: Site) -> None:
    boot = Boot.of(site)
    boot.progress("writing", disk=DISK)
    boot.done(disk="/dev/sda")
    assert (row(site, boot.attempt).disk, row(site, boot.attempt).disk_details) == (
        "/dev/sda",
        None,
    )


def test_an_image_that_is_not_from_the_catalog_has_no_digest(site: Site) -> None:
    boot = Boot.of(site)
    boot.progress("waiting", image="debian.img")
    boot.progress("waiting", image="from-a-stick.img")
    assert row(site, boot.attempt).image == "from-a-stick.img"
    assert row(site, boot.attempt).image_sha256 is None


def test_an_unattended_flash_flashes_what_was_assigned_whatever_it_says(site: Site) -> None:
    site.add_machine(image="debian.img", target="largest", boot_policy="flash")
    boot = Boot.of(site)
    boot.progress("queued", image="other.img", disk=DISK)
    assert row(site, boot.attempt).image == "debian.img"
    assert row(site, boot.attempt).disk == "/dev/nvme0n1"


def test_a_wizard_by_hand_says_where_it_is(site: Site) -> None:
    opened = site.client.post(f"/pxe/{MAC}/attempts", json={"console": "ssh from 192.0.2.7"})
    assert opened.status_code == 201
    assert row(site, opened.get_json()["attempt"]).console == "ssh from 192.0.2.7"
    assert "at ssh from 192.0.2.7" in machine_page(site)


@pytest.mark.parametrize(
    ("body", "field"),
    [({"console": "c" * 81}, "console"), ({"console": 5}, "console"), ([], None)],
)
def test_what_cannot_be_opens_nothing(site: Site, body: Any, field: str | None) -> None:
    answer = site.client.post(f"/pxe/{MAC}/attempts", json=body)
    assert (answer.status_code, answer.get_json().get("field") or None) == (422, field)
    assert Program.of(site).get("/attempts").json["total"] == 0


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"image": "i" * 256}, "image"),
        ({"console": "c" * 81}, "console"),
        ({"disk": "/dev/sda"}, "disk"),
        ({"disk": {"path": "/dev/sda"}}, "disk.size_bytes"),
    ],
)
def test_what_is_wrong_in_a_report_is_named(site: Site, values: dict[str, Any], field: str) -> None:
    answer = Boot.of(site).progress("waiting", **values)
    assert (answer.status_code, answer.get_json()["field"]) == (422, field)
