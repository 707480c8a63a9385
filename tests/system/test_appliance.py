"""The server appliance, from its image on an empty disk to machines that boot from it."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.system.lab.appliance import Appliance, appliance, disk_of_appliance, log_in
from tests.system.lab.disks import blank
from tests.system.lab.firmware import Firmware
from tests.system.lab.machine import Drive, Machine
from tests.system.lab.media import medium
from tests.system.lab.network import Lan
from tests.system.lab.pictures import keep_picture, picture
from tests.system.lab.timings import Timings

pytestmark = [pytest.mark.vm, pytest.mark.browser, pytest.mark.timeout(3000)]

NEW = "a horse of another stable"
# A workflow as bty-web runs them, inside everything that the service is kept from.
FENCED = """\
import pathlib
from bty_core.provisioning.cijoe import find_cijoe
from bty_web.online import sandbox
folder = pathlib.Path("/var/lib/bty/fenced")
folder.mkdir(exist_ok=True)
(folder / "task.yaml").write_text(
    "doc: Look around\\nsteps:\\n- name: look\\n  run: |\\n    id -u\\n"
    "    python3 -c 'import paramiko; print(paramiko.ECDSAKey.generate().get_name())'\\n"
    "    ls /var/lib/bty\\n"
)
(folder / "some.toml").write_text("[cijoe.task]\\nfail_fast = true\\n")
log = folder / "log"
argv = [find_cijoe(), "task.yaml", "--output", "output", "--config", "some.toml"]
status = sandbox.run(argv, folder, {}, log, lambda: None, timeout=120)
print("status", status, log.read_text())
for path in sorted(folder.glob("output/**/*.output")):
    print("fenced:", path.read_text())
"""
AS_THE_SERVICE = (
    "sed -e '/^ExecStartPre=/d' -e 's|^ExecStart=.*|ExecStart=/opt/bty/bin/python3 /usr/local/bin/fenced|'"
    " -e 's/^Restart=.*/Type=oneshot/' /usr/lib/systemd/system/bty-web.service"
    " > /run/systemd/system/fenced.service"
    " && install -m 755 /tmp/fenced /usr/local/bin/fenced && systemctl daemon-reload"
    " && { systemctl start fenced; journalctl -u fenced -o cat --no-pager; }"
)


def look_around(server: Appliance) -> None:
    """Look at what every appliance must be after its first start."""
    assert server.run("systemctl is-system-running --wait; systemctl --failed --no-legend") == (
        "running"
    )
    assert server.run("systemctl is-active bty-dnsmasq; true") == "inactive"
    assert server.run("ss -Hlun 'sport = 67 or sport = 69 or sport = 4011'") == ""
    sizes = server.run("df --output=target,size --block-size=M / /var/lib/bty").split()
    assert int(sizes[sizes.index("/var/lib/bty") + 1].rstrip("M")) > 7000
    users = server.run("ps -o user= -C bty-web; stat -c %U /var/lib/bty/secret.key").split()
    assert set(users) == {"bty"}
    assert "cijoe" in server.run("cijoe --version 2>&1").lower()
    assert '"default": ["bty", "odus"]' in server.run("cat /run/bty/passwords.json")


def run_a_workflow(server: Appliance, folder: Path) -> None:
    """Run a workflow inside the fences of the service, and look at what it saw."""
    program = folder / "fenced"
    program.write_text(FENCED)
    server.put(program, "/tmp/fenced")
    said = server.run(AS_THE_SERVICE)
    assert "fenced: 65534" in said, said
    assert "fenced: ecdsa-sha2-nistp256" in said, said  # what logs in works there, too
    assert "cannot access '/var/lib/bty'" in said, said


@pytest.mark.parametrize("firmware", [Firmware.SECURE])
def test_it_starts_with_secure_boot(
    lan: Lan, tmp_path: Path, firmware: Firmware, timings: Timings
) -> None:
    timings.about("appliance, first start", firmware)
    with appliance(lan, disk_of_appliance(tmp_path / "server.raw"), firmware) as server:
        timings.note("pages answer", server.machine.seconds)
        look_around(server)
        run_a_workflow(server, tmp_path)
        keep_picture(server.machine, "appliance-console")
        assert "secure boot enabled" in server.run("dmesg | grep -i 'secure.*boot'").lower()


def test_an_unknown_machine_boots_from_it_once_proxy_dhcp_is_on(
    lan: Lan, tmp_path: Path, timings: Timings
) -> None:
    timings.about("appliance, machine boots from it", "bios", "tui")
    with appliance(lan, disk_of_appliance(tmp_path / "server.raw")) as server:
        timings.note("pages answer", server.machine.seconds)
        look_around(server)
        assert not server.lets_in("bty", "bty")
        assert not server.lets_in("root", "root")

        def switch_on(page: Page) -> None:
            assert not log_in(page, "bty", "odus")
            assert log_in(page, "bty", "bty")
            page.goto("/ui/")
            page.screenshot(path=picture("appliance"))
            nag = page.get_by_text("The default password of bty and of odus is still in place")
            assert nag.is_visible()
            page.goto("/ui/live")
            version = medium("pxe").name.removeprefix("pxe-")
            assert page.get_by_text(version).first.is_visible()
            page.goto("/ui/settings/proxy-dhcp")
            page.get_by_label("Network of the machines").select_option(index=1)
            page.get_by_role("button", name="Preview").click()
            page.get_by_role("button", name="Activate on").click()
            page.get_by_text("This appliance runs dnsmasq with it").wait_for()
            page.get_by_role("button", name="Test").click()
            page.get_by_text("BIOS clients get undionly.kpxe").wait_for()
            page.screenshot(path=picture("appliance-proxy-dhcp"))

        server.visit(switch_on)
        disk = blank(tmp_path / "disk.raw")
        with Machine("box", tmp_path, Firmware.BIOS, [Drive(disk)], lan=lan) as box:
            box.wait(f"asking http://{server.address}:8080 what", 300)
            timings.note("wizard", box.shows("has no images", 600))

            def find(page: Page) -> None:
                assert log_in(page, "bty", "bty")
                page.goto("/ui/machines")
                page.get_by_text(str(box.mac)).first.wait_for()
                page.screenshot(path=picture("appliance-machines"))

            server.visit(find)


def test_passwords_change_and_a_backup_moves_to_another_appliance(lan: Lan, tmp_path: Path) -> None:
    mac, backup = "52:54:00:99:00:01", tmp_path / "backup.tar.gz"
    with appliance(lan, disk_of_appliance(tmp_path / "first.raw")) as server:

        def change(page: Page) -> None:
            assert log_in(page, "bty", "bty")
            server.run(f"printf '%s\\n' 'bty:{NEW}' 'odus:{NEW}' | chpasswd")
            server.password = NEW
            # The session ends as soon as somebody has noticed.
            page.wait_for_timeout(1000)
            for _ in range(60):
                page.goto("/ui/")
                if "/ui/login" in page.url:
                    break
                page.wait_for_timeout(1000)
            assert "/ui/login" in page.url
            assert not log_in(page, "bty", "bty")
            assert log_in(page, "bty", NEW)
            assert not page.get_by_text("The default password").is_visible()

        server.visit(change)
        assert not server.lets_in("odus", "odus")
        server.token = server.run("sudo -u bty bty-web token lab --scope admin 2>/dev/null")
        server.api("PUT", f"/machines/{mac}", name="build-7", boot_policy="local")
        server.api("PUT", "/settings", flash_limit=7)
        server.run(
            "sudo -u bty bty-web backup /var/lib/bty/b.tar.gz"
            " && install -o odus /var/lib/bty/b.tar.gz /tmp/b.tar.gz"
        )
        server.fetch("/tmp/b.tar.gz", backup)
        token = server.token
    (tmp_path / "first.raw").unlink()
    with appliance(lan, disk_of_appliance(tmp_path / "second.raw")) as server:
        server.put(backup, "/tmp/b.tar.gz")
        server.run(
            "systemctl stop bty-web && install -o bty -m 600 /tmp/b.tar.gz /var/lib/bty/b.tar.gz"
            " && sudo -u bty bty-web restore /var/lib/bty/b.tar.gz && systemctl start bty-web"
        )
        server.token = token  # tokens come along, passwords of the system do not

        def find(page: Page) -> None:
            assert log_in(page, "bty", "bty")
            page.goto("/ui/machines")
            page.get_by_text("build-7").first.wait_for()

        server.visit(find)
        machine = server.api("GET", f"/machines/{mac}")
        assert (machine["name"], machine["boot_policy"]) == ("build-7", "local")
        assert "7" in str(server.api("GET", "/settings"))
