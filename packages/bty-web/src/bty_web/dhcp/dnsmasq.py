"""dnsmasq as proxy-DHCP and TFTP server: its configuration, rendered from values alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path
from shlex import join

from bty_core.errors import CommandFailed, InvalidValue, WriteFailed
from bty_core.proc import run
from bty_web.dhcp.durable import sync_folder, unwritable, write_durably
from bty_web.dhcp.values import ProxyDhcp

CONFIGURATION = "bty-pxe.conf"
VALUES = "bty-pxe.json"
ARM_PROGRAM = "ipxe-arm64.efi"

_TIMEOUT = 10.0  # seconds

_TEMPLATE = """\
# Made by bty from its settings: change them there, not here.
# For a dnsmasq of its own: it answers network boots and gives out no addresses.
port=0
log-dhcp
pid-file=
leasefile-ro
interface={interface}
except-interface=lo
bind-dynamic
dhcp-range={network},proxy,{mask}

# Who asks: iPXE first, because it also says which architecture it runs on.
dhcp-userclass=set:ipxe,iPXE
dhcp-match=set:ipxe,175
dhcp-match=set:bios,option:client-arch,0
dhcp-match=set:efi,option:client-arch,7
dhcp-match=set:efi,option:client-arch,9
dhcp-match=set:arm,option:client-arch,11
dhcp-match=set:http,option:client-arch,16
dhcp-pxe-vendor=PXEClient,HTTPClient

# Without a pxe-service dnsmasq stays silent as a proxy; one that matches would leave the boot file out of the offer.
pxe-service=tag:never,0,"bty",none,{server}
dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe,,{server}
dhcp-boot=tag:!ipxe,tag:efi,{uefi_program},,{server}
dhcp-boot=tag:!ipxe,tag:arm,{arm_program},,{server}
dhcp-boot=tag:!ipxe,tag:http,"{http_boot_url}"
dhcp-boot=tag:ipxe,"{bootstrap_url}",,{server}

# Some BIOS ROMs ask for the file in capitals.
enable-tftp
tftp-root={tftp_root}
tftp-lowercase
"""


def render(values: ProxyDhcp) -> str:
    """Return the whole configuration. Nothing but checked values goes into it."""
    return _TEMPLATE.format(
        interface=values.interface,
        network=values.subnet.network_address,
        mask=values.subnet.netmask,
        server=values.server,
        uefi_program=values.uefi_program.value,
        arm_program=ARM_PROGRAM,
        http_boot_url=values.http_boot_url,
        bootstrap_url=values.bootstrap_url,
        tftp_root=values.tftp_root,
    )


def check(text: str) -> None:
    """Have dnsmasq read `text`; raise `CommandFailed` with its words, or `ProgramMissing`."""
    try:
        run(["dnsmasq", "--test", "--conf-file=-"], timeout=_TIMEOUT, stdin=text.encode())
    except CommandFailed as failure:
        raise CommandFailed(
            f"dnsmasq refuses the configuration: {failure.message.rpartition('dnsmasq: ')[2]}",
            hint="nothing was changed; dnsmasq 2.85 or newer is expected",
        ) from None


def active(folder: Path) -> str | None:
    """Return the configuration that is active in `folder`, or None where proxy-DHCP is off."""
    return _read(folder / CONFIGURATION)


def saved(folder: Path) -> ProxyDhcp | None:
    """Return the values that the active configuration was made from, or None where proxy-DHCP is off."""
    text = _read(folder / VALUES)
    if text is None:
        return None
    try:
        return ProxyDhcp.from_wire(json.loads(text))
    except ValueError:
        raise InvalidValue(
            f"{folder / VALUES} is not JSON", hint="save the settings again"
        ) from None


def difference(active: str | None, new: str | None) -> list[str]:
    """Return the lines of a unified difference; none where nothing would change. None means off."""
    lines = unified_diff(
        (active or "").splitlines(), (new or "").splitlines(), "active", "new", lineterm=""
    )
    return list(lines)


def write(folder: Path, values: ProxyDhcp) -> str:
    """Check and write configuration and values into `folder`, and return the configuration."""
    text = render(values)
    check(text)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder / CONFIGURATION, error) from None
    # The values last: the appliance waits for them, and then finds a configuration that fits.
    write_durably(folder / CONFIGURATION, text.encode())
    write_durably(folder / VALUES, f"{json.dumps(values.wire(), indent=2)}\n".encode())
    return text


def remove(folder: Path) -> bool:
    """Switch proxy-DHCP off; return whether it was on."""
    was_on = False
    for name in (CONFIGURATION, VALUES):
        try:
            (folder / name).unlink()
            was_on = True
        except FileNotFoundError:
            continue
        except OSError as error:
            raise WriteFailed(
                f"{folder / name} cannot be removed: {(error.strerror or str(error)).lower()}",
                hint=f"remove it by hand: {join(['sudo', 'rm', str(folder / name)])}",
            ) from None
    if was_on:
        sync_folder(folder)
    return was_on


def command(folder: Path) -> str:
    """Return what to type where no appliance starts dnsmasq by itself."""
    words = ["sudo", "dnsmasq", "--keep-in-foreground", f"--conf-file={folder / CONFIGURATION}"]
    return join(words)


@dataclass(frozen=True, slots=True)
class RouterLines:
    """What to put into another DHCP server, where bty must not answer by itself."""

    title: str
    lines: Sequence[str]
    note: str | None = None  # what these lines cannot do


def router_lines(values: ProxyDhcp) -> list[RouterLines]:
    """Return the lines for the usual DHCP servers."""
    server, program, script = values.server, values.uefi_program.value, values.bootstrap_url
    return [
        RouterLines(
            "A router with two fields (options 66 and 67)",
            [f"next server, option 66: {server}", f"boot file, option 67: {program}"],
            note="one file for every machine: BIOS machines cannot run it, and iPXE is sent to itself"
            " again; prefer a DHCP server that can tell its clients apart",
        ),
        RouterLines(
            "dnsmasq (OpenWrt, Pi-hole)",
            [
                "dhcp-match=set:ipxe,175",
                "dhcp-match=set:bios,option:client-arch,0",
                f"dhcp-boot=tag:!ipxe,tag:bios,undionly.kpxe,,{server}",
                f"dhcp-boot=tag:!ipxe,tag:!bios,{program},,{server}",
                f"dhcp-boot=tag:ipxe,{script}",
            ],
        ),
        RouterLines(
            "ISC dhcpd",
            [
                "option architecture code 93 = unsigned integer 16;",
                f"next-server {server};",
                f'if exists user-class and option user-class = "iPXE" {{ filename "{script}"; }}',
                'elsif option architecture = 0 { filename "undionly.kpxe"; }',
                f'else {{ filename "{program}"; }}',
            ],
        ),
    ]


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InvalidValue(
            f"{path} cannot be read: {(error.strerror or str(error)).lower()}",
            hint="check who owns it, and what stands there",
        ) from None
