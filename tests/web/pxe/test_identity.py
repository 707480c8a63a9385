"""Which machine a contact is: MAC addresses, further network interfaces, and what firmware says."""

from __future__ import annotations

import pytest

from bty_core.values import MacAddress
from bty_web.services import machines
from bty_web.services.machines import UNKNOWN_PER_CLIENT
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import MAC, Site

SECOND = MacAddress.parse("52:54:00:12:34:57")
UUID = "?platform=efi&uuid=8b1f2c6e-1d2a-4c5b-9e6f-0123456789ab"
SERIAL = "&serial=CZC1234XYZ"


@pytest.fixture(autouse=True)
def _live(site: Site) -> None:
    add_live_environment(site)


def ids(site: Site, *macs: MacAddress) -> list[int]:
    with site.session() as session:
        return [machines.get(session, mac).id for mac in macs]


def test_a_contact_says_what_the_machine_is(site: Site) -> None:
    Boot.of(site, query=UUID + SERIAL + "&product=ProDesk")
    machine = site.machine()
    assert machine.uuid == "8b1f2c6e-1d2a-4c5b-9e6f-0123456789ab"
    assert (machine.serial, machine.product, machine.platform) == ("CZC1234XYZ", "ProDesk", "efi")


@pytest.mark.parametrize("query", [UUID, "?serial=CZC1234XYZ", UUID + SERIAL])
def test_firmware_that_says_the_same_joins_network_interfaces(site: Site, query: str) -> None:
    Boot.of(site, MAC, query)
    Boot.of(site, SECOND, query)
    first, second = ids(site, MAC, SECOND)
    assert first == second
    assert site.machine(SECOND).mac == str(MAC)


@pytest.mark.parametrize(
    "query",
    [
        "?uuid=00000000-0000-0000-0000-000000000000",
        "?uuid=ffffffff-ffff-ffff-ffff-ffffffffffff",
        "?uuid=03000200-0400-0500-0006-000700080009",
        "?serial=To+be+filled+by+O.E.M.",
        "?serial=0",
        "?uuid=&serial=",
        "?uuid=rubbish",
        "",
    ],
)
def test_what_every_board_says_joins_nothing(site: Site, query: str) -> None:
    Boot.of(site, MAC, query)
    Boot.of(site, SECOND, query)
    first, second = ids(site, MAC, SECOND)
    assert first != second


def test_numbers_that_contradict_join_nothing(site: Site) -> None:
    Boot.of(site, MAC, UUID + "&serial=ONE1")
    Boot.of(site, SECOND, UUID + "&serial=TWO2")
    first, second = ids(site, MAC, SECOND)
    assert first != second


def test_a_number_seen_on_two_machines_never_matches(site: Site) -> None:
    third = MacAddress.parse("52:54:00:12:34:58")
    Boot.of(site, MAC)
    Boot.of(site, SECOND)
    for mac in (MAC, SECOND):
        Boot.of(site, mac, UUID)
    Boot.of(site, third, UUID)
    assert len(set(ids(site, MAC, SECOND, third))) == 3


def test_an_inventory_without_the_interface_weighs_more_than_one_number(site: Site) -> None:
    Boot.of(site, MAC, UUID).inventory()
    Boot.of(site, SECOND, UUID)
    first, second = ids(site, MAC, SECOND)
    assert first != second


def test_further_interfaces_are_learned_from_the_inventory(site: Site) -> None:
    nics = [{"name": "eno1", "mac": str(MAC)}, {"name": "eno2", "mac": str(SECOND).upper()}]
    Boot.of(site).inventory(nics=nics)
    first, second = ids(site, MAC, SECOND)
    assert first == second


def test_a_machine_that_was_two_becomes_one(site: Site) -> None:
    Boot.of(site, MAC)
    Boot.of(site, SECOND)
    nics = [{"name": "eno1", "mac": str(MAC)}, {"name": "eno2", "mac": str(SECOND)}]
    assert Boot.of(site).inventory(nics=nics).status_code == 200
    first, second = ids(site, MAC, SECOND)
    assert first == second


def test_nobody_takes_the_address_of_a_machine_that_is_in_use(site: Site) -> None:
    site.add_machine(SECOND, name="the other")
    nics = [{"name": "eno1", "mac": str(MAC)}, {"name": "eno2", "mac": str(SECOND)}]
    assert Boot.of(site).inventory(nics=nics).status_code == 200
    first, second = ids(site, MAC, SECOND)
    assert first != second


def test_an_inventory_that_is_wrong_names_the_field(site: Site) -> None:
    boot = Boot.of(site)
    for values, field in (
        ({"nics": [{"name": "eno1", "mac": "zz"}]}, "nics[0].mac"),
        ({"disks": [{"path": "/dev/sda"}]}, "disks[0].size_bytes"),
        ({"disks": "none"}, "disks"),
        ({"memory_bytes": -1}, "memory_bytes"),
    ):
        answer = boot.inventory(**values)
        assert (answer.status_code, answer.get_json()["field"]) == (422, field)
    assert site.machine().inventory is None


def test_one_client_cannot_fill_the_list_of_machines(site: Site) -> None:
    macs = [MacAddress(f"52:54:00:01:{at // 256:02x}:{at % 256:02x}") for at in range(260)]
    for mac in macs[:UNKNOWN_PER_CLIENT]:
        Boot.of(site, mac)
    script = Boot.of(site, macs[-1]).script
    assert "this address has shown 256 unknown machines within a day" in script
    assert site.client.post(f"/pxe/{macs[-2]}/attempts").status_code == 429
    # Everybody else is served, and so are the machines that are known.
    assert Boot.of(site, macs[-1], address="192.0.2.9").mode == "interactive"
    assert Boot.of(site, macs[0]).mode == "interactive"


def test_what_no_database_keeps_is_kept_without_it(site: Site) -> None:
    disk = {"path": "/dev/sd\x00a", "size_bytes": 5, "colour": "\ud800", "rate": float("nan")}
    answer = Boot.of(site).inventory(disks=[disk], cpu="x\x00y", extra={"deep": "\x00"})
    assert answer.status_code == 200
    kept = site.machine().inventory
    assert kept is not None
    assert kept["cpu"] == "x\ufffdy"
    assert kept["disks"][0]["path"] == "/dev/sd\ufffda"
    assert "colour" not in kept["disks"][0]
