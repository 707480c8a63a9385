"""What the first page puts first."""

from __future__ import annotations

import shutil
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from bty_core.values import GIB, MacAddress
from bty_web.models import Attempt
from bty_web.models.words import AttemptMode, Policy, RunState, State, Trigger
from bty_web.services import machines
from bty_web.services.clock import now
from bty_web.services.machines import Seen
from tests.web.api.test_runs import add
from tests.web.pxe.walk import add_live_environment
from tests.web.site import MAC, NOW
from tests.web.ui.forms import words
from tests.web.ui.pages import Browser

OTHER = MacAddress.parse("52:54:00:00:00:77")


def concerns(browser: Browser) -> list[str]:
    return [words(one) for one in browser.get("/ui/dashboard/now").select(".concern")]


def test_a_new_server_says_what_to_do_first(browser: Browser) -> None:
    page = browser.get("/ui/")
    assert [words(one) for one in page.select(".steps strong")] == [
        "Upload an image",
        "Upload the live environment",
        "Turn on proxy-DHCP",
        "Boot a machine from the network",
    ]
    assert page.select(".steps .is-done") == []
    browser.site.add_image()
    add_live_environment(browser.site)
    done = browser.get("/ui/").select(".steps .is-done strong")
    assert [words(one) for one in done] == ["Upload an image", "Upload the live environment"]


def test_what_is_wrong_comes_first_and_goes_when_it_is_right(browser: Browser) -> None:
    site = browser.site
    site.add_image()
    assert concerns(browser) == [
        "No live environment there is none yet: machines that shall be flashed boot their disks "
        "Upload it"
    ]
    add_live_environment(site)
    assert concerns(browser) == []
    number = site.add_machine(name="bench", boot_policy="flash", image="debian.img")
    assert concerns(browser) == [
        "Machines that cannot be flashed as assigned (1) bench no target disk is chosen"
    ]
    with site.session() as session:
        machine = machines.get(session, MAC)
        machine.boot_policy = Policy.LOCAL
        failed = Attempt(
            machine_id=number,
            revision=1,
            state=State.FAILED,
            mode=AttemptMode.AUTO,
            trigger=Trigger.POLICY,
            nonce="0" * 16,
            started_at=now() + timedelta(seconds=1),
            heard_at=now(),
            message="it did not work",
        )
        session.add(failed)
        session.flush()
        machine.attempt_id = failed.id
    assert concerns(browser) == ["Attempts that failed (1) bench it did not work"]
    with site.session() as session:
        machines.get(session, MAC).failures_forgiven_at = now() + timedelta(seconds=2)
    assert concerns(browser) == []
    assert "Nothing needs your attention." in words(browser.get("/ui/"))


def test_machines_that_came_by_themselves_and_wait_are_shown(browser: Browser) -> None:
    site = browser.site
    site.add_image()
    add_live_environment(site)
    with site.session() as session:
        seen = Seen(address="10.0.0.9", product="NUC")
        machine = machines.discover(session, OTHER, seen, policy=Policy.TUI, now=now())
        machine.product = "NUC"
        waiting = Attempt(
            machine_id=machine.id,
            revision=1,
            state=State.QUEUED,
            mode=AttemptMode.INTERACTIVE,
            trigger=Trigger.POLICY,
            nonce="0" * 16,
            started_at=now(),
            heard_at=now(),
        )
        session.add(waiting)
        session.flush()
        machine.attempt_id = waiting.id
    assert concerns(browser) == [
        f"Wizards that wait for somebody (1) {OTHER} shows the wizard",
        f"New machines (1) {OTHER} NUC, first seen from 10.0.0.9",
    ]


def test_a_disk_that_is_nearly_full_is_said(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_live_environment(browser.site)
    usage = SimpleNamespace(total=800 * GIB, used=770 * GIB, free=30 * GIB)
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage)
    assert concerns(browser) == [
        "The disk of this server is nearly full 32.2 GB of 859 GB are free for images in "
        f"{browser.site.settings.image_root} Look at the images"
    ]


def test_a_machine_that_was_not_proven_is_named_until_somebody_acts(browser: Browser) -> None:
    site = browser.site
    add_live_environment(site)
    site.add_image()
    site.add_machine(name="build-7", image="debian.img")
    later = NOW + timedelta(hours=1)
    why = "step 2 of 2, 'second', failed"
    add(site, state=RunState.FAILED, message=why, facts=None, started_at=later)
    assert concerns(browser) == ["Machines that their workflow did not prove (1) build-7 " + why]
    add(site)
    assert concerns(browser) == []


def test_what_a_machine_lacks_to_be_provisioned_is_said(browser: Browser) -> None:
    site = browser.site
    add_live_environment(site)
    site.add_image()
    wanted: dict[str, Any] = {
        "image": "debian.img",
        "target": "serial:S5Y1",
        "boot_policy": "flash",
    }
    site.add_machine(name="build-7", **wanted, provisioning_mode="cloud-init")
    assert concerns(browser) == [
        "Machines that cannot be flashed as assigned (1) build-7 no user-data is kept for this machine"
        " or its group"
    ]
