"""The page of a run, and what a machine's page says of what is known good."""

from __future__ import annotations

from bty_core.values import MacAddress
from bty_web.models.words import RunKind, RunState
from bty_web.online.log import path_of
from bty_web.services import run_reports, runs
from tests.web.api.test_runs import FACTS, add
from tests.web.site import MAC, NOW
from tests.web.ui.forms import words
from tests.web.ui.pages import Browser, said

OTHER = "52:54:00:00:00:02"


def known(browser: Browser, number: int) -> str:
    """Return what the machine's page says."""
    return words(browser.get(f"/ui/machines/{number}/known"))


def test_a_run_is_followed_and_cancelled(browser: Browser) -> None:
    site = browser.site
    site.add_machine(name="build-7")
    values = {"state": RunState.RUNNING, "ended_at": None, "facts": None}
    number = add(site, **values, told="step 1 of 2: place", step=1, steps=2)
    log = path_of(site.settings.state_dir, number)
    log.parent.mkdir(parents=True)
    log.write_text("<b>words</b>\n")
    where = f"/ui/runs/{number}"
    page = browser.get(where)
    assert "Now: step 1 of 2: place" in words(page)
    assert page.select("#run-log")[0].text == "<b>words</b>\n"
    assert page.select("[data-live=machines]")[0]["data-live-from"] == f"{where}/now"
    page = browser.sent(page, f"{where}/cancel")
    assert said(page)[0] == "It stops, and its key is taken off the machine."
    assert "cancelled" in words(browser.get(f"{where}/now"))


def test_a_failed_run_says_why_and_what_now(browser: Browser) -> None:
    site = browser.site
    machine = site.add_machine(name="build-7")
    number = add(
        site,
        state=RunState.FAILED,
        facts=None,
        code="no-answer",
        message="nobody answers",
        hint="look there",
        access_left=True,
    )
    page = browser.get(f"/ui/runs/{number}")
    assert said(page)[0] == "nobody answers look there"
    assert "The public part of its key is still on the machine." in said(page)[1]
    assert "nobody answers" in known(browser, machine)


def test_its_report_is_shown_where_it_can_do_nothing(browser: Browser) -> None:
    site = browser.site
    site.add_machine(name="build-7")
    number = add(site, report_at=NOW)
    left = site.settings.state_dir / "left"
    left.mkdir()
    (left / "report.html").write_text("<h1>cijoe</h1>")
    assert run_reports.pack(left, run_reports.of_run(site.settings.state_dir, number))
    with site.client.get(f"/ui/runs/{number}/report") as answer:
        assert answer.get_data(as_text=True) == "<h1>cijoe</h1>"
        assert answer.headers["Content-Security-Policy"].startswith("sandbox;")
    with site.client.get(f"/ui/runs/{number}/report.tar.gz") as archive:
        assert archive.data[:2] == b"\x1f\x8b"
    assert browser.get(f"/ui/runs/{add(site)}/report", 404)


def test_the_machine_page_shows_what_is_known_good_and_what_drifted(browser: Browser) -> None:
    site = browser.site
    number = site.add_machine(name="build-7")
    assert "With the provisioning mode cijoe-online" in known(browser, number)
    add(site, facts={**FACTS, "packages": {"htop": "3.3", "zsh": "5.9"}})
    add(site)
    assert "Known good since" in known(browser, number)
    assert "Against the baseline before (run 1): 1 difference" in known(browser, number)
    add(site, kind=RunKind.CHECK)
    assert "It was as it should be" in known(browser, number)
    add(site, kind=RunKind.CHECK, facts={**FACTS, "packages": {"htop": "3.4"}})
    page = browser.get(f"/ui/machines/{number}")
    rows = [words(row) for row in page.select("#known-title ~ .table-responsive tbody tr")]
    assert rows == ["packages / zsh 5.9 not there"]
    with site.client.get("/ui/runs/2/facts.json") as answer:
        exported = answer.get_json()
        assert exported["facts"] == FACTS
        assert exported["machine"] == {"mac": str(MAC), "name": "build-7"}


def test_it_is_compared_with_machines_that_should_be_the_same(browser: Browser) -> None:
    site = browser.site
    site.add_image()
    number = site.add_machine(name="one", image="debian.img")
    other = site.add_machine(MacAddress.parse(OTHER), name="two", image="debian.img")
    add(site)
    add(site, machine_id=other, facts={**FACTS, "os": {"id": "fedora"}})
    assert "Against two (run 2): 1 difference" in known(browser, number)


def test_check_now_asks_the_machine(browser: Browser) -> None:
    site = browser.site
    site.add_image()
    number = site.add_machine(name="build-7", image="debian.img")
    add(site)
    assert not browser.get(f"/ui/machines/{number}").select("#check-now")
    page = browser.get("/ui/image/debian.img/credentials")
    action = "/ui/image/debian.img/credentials"
    form = {"csrf_token": page.select("[name=csrf_token]")[0]["value"]}
    answer = site.client.post(action, data={**form, "user": "root", "port": "x", "password": "pw"})
    assert answer.status_code == 422
    answer = site.client.post(action, data={**form, "user": "root", "port": "22", "password": "pw"})
    assert answer.status_code == 302
    page = browser.get(f"/ui/machines/{number}")
    assert page.select("#check-now")
    page = browser.sent(page, f"/ui/machines/{number}/check")
    assert said(page)[0] == "The machine is asked for its facts."
    machine = site.machine()
    with site.session() as session:
        last = runs.under_way(session, machine)
        assert last is not None
        assert (last.kind, last.asked_by) == (RunKind.CHECK, "operator")
