"""Values of proxy-DHCP: what is taken, and the sentence for what is not."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from bty_core.wire.fields import InvalidField
from bty_web.dhcp.dnsmasq import render
from bty_web.dhcp.values import ProxyDhcp, UefiProgram

FOLDER = (
    "'{}' cannot be the TFTP folder: it must be an absolute path of letters, digits and . _ + @ -"
)
OPEN = "{} cannot be the TFTP folder: everybody on the network could read its files"
URL = "'{}' cannot be the URL that machines boot from: {}"

WRONG = [
    ("interface", "", "'' is not the name of a network interface"),
    ("interface", "eth0\nport=53", "'eth0?port=53' is not the name of a network interface"),
    ("interface", "eth0,eth1", "'eth0,eth1' is not the name of a network interface"),
    ("interface", "a" * 16, f"'{'a' * 16}' is not the name of a network interface"),
    ("interface", "lo", "'lo' reaches no machine"),
    (
        "subnet",
        "10.77.0.1/24",
        "'10.77.0.1/24' is not an IPv4 subnet: its last part names a machine, not the network",
    ),
    (
        "subnet",
        "fd00::/64",
        "'fd00::/64' is not an IPv4 subnet: four numbers and a length are expected",
    ),
    ("subnet", "10.77.0.0", "'10.77.0.0' must have a length from /8 to /30"),
    ("subnet", "0.0.0.0/0", "'0.0.0.0/0' must have a length from /8 to /30"),
    ("subnet", "127.0.0.0/8", "127.0.0.0/8 is not a subnet that machines can be in"),
    ("server", "10.78.0.2", "10.78.0.2 is not in the subnet 10.77.0.0/24"),
    ("server", "10.77.0.255", "10.77.0.255 is the address of no machine in 10.77.0.0/24"),
    ("server", "bty", "'bty' is not an IPv4 address"),
    (
        "url",
        "https://10.77.0.2",
        URL.format(
            "https://10.77.0.2", "the boot path is plain http, which every firmware can read"
        ),
    ),
    (
        "url",
        'http://10.77.0.2/"x',
        URL.format('http://10.77.0.2/"x', "host, port and path must be plain"),
    ),
    (
        "url",
        "http://10.77.0.2:8080/?a",
        URL.format("http://10.77.0.2:8080/?a", "it must have no user, query or fragment"),
    ),
    (
        "url",
        "http://u:p@10.77.0.2",
        URL.format("http://u:p@10.77.0.2", "it must have no user, query or fragment"),
    ),
    ("url", "http://10.77.0.2:99999", URL.format("http://10.77.0.2:99999", "it is not an address")),
    ("tftp_root", "tftp", FOLDER.format("tftp")),
    ("tftp_root", '/srv/"tftp"', FOLDER.format('/srv/"tftp"')),
    ("tftp_root", "/srv/tftp,eth1", FOLDER.format("/srv/tftp,eth1")),
    ("tftp_root", "/srv/../etc", FOLDER.format("/srv/../etc")),
    ("tftp_root", "/", FOLDER.format("/")),
    ("tftp_root", "/etc/bty", OPEN.format("/etc/bty")),
    ("tftp_root", "/home", OPEN.format("/home")),
    (
        "uefi_program",
        "grub.efi",
        "'uefi_program' must be one of snponly.efi, ipxe.efi, not 'grub.efi'",
    ),
    ("subnet", None, "'subnet' is missing"),
    ("server", 7, "'server' must be a text, not 7"),
]


@pytest.mark.parametrize(("field", "value", "message"), WRONG)
def test_a_wrong_value_is_refused_and_its_field_named(
    given: dict[str, object], field: str, value: object, message: str
) -> None:
    with pytest.raises(InvalidField) as failure:
        ProxyDhcp.parse({**given, field: value})
    assert (failure.value.field, failure.value.message) == (field, message)


def test_what_is_written_is_read_again(values: ProxyDhcp) -> None:
    other = replace(values, uefi_program=UefiProgram.IPXE)
    assert ProxyDhcp.from_wire(other.wire()) == other
    assert values.wire() == {
        "schema_version": "1",
        "interface": "eth0",
        "subnet": "10.77.0.0/24",
        "server": "10.77.0.2",
        "url": "http://10.77.0.2:8080",
        "tftp_root": "/var/lib/bty/tftp",
        "uefi_program": "snponly.efi",
    }


def test_another_version_of_the_values_is_refused(values: ProxyDhcp) -> None:
    with pytest.raises(InvalidField, match="'schema_version' must be '1'"):
        ProxyDhcp.from_wire({**values.wire(), "schema_version": "2"})


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("http://10.77.0.2:8080/", "http://10.77.0.2:8080"),
        ("http://BTY.lan", "http://bty.lan"),
        ("http://bty.lan/boot-server/", "http://bty.lan/boot-server"),
    ],
)
def test_a_url_is_kept_one_way(given: dict[str, object], text: str, kept: str) -> None:
    assert ProxyDhcp.parse({**given, "url": text}).url == kept


@drawn(
    field=st.sampled_from(["interface", "subnet", "server", "url", "tftp_root", "uefi_program"]),
    value=st.text(max_size=40)
    | st.text(alphabet='/:.-_,"\\\n\r\t #=abc019http', max_size=40)
    | st.builds("http://10.77.0.2{}".format, st.text(max_size=20))
    | st.builds("/srv/{}".format, st.text(max_size=20)),
)
def test_no_value_can_add_a_directive(field: str, value: str) -> None:
    usual = {
        "interface": "eth0",
        "subnet": "10.77.0.0/24",
        "server": "10.77.0.2",
        "url": "http://10.77.0.2:8080",
        "tftp_root": "/var/lib/bty/tftp",
    }
    plain = render(ProxyDhcp.parse(usual))
    try:
        text = render(ProxyDhcp.parse({**usual, field: value}))
    except InvalidField:
        return
    shape = [(line.partition("=")[0], line.count(",")) for line in plain.splitlines()]
    assert [(line.partition("=")[0], line.count(",")) for line in text.splitlines()] == shape
    assert text.count('"') == plain.count('"')
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
