"""The page of one machine."""

from __future__ import annotations

from datetime import timedelta

import pytest
from bs4 import BeautifulSoup

from bty_core.wire.reports import InventoryReport
from bty_web.models import Attempt
from bty_web.models.words import AttemptMode, Policy, State, Trigger
from bty_web.services import machines
from bty_web.services.clock import now
from tests.web.site import INVENTORY, MAC, OPERATOR, Site
from tests.web.ui.forms import words
from tests.web.ui.pages import Browser, said


@pytest.fixture
def machine(browser: Browser) -> int:
    """A machine that has shown its disks."""
    site = browser.site
    site.add_image("debian.img")
    number = site.add_machine(name="bench")
    with site.session() as session:
        machines.take_inventory(
            session,
            machines.get(session, MAC),
            InventoryReport.from_wire(INVENTORY),
            by=OPERATOR,
            now=now(),
        )
    return number


def attempt(site: Site, number: int, state: State, **values: object) -> int:
    fields = {
        "machine_id": number,
        "revision": site.machine().revision,
        "state": state,
        "mode": AttemptMode.AUTO,
        "trigger": Trigger.POLICY,
        "nonce": "0" * 16,
        "started_at": now(),
        "heard_at": now(),
        **values,
    }
    with site.session() as session:
        one = Attempt(**fields)
        session.add(one)
        session.flush()
        machines.get(session, MAC).attempt_id = one.id
        return one.id


def gets(browser: Browser, number: int) -> list[str]:
    page = browser.get(f"/ui/machines/{number}/now")
    return [words(one) for one in page.select("section:first-of-type :is(h2, p), .alert")]


def test_a_mac_address_leads_to_the_machine(browser: Browser, machine: int) -> None:
    answer = browser.site.client.get("/ui/machine/52-54-00-12-34-56")
    assert answer.headers["Location"] == f"/ui/machines/{machine}"
    browser.get("/ui/machine/nonsense", status=404)
    browser.get("/ui/machines/999", status=404)


def test_it_shows_what_the_machine_is(browser: Browser, machine: int) -> None:
    page = browser.get(f"/ui/machines/{machine}")
    inventory = page.select_one("[aria-labelledby=inventory-title]")
    assert inventory is not None
    assert words(inventory).startswith(
        "Inventory CPU Test CPU Memory 16.0 GiB Firmware uefi Disks Samsung SSD 980 , 512 GB "
        "/dev/nvme0n1 · nvme · serial S5Y1 Stick , 32.0 GB /dev/sda · usb · serial USB1 · removable "
        "Network interfaces eno1 52:54:00:12:34:56 As the live environment saw it"
    )


def test_a_disk_is_assigned_by_its_serial(browser: Browser, machine: int) -> None:
    page = browser.get(f"/ui/machines/{machine}")
    disks = [one["value"] for one in page.select("input[name=disk]")]
    assert disks == ["serial:S5Y1", "serial:USB1", ""]
    action = f"/ui/machines/{machine}/assignment"
    kept = browser.sent(
        page, action, image="debian.img", disk="serial:S5Y1", boot_policy="flash-once"
    )
    assert said(kept) == ["It is kept."]
    found = browser.site.machine()
    assert (found.image, found.target, found.boot_policy) == (
        "debian.img",
        "serial:S5Y1",
        Policy.FLASH_ONCE,
    )
    chosen = [one["value"] for one in kept.select("input[type=radio][checked]")]
    assert chosen == ["serial:S5Y1", "flash-once", "none"]
    assert gets(browser, machine)[:2] == [
        "A network boot now gets an unattended flash",
        "because its boot policy is flash-once.",
    ]


def test_options_are_boxes_to_check(browser: Browser, machine: int) -> None:
    action = f"/ui/machines/{machine}/assignment"

    def checked() -> list[str]:
        boxes = browser.get(f"/ui/machines/{machine}").select("input[type=checkbox][checked]")
        return [str(one["name"]) for one in boxes]

    assert checked() == ["verify"]
    page = browser.get(f"/ui/machines/{machine}")
    assert "the boot order is never changed" in words(page)
    browser.sent(page, action, verify="no", uefi_entry="yes")
    assert checked() == ["uefi_entry"]
    found = browser.site.machine()
    assert (found.verify, found.fix_gpt, found.uefi_entry) == (False, False, True)
    # A form that knows nothing of them changes nothing of them.
    known = {"image": "debian.img", "provisioning_mode": "none", "boot_policy": "tui"}
    token = page.select("[name=csrf_token]")[0]["value"]
    sent = {**known, "local_boot": "auto", "csrf_token": token}
    assert browser.site.client.post(action, data=sent).status_code == 302
    assert checked() == ["uefi_entry"]
    assert browser.site.machine().image == "debian.img"
    # Looking at a disk keeps what was checked, and keeps it nowhere else.
    looked = browser.send(
        browser.get(f"/ui/machines/{machine}"), action, "preview=yes", verify="yes"
    )
    boxes = BeautifulSoup(looked.data, "html.parser").select("input[type=checkbox][checked]")
    assert [one["name"] for one in boxes] == ["verify", "uefi_entry"]
    assert browser.site.machine().verify is False
    wrong = browser.send(browser.get(f"/ui/machines/{machine}"), action, verify="perhaps")
    assert wrong.status_code == 422


@pytest.mark.parametrize(
    ("selector", "told"),
    [
        ("only", "matches /dev/nvme0n1 (Samsung SSD 980, serial S5Y1, 512 GB)"),
        ("transport:usb", "matches /dev/sda (Stick, serial USB1, 32.0 GB)"),
        ("by-path:pci-0", "not known only the machine itself can tell: it decides when it boots"),
        ("", "Without a target it cannot be flashed."),
    ],
)
def test_a_selector_says_what_it_matches_before_it_is_kept(
    browser: Browser, machine: int, selector: str, told: str
) -> None:
    page = browser.get(f"/ui/machines/{machine}")
    answer = browser.send(
        page, f"/ui/machines/{machine}/assignment", button="preview=yes", disk="", target=selector
    )
    assert answer.status_code == 200
    shown = BeautifulSoup(answer.data, "html.parser")
    assert words(shown.select("#target-preview")[0]) == told
    fragment = browser.site.client.get(
        f"/ui/machines/{machine}/target", query_string={"disk": "", "target": selector}
    )
    assert words(BeautifulSoup(fragment.data, "html.parser")) == told
    assert browser.site.machine().target is None


def test_a_selector_without_a_match_lists_the_candidates(browser: Browser, machine: int) -> None:
    shown = browser.get(f"/ui/machines/{machine}/target?target=serial:NONE")
    assert "/dev/nvme0n1 (Samsung SSD 980, serial S5Y1, 512 GB)" in words(shown)


def test_what_cannot_be_is_said_and_the_form_keeps_it(browser: Browser, machine: int) -> None:
    page = browser.get(f"/ui/machines/{machine}")
    action = f"/ui/machines/{machine}/assignment"
    answer = browser.send(
        page, action, image="gone.img", disk="", target="size>=1G", local_boot="x"
    )
    assert answer.status_code == 422
    shown = BeautifulSoup(answer.data, "html.parser")
    assert said(shown)[0] == "there is no image 'gone.img' in the catalog upload it first"
    assert shown.select("input[name=target]")[0]["value"] == "size>=1G"
    assert browser.site.machine().target is None
    refused = browser.send(page, action, provisioning_mode="cijoe", workflow="gone")
    assert refused.status_code == 422
    kept = BeautifulSoup(refused.data, "html.parser")
    assert kept.select("input[name=provisioning_mode][checked]")[0]["value"] == "cijoe"
    assert kept.select("select[name=workflow] option[selected]")[0]["value"] == "gone"


def test_an_image_that_is_gone_stays_chosen_and_is_an_obstacle(
    browser: Browser, machine: int
) -> None:
    site = browser.site
    site.add_image("old.img")
    with site.session() as session:
        found = machines.get(session, MAC)
        found.image, found.target, found.boot_policy = "vanished.img", "only", Policy.FLASH
    page = browser.get(f"/ui/machines/{machine}")
    chosen = page.select("#image option[selected]")
    assert [words(one) for one in chosen] == ["vanished.img (no longer in the catalog)"]
    shown = gets(browser, machine)
    assert shown[:2] == [
        "A network boot now gets the wizard",
        "because the image vanished.img is no longer in the catalog.",
    ]
    assert (
        "It cannot be flashed as it is assigned: the image vanished.img is no longer in the catalog."
    ) in shown


def test_reflash_asks_and_can_be_taken_back(browser: Browser, machine: int) -> None:
    with browser.site.session() as session:
        found = machines.get(session, MAC)
        found.image, found.target = "debian.img", "serial:S5Y1"
    where = f"/ui/machines/{machine}/reflash"
    asked = browser.get(where)
    assert [words(one) for one in asked.select("main h1, main form p")] == [
        "Flash bench?",
        "At its next network boot debian.img is written to the disk that 'serial:S5Y1' means.",
        "Everything that is on that disk is lost. Its boot policy stays as it is.",
    ]
    asked.select("main form")[0]["action"] = where
    shown = browser.sent(asked, where)
    assert said(shown) == ["It will be flashed at its next network boot."]
    assert gets(browser, machine)[1] == "because an operator asked for a reflash."
    browser.sent(shown, f"{where}/off")
    assert browser.site.machine().reflash_armed_at is None


def test_a_reflash_is_not_offered_where_nothing_can_be_flashed(
    browser: Browser, machine: int
) -> None:
    where = f"/ui/machines/{machine}/reflash"
    page = browser.get(f"/ui/machines/{machine}")
    assert not page.select("#reflash")
    assert words(page.select_one("#no-reflash")) == "It cannot be reflashed: no image is assigned."
    asked = browser.get(where)
    assert words(asked.select_one("h1")) == "bench cannot be flashed"
    assert "no image is assigned. Change the assignment first." in words(asked.find("main"))
    assert not asked.select("main button")
    asked.select("main form")[0]["action"] = where
    assert browser.send(asked, where).status_code == 409
    assert browser.site.machine().reflash_armed_at is None
    with browser.site.session() as session:
        found = machines.get(session, MAC)
        found.image, found.target = "debian.img", "only"
    assert browser.get(f"/ui/machines/{machine}/now").select("#reflash")


@pytest.mark.parametrize("state", [State.RUNNING, State.VERIFYING, State.PROVISIONING])
def test_a_running_attempt_is_the_headline_and_the_assignment_comes_next(
    browser: Browser, machine: int, state: State
) -> None:
    attempt(browser.site, machine, state, image="debian.img", phase="writing")
    page = browser.get(f"/ui/machines/{machine}")
    titles = [words(one) for one in page.select("main h2")]
    number = browser.site.machine().attempt_id
    assert titles == [
        f"Attempt {number}: writing debian.img",
        "Assignment",
        "Inventory",
        "Identity",
        "After the flash",
        "Attempts",
        "Timeline",
    ]
    assert not page.select("#now-title, #reflash, #no-reflash")
    assert words(page.select_one("#then")).startswith(
        "Another network boot now would get the wizard, because its boot policy is wizard (tui)."
    )


@pytest.mark.parametrize(
    ("left", "told"),
    [(0, "finishing"), (50_000_000, "a moment left"), (100_000_000, "1 s left")],
)
def test_the_end_of_a_write_is_not_called_zero_seconds(
    browser: Browser, machine: int, left: int, told: str
) -> None:
    attempt(
        browser.site,
        machine,
        State.RUNNING,
        disk_bytes=10**9 - left,
        total_bytes=10**9,
        bytes_per_second=100_000_000,
    )
    page = browser.get(f"/ui/machines/{machine}/now")
    assert words(page.select(".bar-words")[1]) == f"running 100 MB/s {told}"
    assert told in words(browser.get("/ui/dashboard/now").select_one(".running"))


def test_a_running_attempt_shows_how_far_it_is_and_can_be_cancelled(
    browser: Browser, machine: int
) -> None:
    number = attempt(
        browser.site,
        machine,
        State.RUNNING,
        image="debian.img",
        phase="writing",
        disk_bytes=2 * 10**9,
        total_bytes=8 * 10**9,
        bytes_per_second=100_000_000,
        bottleneck="network-bound",
    )
    page = browser.get(f"/ui/machines/{machine}/now")
    assert [(one["value"], one["max"]) for one in page.select("progress")] == [
        ("2000000000", "8000000000")
    ]
    assert [words(one) for one in page.select(".bar-words")] == [
        "25 % 2.00 GB of 8.00 GB",
        "writing 100 MB/s network-bound 1 min 0 s left",
    ]
    where = f"/ui/machines/{machine}/attempts/{number}/cancel"
    asked = browser.get(where)
    assert "the disk will not boot until it is flashed again" in words(asked)
    asked.select("main form")[0]["action"] = where
    shown = browser.sent(asked, where)
    assert said(shown)[0].startswith(f"Attempt {number} is cancelled, or will be")
    assert "It was asked to stop" in words(browser.get(f"/ui/machines/{machine}/now"))


def test_a_failed_attempt_shows_why_and_its_log(browser: Browser, machine: int) -> None:
    number = attempt(
        browser.site,
        machine,
        State.FAILED,
        code="disk-full",
        message="the disk is smaller than the image",
        hint="choose a larger one",
        log="line one\nline two",
        ended_at=now(),
    )
    page = browser.get(f"/ui/machines/{machine}/now")
    assert said(page) == ["the disk is smaller than the image choose a larger one"]
    assert page.select("pre")[0].get_text() == "line one\nline two"
    assert browser.get(f"/ui/machines/{machine}/attempts/{number}").select("pre")
    again = browser.site.client.get(f"/ui/machines/{machine + 1}/attempts/{number}")
    assert again.status_code == 404


def test_a_machine_that_flashes_for_ever_is_told_of_flash_cycle(
    browser: Browser, machine: int
) -> None:
    with browser.site.session() as session:
        found = machines.get(session, MAC)
        found.image, found.target, found.boot_policy = "debian.img", "only", Policy.FLASH
        found.last_flashed_at = now()
    for _ in range(3):
        attempt(browser.site, machine, State.DONE, ended_at=now())
    assert any("It flashes itself again and again." in one for one in gets(browser, machine))
    assert "Machines that flash again and again (1)" in words(browser.get("/ui/"))


def test_a_name_and_notes_are_kept(browser: Browser, machine: int) -> None:
    page = browser.get(f"/ui/machines/{machine}")
    action = f"/ui/machines/{machine}/identity"
    browser.sent(page, action, name="left of the door", notes="loud\r\nfan")
    found = browser.site.machine()
    assert (found.name, found.notes) == ("left of the door", "loud\nfan")


def test_a_machine_is_removed_after_a_question(browser: Browser, machine: int) -> None:
    where = f"/ui/machines/{machine}/remove"
    attempt(browser.site, machine, State.RUNNING)
    asked = browser.get(where)
    asked.select("main form")[0]["action"] = where
    refused = browser.send(asked, where)
    assert refused.status_code == 409
    attempt(browser.site, machine, State.DONE, started_at=now() - timedelta(hours=1))
    with browser.site.session() as session:
        session.query(Attempt).update({"state": State.DONE})
    assert said(browser.sent(asked, where)) == ["bench is removed."]
    browser.get(f"/ui/machines/{machine}", status=404)
