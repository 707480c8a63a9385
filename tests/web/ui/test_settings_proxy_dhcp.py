"""The page of proxy-DHCP: nothing changes before somebody has seen it and said so."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest
from sqlalchemy import select

from bty_core.errors import CommandFailed, ProgramMissing
from bty_core.values import MacAddress
from bty_web.dhcp import dnsmasq
from bty_web.dhcp.interfaces import Interface
from bty_web.models import Event, Job
from bty_web.models.words import JobState
from bty_web.settings import Settings
from bty_web.ui import proxy_dhcp
from tests.web.site import NOW, Site
from tests.web.ui.conftest import SiteOf
from tests.web.ui.forms import follow, form, page, read, send, submit, value, words

PATH = "/ui/settings/proxy-dhcp"
ENO1 = "eno1 192.168.1.0/24 192.168.1.2"
HOSTILE = '"><script>alert(1)</script>'


@pytest.fixture(autouse=True)
def _host(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with one card and one bridge, and a dnsmasq that takes everything."""
    found = [
        Interface(
            name="eno1",
            mac=MacAddress.parse("52:54:00:00:00:01"),
            networks=(IPv4Interface("192.168.1.2/24"),),
            up=True,
            hardware=True,
        ),
        Interface(
            name="br0",
            mac=MacAddress.parse("52:54:00:00:00:02"),
            networks=(),
            up=False,
            hardware=False,
        ),
    ]
    monkeypatch.setattr(proxy_dhcp, "interfaces", lambda: found)
    monkeypatch.setattr(dnsmasq, "check", lambda _: None)
    monkeypatch.setattr(proxy_dhcp, "may_probe", lambda: True)


def configuration(site: Site) -> Path:
    return site.settings.dnsmasq_dir / dnsmasq.CONFIGURATION


def kinds(site: Site) -> list[str]:
    with site.session() as session:
        return list(session.scalars(select(Event.kind).order_by(Event.id)))


def test_it_is_off_and_says_what_turning_it_on_does(site: Site) -> None:
    site.log_in()
    found = page(site, PATH)
    assert words(found.select_one("#state")) == "Proxy-DHCP is off"
    assert "This changes what happens on a network." in words(found.find("main"))
    options = [words(option) for option in found.select("#network option")]
    assert options == [
        "choose, or write it below",
        "eno1: 192.168.1.0/24, this server is 192.168.1.2",
    ]


def test_the_first_preview_shows_a_new_file_and_changes_nothing(site: Site) -> None:
    site.log_in()
    found = read(submit(site, PATH, "Preview", network=ENO1))
    preview = found.select_one("#preview")
    assert preview is not None
    assert f"New file {configuration(site)} :" in words(preview)
    assert not preview.select(".difference, details")
    lines = preview.select("pre")[0].get_text().splitlines()
    assert "interface=eno1" in lines
    assert "dhcp-range=192.168.1.0,proxy,255.255.255.0" in lines
    assert 'dhcp-boot=tag:ipxe,"http://192.168.1.2:8080/pxe-bootstrap.ipxe",,192.168.1.2' in lines
    assert not configuration(site).exists()
    assert kinds(site) == ["user.created"]


def test_activating_writes_what_the_preview_showed_and_keeps_the_values(site: Site) -> None:
    site.log_in()
    preview = read(submit(site, PATH, "Preview", network=ENO1, uefi_program="ipxe.efi"))
    answer = send(site, PATH, form(preview, "Activate on eno1"))
    found = follow(site, answer)
    assert words(found.select_one("#state")) == "Proxy-DHCP is on"
    text = configuration(site).read_text()
    assert "dhcp-boot=tag:!ipxe,tag:efi,ipxe.efi,,192.168.1.2" in text
    assert dnsmasq.command(site.settings.dnsmasq_dir) in str(found)
    assert value(found, "#uefi_program option[selected]") == "ipxe.efi"
    assert kinds(site)[1:] == ["settings.changed", "dhcp.activated"]
    again = read(submit(site, PATH, "Preview"))
    assert "It is what is active already." in words(again.select_one("#preview"))
    other = read(submit(site, PATH, "Preview", uefi_program="snponly.efi"))
    removed = [words(line) for line in other.select(".difference-removed")]
    assert "-dhcp-boot=tag:!ipxe,tag:efi,ipxe.efi,,192.168.1.2" in removed


def test_a_network_that_is_not_listed_can_be_written_by_hand(site: Site) -> None:
    site.log_in()
    found = read(
        submit(site, PATH, "Preview", interface="eth7", subnet="10.9.0.0/16", server="10.9.0.1")
    )
    assert "interface=eth7" in words(found.select_one("#preview pre")).split()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ({}, "the network interface is missing"),
        (
            {"interface": "eth0\nconf-file=/x", "subnet": "10.0.0.0/8", "server": "10.0.0.1"},
            "is not the name of a network interface",
        ),
        (
            {"interface": HOSTILE, "subnet": "10.0.0.0/8", "server": "10.0.0.1"},
            "is not the name of a network interface",
        ),
        (
            {"interface": "eth0", "subnet": "10.0.0.0/8", "server": "11.0.0.1"},
            "11.0.0.1 is not in the subnet 10.0.0.0/8",
        ),
    ],
)
@pytest.mark.parametrize("action", ["/preview", ""])
def test_values_that_cannot_be_are_refused_and_stay_text(
    site: Site, typed: dict[str, str], said: str, action: str
) -> None:
    site.log_in()
    button = form(page(site, PATH), "Preview")
    button["action"] = f"{PATH}{action}"
    found = read(send(site, PATH, button, **typed), 422)
    assert said in words(found.find("main"))
    assert not [script for script in found.find_all("script") if "alert" in script.get_text()]
    assert not configuration(site).exists()


def test_what_dnsmasq_refuses_cannot_be_activated(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(text: str) -> None:
        raise CommandFailed("dnsmasq refuses the configuration: bad option", hint="nothing changed")

    site.log_in()
    monkeypatch.setattr(dnsmasq, "check", refuse)
    found = read(submit(site, PATH, "Preview", network=ENO1))
    assert "dnsmasq refuses the configuration: bad option" in words(found.select_one("#preview"))
    assert "Activate" not in words(found.select_one("#preview"))


def test_without_dnsmasq_the_page_says_what_is_missing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(text: str) -> None:
        raise ProgramMissing("dnsmasq is not installed", hint="apt install dnsmasq-base")

    site.log_in()
    monkeypatch.setattr(dnsmasq, "check", missing)
    found = read(submit(site, PATH, "Preview", network=ENO1))
    assert "apt install dnsmasq-base" in words(found.select_one("#preview"))


def test_turning_it_off_asks_and_keeps_the_values(site: Site) -> None:
    site.log_in()
    preview = read(submit(site, PATH, "Preview", network=ENO1))
    follow(site, send(site, PATH, form(preview, "Activate on eno1")))
    asked = page(site, f"{PATH}/off")
    assert "Machines on 192.168.1.0/24 no longer find this server" in words(asked.find("main"))
    found = follow(site, submit(site, f"{PATH}/off", "Turn it off"))
    assert words(found.select_one("#state")) == "Proxy-DHCP is off"
    assert not configuration(site).exists()
    assert value(found, "#network option[selected]") == ENO1
    assert kinds(site)[-1] == "dhcp.removed"


def test_what_is_fixed_by_the_environment_is_shown_and_not_taken_from_the_form(
    server_settings: Settings, site_of: SiteOf
) -> None:
    fixed = ("dhcp_interface", "dhcp_subnet", "dhcp_server")
    settings = replace(
        server_settings,
        dhcp_interface="br0",
        dhcp_subnet="10.5.0.0/16",
        dhcp_server="10.5.0.1",
        came_from={name: f"BTY_{name.upper()}" for name in fixed},
    )
    site = site_of(settings)
    site.log_in()
    found = page(site, PATH)
    assert "Fixed by BTY_DHCP_INTERFACE" in words(found.select_one("#interface-fixed"))
    assert found.select_one("#network") is None
    preview = read(submit(site, PATH, "Preview", interface="eth9", network=ENO1))
    assert "interface=br0" in words(preview.select_one("#preview pre")).split()
    follow(site, send(site, PATH, form(preview, "Activate on br0")))
    assert "interface=br0" in configuration(site).read_text()


def test_the_page_has_the_lines_for_a_router(site: Site) -> None:
    site.log_in()
    found = read(submit(site, PATH, "Preview", network=ENO1))
    router = words(found.select_one("#router").parent)  # type: ignore[union-attr]
    assert "next server, option 66: 192.168.1.2" in router
    assert "boot file, option 67: snponly.efi" in router


def test_a_loopback_server_is_told_that_no_machine_reaches_it(
    server_settings: Settings, site_of: SiteOf
) -> None:
    site = site_of(replace(server_settings, bind=Settings().bind.parse("127.0.0.1:8080")))
    site.log_in()
    assert "which no machine can reach" in words(page(site, PATH).find("main"))


def test_a_test_is_queued_once(site: Site) -> None:
    site.log_in()
    answer = submit(site, PATH, "Test", interface="eno1")
    assert answer.status_code == 302
    with site.session() as session:
        jobs = session.scalars(select(Job)).all()
        assert [(job.kind, job.subject, job.state) for job in jobs] == [
            ("probe", "eno1", JobState.QUEUED)
        ]
    button = form(page(site, PATH), "Test").find("button")
    assert button is not None
    assert button.has_attr("disabled")
    assert "is under way" in words(page(site, f"{PATH}/test"))
    again = submit(site, PATH, "Test", interface="eno1")
    assert again.status_code == 409


def test_who_may_not_ask_gets_the_command(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.log_in()
    test = form(page(site, PATH), "Test")
    monkeypatch.setattr(proxy_dhcp, "may_probe", lambda: False)
    assert "sudo bty-web probe INTERFACE" in str(page(site, PATH))
    assert send(site, PATH, test, interface="eno1").status_code == 409


def test_an_interface_that_is_not_there_is_not_asked_on(site: Site) -> None:
    site.log_in()
    assert submit(site, PATH, "Test", interface="eth9; reboot").status_code == 422


def test_the_matrix_shows_who_answered_whom_and_strangers_words_stay_text(site: Site) -> None:
    site.log_in()
    result = {
        "schema_version": "1",
        "interface": "eno1",
        "clients": [
            {
                "client": "bios",
                "name": "BIOS",
                "architecture": 0,
                "answers": [
                    {
                        "server": "192.168.1.1",
                        "address": "192.168.1.77",
                        "proxy": False,
                        "file": HOSTILE,
                        "asked_on_4011": False,
                    },
                    {
                        "server": "192.168.1.2",
                        "address": None,
                        "proxy": True,
                        "file": "undionly.kpxe",
                        "asked_on_4011": True,
                    },
                ],
            },
            {"client": "uefi-7", "name": "UEFI 7", "architecture": 7, "answers": []},
        ],
        "verdicts": ["two servers offer BIOS clients a boot file", HOSTILE],
    }
    with site.session() as session:
        session.add(
            Job(
                kind="probe",
                subject="eno1",
                state=JobState.DONE,
                result=result,
                asked_by="operator",
                created_at=NOW,
                ended_at=NOW,
            )
        )
    answer = site.client.get(PATH)
    assert b"<script>alert" not in answer.data
    found = read(answer)
    rows = [words(row) for row in found.select("#test tbody tr")]
    assert rows == [
        f"BIOS 192.168.1.1 192.168.1.77 {HOSTILE}",
        "BIOS 192.168.1.2 none, a proxy undionly.kpxe (asked on port 4011)",
        "UEFI 7 nobody",
    ]
    assert "two servers offer BIOS clients a boot file" in words(found.select_one("#test ul"))


def test_a_test_that_failed_says_why(site: Site) -> None:
    site.log_in()
    with site.session() as session:
        session.add(
            Job(
                kind="probe",
                subject="eno1",
                state=JobState.FAILED,
                message="eno1 is switched off",
                hint="run: sudo ip link set eno1 up",
                asked_by="operator",
                created_at=NOW,
                ended_at=NOW,
            )
        )
    told = words(page(site, PATH).select_one("#test"))
    assert "eno1 is switched off" in told
    assert "sudo ip link set eno1 up" in told
