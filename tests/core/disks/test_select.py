"""Which disk a selector means."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bty_core.disks.lsblk import parse
from bty_core.disks.model import Disk, Kind, Transport, Use
from bty_core.disks.select import ALLOWED, Condition, Key, Pick, Selector, choose
from bty_core.disks.sysfs import KernelFacts
from bty_core.errors import DiskAmbiguous, DiskNotFound, InvalidValue

DATA = Path(__file__).parents[2] / "data" / "lsblk"
ANY = f"allowed: {ALLOWED}; a comma joins them"


def disk(name: str, **changed: object) -> Disk:
    fields: dict[str, object] = {
        "path": Path("/dev", name),
        "kind": Kind.DISK,
        "size": 10**12,
        "logical_sector": 512,
        "physical_sector": 512,
        "device": (8, 0),
        "diskseq": None,
        "model": None,
        "serial": None,
        "wwn": None,
        "transport": Transport.SATA,
        "removable": False,
        "read_only": False,
        "rotational": False,
        "by_path": (),
        "table": None,
        "filesystem": None,
        "label": None,
        "partitions": (),
        "uses": (),
    }
    return Disk(**{**fields, **changed})  # type: ignore[arg-type]


A = disk("sda", model="Samsung SSD 870", serial="S5Y1", wwn="0x5002538F", by_path=("pci-1-ata-1",))
B = disk("sdb", model="Samsung SSD 860", serial="S3Z2", wwn="naa.5002538e", size=5 * 10**11)
N = disk("nvme0n1", model="WD_BLACK SN770", wwn="eui.0025385B", transport=Transport.NVME)
U = disk("sdc", model="SanDisk Ultra", serial="4C53", transport=Transport.USB, removable=True)
L = disk("loop0", kind=Kind.LOOP, size=4096, transport=Transport.OTHER)
ALL = [A, B, N, U, L]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/dev/sda", A),
        ("/dev/../dev/loop0", L),
        ("/dev/sdb,size<=500G", B),
        ("serial:S5Y1", A),
        ("serial: s5y1 ", A),
        ("serial:4c53", U),
        ("wwn:5002538f", A),
        ("wwn:0X5002538F", A),
        ("wwn:naa.5002538F", A),
        ("wwn:0x5002538e", B),
        ("wwn:eui.0025385b", N),
        ("by-path:pci-1-ata-1", A),
        ("by-path:/dev/disk/by-path/pci-1-ata-1", A),
        ("model:ssd 870", A),
        ("model:wd black", N),
        ("model:WD_BLACK", N),
        ("transport:nvme", N),
        ("transport:usb", U),
        ("smallest", B),
        ("transport:sata,largest", A),
        ("model:samsung,size>=501G", A),
        ("size<=500GB,only", B),
        ("largest,model:samsung", A),
        ("serial:S5Y1,model:870,only", A),
    ],
)
def test_one_disk_is_meant(text: str, expected: Disk) -> None:
    assert choose(ALL, Selector.parse(text)) is expected


def test_a_link_is_followed(tmp_path: Path) -> None:
    link = tmp_path / "by-id"
    link.symlink_to("/dev/sda")
    assert choose(ALL, Selector.parse(str(link))) is A


ALL_LISTED = (
    "/dev/sda (Samsung SSD 870, serial S5Y1, 1.00 TB), "
    "/dev/sdb (Samsung SSD 860, serial S3Z2, 500 GB), "
    "/dev/nvme0n1 (WD_BLACK SN770, no serial, 1.00 TB), "
    "/dev/sdc (SanDisk Ultra, serial 4C53, 1.00 TB), "
    "/dev/loop0 (no model, no serial, 4.10 kB)"
)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "largest",
            "'largest' matches 2 disks: /dev/sda (Samsung SSD 870, serial S5Y1, 1.00 TB), "
            "/dev/nvme0n1 (WD_BLACK SN770, no serial, 1.00 TB)",
            "name one of them, for example serial:S5Y1",
        ),
        (
            "model:samsung",
            "'model:samsung' matches 2 disks: /dev/sda (Samsung SSD 870, serial S5Y1, 1.00 TB), "
            "/dev/sdb (Samsung SSD 860, serial S3Z2, 500 GB)",
            "name one of them, for example serial:S5Y1",
        ),
    ],
)
def test_more_than_one_is_refused_with_the_candidates(text: str, message: str, hint: str) -> None:
    with pytest.raises(DiskAmbiguous) as caught:
        choose(ALL, Selector.parse(text))
    assert (caught.value.message, caught.value.hint) == (message, hint)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        (
            "serial:S5Y",
            f"no disk matches 'serial:S5Y'; there are: {ALL_LISTED}",
            "choose one of them, for example serial:S5Y1",
        ),
        (
            "model:sandisk,size>=1G,largest",
            "no disk matches 'model:sandisk,size>=1G,largest', which does not name "
            "/dev/sdc (SanDisk Ultra, serial 4C53, 1.00 TB)",
            "USB, removable, loop and virtual disks are only taken when named: serial:4C53",
        ),
        (
            "size<=1MB",
            "no disk matches 'size<=1MB', which does not name "
            "/dev/loop0 (no model, no serial, 4.10 kB)",
            "USB, removable, loop and virtual disks are only taken when named: /dev/loop0",
        ),
    ],
)
def test_none_is_refused_with_what_there_is(text: str, message: str, hint: str) -> None:
    with pytest.raises(DiskNotFound) as caught:
        choose(ALL, Selector.parse(text))
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_a_machine_without_disks() -> None:
    with pytest.raises(DiskNotFound) as caught:
        choose([], Selector.parse("only"))
    assert caught.value.message == "no disk matches 'only': this machine shows no disks"
    assert caught.value.hint == (
        "check the cables, and the storage controller in the firmware's settings"
    )


def test_two_disks_with_one_serial_are_told_apart_by_wwn() -> None:
    found = parse((DATA / "equal-serials.json").read_text(), facts=KernelFacts())
    with pytest.raises(DiskAmbiguous) as caught:
        choose(found, Selector.parse("serial:0123456789abcdef"))
    assert caught.value.message == (
        "'serial:0123456789abcdef' matches 2 disks: "
        "/dev/sda (Generic SSD, serial 0123456789ABCDEF, 240 GB), "
        "/dev/sdb (Generic SSD, serial 0123456789ABCDEF, 240 GB)"
    )
    assert caught.value.hint == "name one of them, for example wwn:0x5000000000000001"


@pytest.mark.parametrize("text", ["smallest", "only", "size<=10M", "transport:sata,smallest"])
def test_a_drive_without_a_medium_is_never_the_smallest(text: str) -> None:
    empty = disk("sdx", size=0)
    with pytest.raises(DiskNotFound):
        choose([empty], Selector.parse(text))
    assert choose([empty], Selector.parse("/dev/sdx")) is empty


@pytest.mark.parametrize("serial", [None, "", "   ", "0x", "eui."])
def test_an_empty_serial_never_matches(serial: str | None) -> None:
    unnamed = disk("sda", serial=serial, wwn=serial)
    for key in (Key.SERIAL, Key.WWN):
        for value in ("", " ", "0x", "eui.", "0"):
            assert not Condition(key, value).matches(unnamed)


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("", "the disk selector is empty", ANY),
        ("  ", "the disk selector is empty", ANY),
        ("only,", "'only,' has an empty condition", ANY),
        ("sda", "'sda' is not a condition for a disk", ANY),
        ("serail:X", "'serail:X' is not a condition for a disk", ANY),
        ("size>10G", "'size>10G' is not a condition for a disk", ANY),
        ("serial:", "'serial:' has no value", ANY),
        ("serial:0x", "'serial:0x' has no value", ANY),
        ("model:_", "'model:_' has no value", ANY),
        ("transport:scsi", "'scsi' is not a transport", ANY),
        (
            "smallest,largest",
            "'smallest,largest' has smallest and largest, and only one can decide",
            ANY,
        ),
        (
            "size>=lots",
            "'lots' is not a size",
            "write a number with a unit, for example 500G, 16GiB or 4096",
        ),
        (
            "file:/tmp/a,only",
            "'file:/tmp/a,only' combines file: with something else",
            "write file:PATH alone; a comma in the path is written \\,",
        ),
        ("file:", "'file:' has no path", ANY),
        ("/dev/\0", "'/dev/\\x00' has a zero byte", ANY),
    ],
)
def test_what_is_no_selector(text: str, message: str, hint: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        Selector.parse(text)
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_what_is_allowed_is_said() -> None:
    assert ALLOWED == (
        "a path, serial:TEXT, wwn:TEXT, by-path:NAME, model:TEXT, size>=SIZE, size<=SIZE, "
        "transport:nvme|sata|sas|usb|virtio|mmc|iscsi|fc, smallest, largest, only, "
        "or file:PATH alone"
    )


def test_a_regular_file_is_named_by_itself() -> None:
    selector = Selector.parse("file:/tmp/a\\,b.img")
    assert (selector.file, str(selector)) == (Path("/tmp/a,b.img"), "file:/tmp/a\\,b.img")
    assert Selector.parse("/dev/sda,only").path == Path("/dev/sda")
    with pytest.raises(InvalidValue) as caught:
        choose(ALL, selector)
    assert caught.value.message == (
        "'file:/tmp/a\\,b.img' names a regular file, not one of the disks"
    )


def test_commas_and_backslashes_in_values() -> None:
    odd = disk("sda", serial="A,B\\x20")
    assert choose([odd], Selector.parse("serial:A\\,B\\x20")) is odd
    assert str(Selector.parse("serial:A\\,B\\x20")) == "serial:A\\,B\\\\x20"


VALUE = st.text(st.characters(exclude_categories=["C"]), min_size=1).map(str.strip).filter(bool)
CONDITIONS = st.one_of(
    st.builds(Condition, st.sampled_from([Key.SERIAL, Key.WWN]), VALUE.map(lambda v: f"s{v}")),
    st.builds(Condition, st.just(Key.MODEL), VALUE.map(lambda v: f"m{v}")),
    st.builds(Condition, st.just(Key.BY_PATH), VALUE),
    st.builds(Condition, st.just(Key.PATH), VALUE.map(lambda v: f"/{v}")),
    st.builds(
        Condition, st.sampled_from([Key.AT_LEAST, Key.AT_MOST]), st.integers(0, 2**70).map(str)
    ),
    st.builds(Condition, st.just(Key.TRANSPORT), st.sampled_from([str(t) for t in Transport])),
)
SELECTORS = st.builds(
    lambda conditions, pick: Selector(tuple(conditions), pick),
    st.lists(CONDITIONS, max_size=4),
    st.none() | st.sampled_from(Pick),
).filter(lambda selector: bool(str(selector)))


@given(SELECTORS)
def test_a_selector_survives_being_written_down(selector: Selector) -> None:
    assert Selector.parse(str(selector)) == selector


@given(st.text())
def test_any_text_is_a_selector_or_an_invalid_value(text: str) -> None:
    try:
        selector = Selector.parse(text)
    except InvalidValue:
        return
    assert Selector.parse(str(selector)) == selector


FEW = st.sampled_from([None, "", "A1", "a1", "B2"])
DISKS = st.lists(
    st.builds(
        lambda size, serial, wwn, model, transport, removable, kind: disk(
            "x",
            size=size,
            serial=serial,
            wwn=wwn,
            model=model,
            transport=transport,
            removable=removable,
            kind=kind,
        ),
        st.sampled_from([0, 1, 2, 10**9]),
        FEW,
        FEW,
        FEW,
        st.sampled_from([Transport.SATA, Transport.USB]),
        st.booleans(),
        st.sampled_from([Kind.DISK, Kind.LOOP]),
    ),
    max_size=5,
)
ASKED = st.lists(
    st.sampled_from(
        ["serial:a1", "wwn:A1", "model:1", "size>=2", "size<=2", "transport:usb", "transport:sata"]
    ),
    max_size=3,
    unique=True,
)


@given(DISKS, ASKED, st.none() | st.sampled_from(Pick))
def test_a_disk_is_chosen_only_where_exactly_one_is_meant(
    disks: list[Disk], asked: list[str], pick: Pick | None
) -> None:
    """Judged by a second, slow reading of the rules."""
    selector = Selector(Selector.parse(",".join(asked)).conditions if asked else (), pick)

    def meets(one: Disk) -> bool:
        return all(
            {
                "serial:a1": (one.serial or "").lower() == "a1",
                "wwn:A1": (one.wwn or "").lower() == "a1",
                "model:1": "1" in (one.model or ""),
                "size>=2": one.size >= 2,
                "size<=2": one.size <= 2,
                "transport:usb": one.transport is Transport.USB,
                "transport:sata": one.transport is Transport.SATA,
            }[text]
            for text in asked
        )

    def hidden(one: Disk) -> bool:
        shy = one.removable or one.kind is Kind.LOOP or one.size == 0
        named = "serial:a1" in asked or "wwn:A1" in asked
        if one.transport is Transport.USB:
            return not (named or "transport:usb" in asked)
        return shy and not named

    meant = [one for one in disks if meets(one) and not hidden(one)]
    if pick is Pick.SMALLEST:
        meant = [one for one in meant if all(one.size <= other.size for other in meant)]
    if pick is Pick.LARGEST:
        meant = [one for one in meant if all(one.size >= other.size for other in meant)]
    if len(meant) == 1:
        assert choose(disks, selector) is meant[0]
    else:
        with pytest.raises(DiskAmbiguous if meant else DiskNotFound):
            choose(disks, selector)


def test_the_example_in_a_hint_is_a_disk_that_is_free() -> None:
    system = replace(
        disk("sda", serial="SYSTEM"), uses=(Use(device=Path("/dev/sda"), what="mounted on /"),)
    )
    with pytest.raises(DiskNotFound) as caught:
        choose([system, disk("sdb", serial="FREE")], Selector.parse("serial:NONE"))
    assert caught.value.hint == "choose one of them, for example serial:FREE"
