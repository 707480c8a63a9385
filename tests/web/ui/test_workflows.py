"""The pages of workflows, and of what one left."""

from __future__ import annotations

import io

from bs4 import BeautifulSoup

from bty_web.models import Attempt, Machine
from bty_web.services import clock, run_reports
from tests.fakes.bundles import tar
from tests.web.api.test_workflows import OTHER, TASK
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import Site
from tests.web.ui.forms import follow, values, words
from tests.web.ui.pages import Browser, said

LIST = "/ui/workflows"


def upload(browser: Browser, name: str, *files: tuple[str, bytes]) -> BeautifulSoup:
    """Choose files in the form, send it, and return the page that it leads to."""
    page = browser.get(LIST)
    form = next(one for one in page.select("form[method=post]") if one.get("action") == LIST)
    sent = {**values(form), "name": name}
    chosen = [(io.BytesIO(data), file) for file, data in files]
    answer = browser.site.client.post(LIST, data={**sent, "archive": chosen})
    if answer.status_code >= 400:
        return BeautifulSoup(answer.data, "html.parser")
    return follow(browser.site, answer)


def test_files_or_an_archive_become_versions(browser: Browser) -> None:
    assert "There is no workflow yet" in words(browser.get(LIST))
    page = upload(browser, "place", ("task.yaml", TASK.encode()), ("said.txt", b"hello"))
    assert said(page) == ["Version 1 of place is kept."]
    page = upload(browser, "place", ("all.tar.gz", tar({"task.yaml": OTHER})))
    assert said(page) == ["Version 2 of place is kept."]
    assert [words(row)[:1] for row in page.select("tbody tr")] == ["2", "1"]
    with browser.site.client.get(f"{LIST}/place/2") as archive:
        assert archive.headers["Content-Disposition"] == "attachment; filename=place-2.tar.gz"
        assert archive.data[:2] == b"\x1f\x8b"


def test_what_cijoe_refuses_is_said(browser: Browser) -> None:
    page = upload(browser, "place", ("task.yaml", b"steps:\n- name: x\n  uses: no.such.script\n"))
    assert "cijoe refuses the workflow" in said(page)[0]
    page = upload(browser, "bad name", ("task.yaml", TASK.encode()))
    assert "a workflow's name has 1 to 60" in said(page)[0]
    assert page.select("#name")[0]["value"] == "bad name"


def test_it_is_assigned_to_a_machine_and_stays_while_it_is(browser: Browser) -> None:
    upload(browser, "place", ("task.yaml", TASK.encode()))
    browser.site.add_image()
    number = browser.site.add_machine(image="debian.img", target="serial:S5Y1")
    where = f"/ui/machines/{number}"
    action = f"{where}/assignment"
    page = browser.sent(browser.get(where), action, provisioning_mode="cijoe", workflow="place@1")
    assert page.select("#workflow option[selected]")[0]["value"] == "place@1"
    assert browser.site.machine().workflow == "place@1"
    shown = browser.get(f"{LIST}/place")
    assert "(place@1)" in words(shown)
    assert not shown.select("form[action$=remove]")
    browser.sent(browser.get(where), action, provisioning_mode="none", workflow="")
    page = browser.sent(browser.get(f"{LIST}/place"), f"{LIST}/place/remove")
    assert said(page) == ["place is removed."]


def reported(site: Site) -> None:
    """Let a machine be given a workflow, and hand a report over."""
    page = "<html><script>alert(1)</script><h1>All steps passed</h1></html>"
    data = tar({"report/output/report.html": page})
    with site.session() as session:
        attempt = session.get_one(Attempt, 1)
        attempt.workflow = "place@1"
        machine = session.get_one(Machine, attempt.machine_id)
        run_reports.keep(session, site.settings.state_dir, machine, attempt, data, clock.now())


def test_the_report_is_shown_where_it_can_do_nothing(browser: Browser) -> None:
    site = browser.site
    add_live_environment(site)
    number = site.add_machine()
    Boot.of(site)
    where = f"/ui/machines/{number}/attempts/1"
    assert browser.site.client.get(f"{where}/report").status_code == 404
    reported(site)
    page = browser.get(where)
    assert page.select_one(f'a[href="{where}/report"]')
    shown = site.client.get(f"{where}/report")
    assert b"All steps passed" in shown.data
    assert shown.headers["Content-Security-Policy"].startswith("sandbox; default-src 'none';")
    with site.client.get(f"{where}/report.tar.gz") as whole:
        assert whole.data[:2] == b"\x1f\x8b"


def test_a_stranger_sees_none_of_it(site: Site) -> None:
    for path in (LIST, f"{LIST}/place", "/ui/machines/1/attempts/1/report"):
        assert "/ui/login" in site.client.get(path).headers["Location"]
