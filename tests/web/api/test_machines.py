"""Machines by the API: added, found, assigned, reflashed, removed."""

from __future__ import annotations

from typing import Any

from bty_core.values import MacAddress
from bty_core.wire.reports import InventoryReport
from bty_web.models import Attempt, Event
from tests.web.api.programs import Program
from tests.web.api.seed import OTHER, seed
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import INVENTORY, MAC, NOW, Site

PATH = f"/machines/{MAC}"
NEW: dict[str, Any] = {
    "mac": str(MAC),
    "macs": [str(MAC)],
    "name": None,
    "group": None,
    "notes": "",
    "image": None,
    "target": None,
    "tags": "",
    "provisioning_mode": "none",
    "workflow": None,
    "verify": True,
    "fix_gpt": False,
    "uefi_entry": False,
    "boot_policy": "tui",
    "local_boot": "auto",
    "revision": 1,
    "reflash_armed_at": None,
    "last_seen_at": None,
    "last_seen_ip": None,
    "last_flashed_at": None,
    "platform": None,
    "serial": None,
    "uuid": None,
    "product": None,
    "attempt": None,
    "inventory": None,
    "inventory_at": None,
}


def without_time(found: dict[str, Any]) -> dict[str, Any]:
    assert found["discovered_at"].endswith("Z")
    return {name: value for name, value in found.items() if name != "discovered_at"}


def test_options_of_the_flash_are_a_part_of_the_assignment(site: Site) -> None:
    program = Program.of(site)
    program.json("PUT", PATH, {"uefi_entry": True})
    found = program.json("PATCH", PATH, {"verify": False, "fix_gpt": True}).json
    assert [found[name] for name in ("verify", "fix_gpt", "uefi_entry")] == [False, True, True]
    assert found["revision"] == 3
    same = program.json("PATCH", PATH, {"verify": False}).json
    assert same["revision"] == 3
    for wrong in (None, "yes", 1):
        answer = program.json("PATCH", PATH, {"uefi_entry": wrong})
        assert (answer.status_code, answer.json["field"]) == (422, "uefi_entry")
    many = {"macs": [str(MAC)], "change": {"uefi_entry": False}}
    assert program.json("PATCH", "/machines", many).json["changed"] == [str(MAC)]
    assert program.get(PATH).json["uefi_entry"] is False
    with site.session() as session:
        told = [one.message for one in session.query(Event).filter_by(kind="machine.changed")]
    assert told[0] == "uefi_entry: yes"
    assert program.json("PUT", PATH, {}).json["verify"] is True


def test_put_adds_a_machine_that_nobody_has_seen(site: Site) -> None:
    program = Program.of(site)
    answer = program.json("PUT", "/machines/52-54-00-12-34-56", {})
    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/api/v1/machines/{MAC}"
    assert without_time(answer.json) == NEW
    again = program.json("PUT", PATH, {})
    assert (again.status_code, again.json) == (200, answer.json)
    assert program.get(answer.headers["Location"].removeprefix("/api/v1")).json == answer.json
    with site.session() as session:
        kinds = [one.kind for one in session.query(Event).filter(Event.kind.like("machine.%"))]
    assert kinds == ["machine.added"]


def test_put_replaces_what_is_decided(site: Site) -> None:
    site.add_image()
    site.add_machine(name="alpha", notes="old", image="debian.img", boot_policy="flash")
    body = {"image": "debian.img", "target": "serial:S5Y1", "boot_policy": "flash-once"}
    answer = Program.of(site).json("PUT", PATH, body)
    assert answer.status_code == 200
    assert without_time(answer.json) == {**NEW, **body, "revision": 3}


def test_put_that_is_refused_adds_nothing(site: Site) -> None:
    program = Program.of(site)
    assert program.json("PUT", PATH, {"image": "gone.img"}).status_code == 422
    assert program.get(PATH).status_code == 404


def test_patch_changes_what_is_given_and_null_clears(site: Site) -> None:
    site.add_image()
    site.add_machine(name="alpha", notes="by the window", image="debian.img")
    answer = Program.of(site).json("PATCH", PATH, {"image": None, "boot_policy": "local"})
    assert answer.status_code == 200
    assert without_time(answer.json) == {
        **NEW,
        "name": "alpha",
        "notes": "by the window",
        "boot_policy": "local",
        "revision": 3,
    }


def test_the_detail_has_the_inventory_and_the_newest_attempt(site: Site) -> None:
    seed(site)
    program = Program.of(site)
    found = program.get(PATH).json
    assert found["inventory"] == InventoryReport.from_wire(INVENTORY).wire()
    assert {
        name: found["attempt"][name] for name in ("id", "mac", "state", "mode", "disk_bytes")
    } == {
        "id": 2,
        "mac": str(MAC),
        "state": "running",
        "mode": "auto",
        "disk_bytes": 5,
    }
    [listed] = program.get("/machines?search=alpha").json["items"]
    assert listed == {k: v for k, v in found.items() if not k.startswith("inventory")}


def test_any_of_its_macs_finds_a_machine(site: Site) -> None:
    add_live_environment(site)
    second = MacAddress.parse("52:54:00:00:00:09")
    nics = [{"name": "eno1", "mac": str(MAC)}, {"name": "eno2", "mac": str(second)}]
    Boot.of(site).inventory(nics=nics)
    found = Program.of(site).get(f"/machines/{second}").json
    assert (found["mac"], found["macs"]) == (str(MAC), sorted([str(MAC), str(second)]))


def test_a_machine_that_is_being_flashed_is_not_removed(site: Site) -> None:
    seed(site)
    program = Program.of(site)
    answer = program.ask("DELETE", PATH)
    assert (answer.status_code, answer.json["detail"]) == (409, "alpha is being flashed")
    assert program.ask("DELETE", f"/machines/{OTHER}").status_code == 204
    assert program.get(f"/machines/{OTHER}").status_code == 404


def test_reflash_is_armed_and_taken_back(site: Site) -> None:
    site.add_machine()
    program = Program.of(site)
    armed = program.ask("POST", f"{PATH}/reflash")
    assert (armed.status_code, armed.json["reflash_armed_at"] is None) == (200, False)
    back = program.ask("DELETE", f"{PATH}/reflash")
    assert (back.status_code, back.json["reflash_armed_at"]) == (200, None)


def test_the_preview_says_what_comes_and_opens_nothing(site: Site) -> None:
    site.add_image()
    site.add_machine(boot_policy="flash")
    program = Program.of(site)
    assert program.get(f"{PATH}/boot").json == {
        "decision": "wizard",
        "reason": "no image is assigned",
        "obstacle": "no image is assigned",
        "live_environment": None,
    }
    add_live_environment(site)
    program.json("PATCH", PATH, {"image": "debian.img", "target": "serial:S5Y1"})
    assert program.get(f"{PATH}/boot").json == {
        "decision": "flash",
        "reason": "its boot policy is flash",
        "obstacle": None,
        "live_environment": "1.0",
    }
    with site.session() as session:
        assert session.query(Attempt).count() == 0


def macs_of(count: int) -> list[str]:
    return [f"52:54:00:00:01:{at:02x}" for at in range(count)]


def test_lists_have_pages_and_the_way_on(site: Site) -> None:
    for mac in macs_of(5):
        site.add_machine(MacAddress.parse(mac))
    program = Program.of(site)
    answer = program.get("/machines?size=2&page=2&sort=-mac")
    assert [one["mac"] for one in answer.json["items"]] == macs_of(5)[::-1][2:4]
    assert {k: v for k, v in answer.json.items() if k != "items"} == {
        "total": 5,
        "page": 2,
        "pages": 3,
        "size": 2,
    }
    assert answer.headers["Link"] == (
        '</api/v1/machines?size=2&page=1&sort=-mac>; rel="first", '
        '</api/v1/machines?size=2&page=3&sort=-mac>; rel="last", '
        '</api/v1/machines?size=2&page=1&sort=-mac>; rel="prev", '
        '</api/v1/machines?size=2&page=3&sort=-mac>; rel="next"'
    )
    beyond = program.get("/machines?size=2&page=9")
    assert (beyond.json["items"], beyond.json["page"], beyond.json["pages"]) == ([], 9, 3)
    assert 'page=3&rel="next"' not in beyond.headers["Link"]


def test_a_filter_lets_through_what_fits(site: Site) -> None:
    seed(site)
    program = Program.of(site)
    for query, macs in {
        "state=running": [str(MAC)],
        "group=rack%201": [str(MAC)],
        "group=-": [str(OTHER)],
        "policy=flash": [str(MAC)],
        "image=-": [str(OTHER)],
        "state=none": [],
    }.items():
        found = [one["mac"] for one in program.get(f"/machines?{query}").json["items"]]
        assert found == macs, query


def test_many_machines_are_changed_together_or_not_at_all(site: Site) -> None:
    site.add_image()
    for mac in macs_of(3):
        site.add_machine(MacAddress.parse(mac))
    program = Program.of(site)
    some = program.json(
        "PATCH", "/machines", {"macs": macs_of(2), "change": {"boot_policy": "local"}}
    )
    assert (some.status_code, some.json) == (200, {"matched": 2, "changed": macs_of(2)})
    rest = program.json(
        "PATCH", "/machines", {"filter": {"policy": "tui"}, "change": {"image": "debian.img"}}
    )
    assert rest.json == {"matched": 1, "changed": macs_of(3)[2:]}
    gone = program.json(
        "PATCH",
        "/machines",
        {"macs": [macs_of(1)[0], "52:54:00:ff:ff:ff"], "change": {"notes": "x"}},
    )
    assert gone.status_code == 404
    assert program.get("/machines?search=x").json["items"] == []
    neither: dict[str, object] = {"change": {}}
    for body in (neither, {"macs": macs_of(1), "filter": {}, **neither}):
        assert program.json("PATCH", "/machines", body).json["field"] == "macs"


def test_times_are_utc(site: Site) -> None:
    site.add_machine()
    assert Program.of(site).get(PATH).json["discovered_at"] == f"{NOW:%Y-%m-%dT%H:%M:%SZ}"
