"""Whole scripts, as firmware gets them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bty_core.values import MacAddress
from bty_web.pxe import scripts
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import MAC, Site

OWN_DISK = """\
iseq ${platform} efi && goto firmware ||
sanboot --no-describe --drive 0x80 ||
:firmware
exit 1
"""


def test_bootstrap(site: Site) -> None:
    script = site.client.get("/pxe-bootstrap.ipxe", headers={"Host": "10.0.0.2:8080"})
    assert script.get_data(as_text=True) == (
        "#!ipxe\n"
        "echo bty: asking http://10.0.0.2:8080 what ${mac} should boot\n"
        "chain --replace http://10.0.0.2:8080/pxe/${mac:hexhyp}"
        "?platform=${platform}&uuid=${uuid}&serial=${serial:uristring}&product=${product:uristring} ||\n"
        "echo bty: http://10.0.0.2:8080 does not answer, booting the local disk\n"
        "sleep 10\n" + OWN_DISK
    )


def test_wizard(site: Site) -> None:
    add_live_environment(site)
    boot = Boot.of(site)
    kernel = (
        "kernel http://localhost/boot/1.0/vmlinuz initrd=initrd.zst quiet bty.mode=interactive "
        f"bty.server=http://localhost bty.mac={MAC} bty.attempt={boot.attempt} bty.token={boot.token}"
    )
    assert boot.script == (
        "#!ipxe\n"
        f"echo bty: {MAC}: the wizard\n"
        "prompt --key l --timeout 3000 bty: press l for the local disk, or wait 3 s && goto disk ||\n"
        f"{kernel} || goto failed\n"
        "initrd http://localhost/boot/1.0/initrd.zst || goto failed\n"
        "boot || goto failed\n"
        ":failed\n"
        "imgfree\n"
        "echo bty: the live environment 1.0 could not be loaded, booting the local disk\n"
        "sleep 10\n"
        ":disk\n" + OWN_DISK
    )


def test_flash(site: Site) -> None:
    add_live_environment(site)
    site.add_image()
    site.add_machine(boot_policy="flash", image="debian.img", target="largest", name="rack-1")
    boot = Boot.of(site)
    assert boot.script.splitlines()[:2] == [
        "#!ipxe",
        "echo bty: rack-1 will be flashed with debian.img",
    ]
    assert boot.mode == "auto"
    assert "prompt" not in boot.script


@pytest.mark.parametrize(
    ("how", "ends"),
    [
        ("auto", OWN_DISK),
        ("exit", "exit 1\n"),
        ("sanboot:0x81", "sanboot --no-describe --drive 0x81 || exit 1\n"),
    ],
)
def test_own_disk(site: Site, how: str, ends: str) -> None:
    site.add_machine(boot_policy="local", local_boot=how)
    script = Boot.of(site).script
    assert (
        script == f"#!ipxe\necho bty: {MAC} boots its own disk: its boot policy is local\n" + ends
    )


def test_no_live_environment(site: Site) -> None:
    script = Boot.of(site).script
    assert "echo bty: this server has no live environment yet" in script
    assert script.endswith(OWN_DISK)


def test_a_broken_manifest(site: Site) -> None:
    (site.settings.boot_dir / "manifest.json").write_text("{")
    script = Boot.of(site).script
    assert "echo bty: the live environment_s manifest.json cannot be used" in script
    assert script.endswith(OWN_DISK)


@pytest.mark.parametrize(
    "rubbish", ["rubbish", "00-00-00-00-00-00", "01-00-5e-00-00-01", "%00", "ä" * 300]
)
def test_rubbish_is_answered_with_a_script(site: Site, rubbish: str) -> None:
    answer = site.client.get(f"/pxe/{rubbish}")
    assert answer.status_code == 200
    assert answer.get_data(as_text=True).startswith("#!ipxe\necho bty: ")
    assert answer.get_data(as_text=True).endswith("sleep 5\n" + OWN_DISK)


def test_a_crash_is_answered_with_a_script(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bty_web.services.boot.decide", lambda *_: 1 / 0)
    answer = site.client.get(f"/pxe/{MAC}")
    assert answer.status_code == 200
    assert answer.get_data(as_text=True).endswith(OWN_DISK)


def test_a_database_that_is_gone_is_answered_with_a_script(site: Site) -> None:
    with site.session() as session:
        session.connection().exec_driver_sql("DROP TABLE macs")
    answer = site.client.get(f"/pxe/{MAC}")
    assert answer.status_code == 200
    assert "echo bty: the database" in answer.get_data(as_text=True)
    assert answer.get_data(as_text=True).endswith(OWN_DISK)


@pytest.mark.parametrize(
    "spelling", ["52:54:00:12:34:56", "52-54-00-12-34-56", "52-54-00-12-34-56".upper()]
)
def test_a_mac_in_any_spelling_is_one_machine(site: Site, spelling: str) -> None:
    site.add_machine(boot_policy="local")
    assert "its boot policy is local" in site.client.get(f"/pxe/{spelling}").get_data(as_text=True)


def test_head_opens_nothing(site: Site) -> None:
    for path in ("/pxe-bootstrap.ipxe", f"/pxe/{MAC}"):
        assert site.client.head(path).status_code == 200
    with site.session() as session:
        rows = session.connection().exec_driver_sql("SELECT count(*) FROM machines").scalar()
    assert rows == 0


@pytest.mark.parametrize("host", ["a b", "x${cmd}", 'x"y', "h|x", "h;x"])
def test_a_host_that_could_give_orders_is_refused(site: Site, host: str) -> None:
    for path in ("/pxe-bootstrap.ipxe", f"/pxe/{MAC}"):
        script = site.client.get(path, headers={"Host": host}).get_data(as_text=True)
        assert host not in script
        assert script.endswith(OWN_DISK)


@given(st.text(max_size=400))
def test_no_text_gives_orders_to_firmware(text: str) -> None:
    script = scripts.failed(text)
    lines = script.splitlines()
    assert lines[2:] == ["echo bty: booting the local disk", "sleep 5", *OWN_DISK.splitlines()]
    assert re.fullmatch(r"echo bty: [A-Za-z0-9 .,:_/()=+@#%*-]{0,200}", lines[1])


def test_a_hostile_image_name_is_only_printed(site: Site) -> None:
    add_live_environment(site)
    name = "x${cmd} || reboot\n;poweroff.img"
    site.add_image(name)
    site.add_machine(boot_policy="flash", target="largest")
    with site.session() as session:
        from bty_web.services import machines

        machines.get(session, MacAddress.parse(str(MAC))).image = name
    script = Boot.of(site).script
    assert f"echo bty: {MAC} will be flashed with x__cmd_ __ reboot ,poweroff.img\n" in script
    assert "reboot\n" not in script
