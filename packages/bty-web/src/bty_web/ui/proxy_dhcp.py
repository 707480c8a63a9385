"""The page of proxy-DHCP: off until somebody has seen what would change and says so."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from flask import flash, redirect, render_template, request, url_for
from sqlalchemy import select
from werkzeug.wrappers import Response

from bty_core.errors import BtyError
from bty_core.wire.fields import InvalidField
from bty_web import security
from bty_web.dhcp import dnsmasq
from bty_web.dhcp.dnsmasq import RouterLines
from bty_web.dhcp.interfaces import Interface, interfaces
from bty_web.dhcp.values import ProxyDhcp, UefiProgram
from bty_web.errors import Conflict
from bty_web.extensions import db, writing
from bty_web.jobs import queue
from bty_web.models import Job
from bty_web.models.words import JobState
from bty_web.problems import status_of
from bty_web.security import login_required, person
from bty_web.services import appliance, jobs, preferences
from bty_web.services.appliance import Applied, Done
from bty_web.services.clock import now
from bty_web.services.history import record
from bty_web.settings import Settings
from bty_web.ui.blueprint import bp
from bty_web.ui.settings import fixed_by

# Where the appliance watches for what is written here, and starts dnsmasq by itself.
PATH_UNITS = (
    Path("/usr/lib/systemd/system/bty-proxy-dhcp.path"),
    Path("/etc/systemd/system/bty-proxy-dhcp.path"),
)
_PATIENCE = 10.0  # seconds that somebody who presses the button waits for dnsmasq
# The fields of the form, and the settings that they are kept in.
FIELDS = {
    "interface": "dhcp_interface",
    "subnet": "dhcp_subnet",
    "server": "dhcp_server",
    "uefi_program": "dhcp_uefi_program",
}
PROGRAMS = {
    UefiProgram.SNPONLY: "snponly.efi, with the firmware's own driver (safer)",
    UefiProgram.IPXE: "ipxe.efi, with drivers of iPXE",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """One network of this host that machines may be in."""

    interface: str
    subnet: str
    server: str
    up: bool
    hardware: bool

    @property
    def value(self) -> str:
        """What the form sends."""
        return f"{self.interface} {self.subnet} {self.server}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What activating would do. `fault` is why it cannot be done."""

    values: ProxyDhcp
    text: str
    is_new: bool  # nothing is active, so there is nothing to differ from
    difference: Sequence[str]
    fault: BtyError | None

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The lines of the difference, each with what it is."""
        kinds = {"+": "added", "-": "removed", "@": "place"}
        return [(kinds.get(line[:1], "same"), line) for line in self.difference[2:]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyDhcpPage:
    """What the page of proxy-DHCP shows."""

    active: ProxyDhcp | None
    unreadable: BtyError | None  # why it is not known what is active
    networks: Sequence[Network]
    interfaces: Sequence[str]
    values: Mapping[str, str]
    fixed: Mapping[str, str]
    by_itself: bool  # whether the appliance applies what is written
    helped: Applied | None  # what its helper made of what is written now
    pending: bool  # whether the helper has not come to it yet
    command: str
    file: str
    reachable: bool  # whether machines can reach this server at all
    bind: str
    probe: Job | None
    may_probe: bool
    router: Sequence[RouterLines]
    preview: Preview | None = None
    error: BtyError | None = None
    programs = PROGRAMS

    @property
    def field(self) -> str:
        """The field that is wrong, if one is."""
        return self.error.field if isinstance(self.error, InvalidField) else ""

    @property
    def chosen(self) -> str:
        """Which of `networks` the values are, if they are one."""
        return " ".join(self.values[name] for name in ("interface", "subnet", "server"))

    @property
    def elsewhere(self) -> bool:
        """Whether the values are none of `networks`, or the page cannot choose them all."""
        known = {network.value for network in self.networks}
        fixed = {"interface", "subnet", "server"} & set(self.fixed)
        return bool(fixed) or bool(self.chosen.strip() and self.chosen not in known)

    @property
    def probing(self) -> bool:
        """Whether a test is under way."""
        return self.probe is not None and self.probe.state in (JobState.QUEUED, JobState.RUNNING)


@bp.get("/settings/proxy-dhcp")
@login_required
def proxy_dhcp() -> str:
    """Show whether proxy-DHCP is on, and with which values."""
    return render_template("settings/proxy_dhcp.html", page=_page(_kept(security.settings())))


@bp.post("/settings/proxy-dhcp/preview")
@login_required
def proxy_dhcp_preview() -> str | tuple[str, int]:
    """Show what activating would write, whether dnsmasq takes it, and what it would change."""
    in_force = security.settings()
    wanted = _wanted(in_force)
    try:
        preview = _preview(in_force, _parsed(in_force, wanted))
    except BtyError as error:
        page = _page(wanted, error=error)
        return render_template("settings/proxy_dhcp.html", page=page), status_of(error)
    return render_template("settings/proxy_dhcp.html", page=_page(wanted, preview=preview))


@bp.post("/settings/proxy-dhcp")
@login_required
def proxy_dhcp_activate() -> Response | tuple[str, int]:
    """Write the configuration and keep its values."""
    in_force = security.settings()
    wanted = _wanted(in_force)
    try:
        values = _parsed(in_force, wanted)
        dnsmasq.write(in_force.dnsmasq_dir, values)
    except BtyError as error:
        page = _page(wanted, error=error)
        return render_template("settings/proxy_dhcp.html", page=page), status_of(error)
    kept = {FIELDS[name]: text for name, text in wanted.items() if name not in _fixed(in_force)}
    told = f"proxy-DHCP was activated on {values.interface} for {values.subnet}"
    with writing() as session:
        preferences.change(session, security.process_settings(), kept, by=person(), now=now())
        record(session, "dhcp.activated", told, by=person(), now=now(), subject=values.interface)
    security.settings_changed()
    _tell(_helped(_PATIENCE), f"Proxy-DHCP is configured on {values.interface}.")
    return redirect(url_for("ui.proxy_dhcp"))


@bp.get("/settings/proxy-dhcp/off")
@login_required
def proxy_dhcp_ask_off() -> str:
    """Ask before proxy-DHCP is switched off."""
    return render_template("settings/proxy_dhcp_off.html", page=_page(_kept(security.settings())))


@bp.post("/settings/proxy-dhcp/off")
@login_required
def proxy_dhcp_off() -> Response:
    """Switch proxy-DHCP off; the values stay for the next time."""
    was_on = dnsmasq.remove(security.settings().dnsmasq_dir)
    if was_on:
        with writing() as session:
            told = "proxy-DHCP was switched off"
            record(session, "dhcp.removed", told, by=person(), now=now(), subject="proxy-DHCP")
    _tell(_helped(_PATIENCE), "Proxy-DHCP is off." if was_on else "Proxy-DHCP was off already.")
    return redirect(url_for("ui.proxy_dhcp"))


@bp.post("/settings/proxy-dhcp/test")
@login_required
def proxy_dhcp_probe() -> Response:
    """Queue a look at who answers network boots on an interface."""
    interface = request.form.get("interface", "")
    if interface not in {one.name for one in _interfaces()}:
        raise InvalidField("interface", "this server has no such network interface")
    if not may_probe():
        raise Conflict(
            "this server may not send raw packets", hint=f"run: sudo bty-web probe {interface}"
        )
    with writing() as session:
        running = session.scalar(
            select(Job.id).where(
                Job.kind == "probe", Job.state.in_([JobState.QUEUED, JobState.RUNNING])
            )
        )
        if running is not None:
            raise Conflict("a test is under way already", hint="it takes a few seconds")
        number = jobs.add(session, "probe", interface, {}, by=person(), now=now()).id
    queue.enqueue(security.process_settings(), [number])
    return redirect(url_for("ui.proxy_dhcp", _anchor="test"))


@bp.get("/settings/proxy-dhcp/test")
@login_required
def proxy_dhcp_probe_result() -> str:
    """Show the newest test, for a page that follows it."""
    page = _page(_kept(security.settings()))
    return render_template("settings/_probe.html", page=page)


def may_probe() -> bool:
    """Whether a helper asks for this server, or this process, and so a worker beside it, may send raw packets."""
    if security.process_settings().appliance_dir is not None:
        return True
    try:
        socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0).close()
    except OSError:
        return False
    return True


def _kept(in_force: Settings) -> dict[str, str]:
    return {name: str(getattr(in_force, setting)) for name, setting in FIELDS.items()}


def _fixed(in_force: Settings) -> dict[str, str]:
    found = {name: fixed_by(in_force, setting) for name, setting in FIELDS.items()}
    return {name: source for name, source in found.items() if source}


def _wanted(in_force: Settings) -> dict[str, str]:
    """Return what the form says: a network out of the list, or one written by hand."""
    kept, fixed = _kept(in_force), _fixed(in_force)
    given = {name: request.form.get(name, "").strip()[:200] for name in FIELDS}
    chosen = request.form.get("network", "").split()
    if len(chosen) == 3:
        given.update(zip(("interface", "subnet", "server"), chosen, strict=True))
    return {name: kept[name] if name in fixed else given[name] for name in FIELDS}


def _parsed(in_force: Settings, wanted: Mapping[str, str]) -> ProxyDhcp:
    """Return the whole configuration's values; raise `InvalidField`."""
    for name, what in (
        ("interface", "the network interface"),
        ("subnet", "the subnet"),
        ("server", "this server's address"),
    ):
        if not wanted[name]:
            raise InvalidField(name, f"{what} is missing", hint="choose a network")
    return ProxyDhcp.parse(
        {
            **wanted,
            "url": f"http://{wanted['server']}:{in_force.bind.port}",
            "tftp_root": str(in_force.tftp_root),
        }
    )


def _preview(in_force: Settings, values: ProxyDhcp) -> Preview:
    text = dnsmasq.render(values)
    fault: BtyError | None = None
    try:
        dnsmasq.check(text)
    except BtyError as error:
        fault = error
    active = dnsmasq.active(in_force.dnsmasq_dir)
    return Preview(
        values=values,
        text=text,
        is_new=active is None,
        difference=dnsmasq.difference(active, text),
        fault=fault,
    )


def _page(
    values: Mapping[str, str], *, preview: Preview | None = None, error: BtyError | None = None
) -> ProxyDhcpPage:
    in_force = security.settings()
    folder = in_force.dnsmasq_dir
    active, unreadable = _active(folder)
    found = _interfaces()
    newest = select(Job).where(Job.kind == "probe").order_by(Job.id.desc()).limit(1)
    return ProxyDhcpPage(
        active=active,
        unreadable=unreadable,
        networks=_networks(found),
        interfaces=[one.name for one in found],
        values=values,
        fixed=_fixed(in_force),
        by_itself=any(unit.exists() for unit in PATH_UNITS),
        helped=(helped := _helped()),
        pending=in_force.appliance_dir is not None and helped is None and active is not None,
        command=dnsmasq.command(folder),
        file=str(folder / dnsmasq.CONFIGURATION),
        reachable=not _loopback(in_force.bind.host),
        bind=str(in_force.bind),
        probe=db.session.scalar(newest),
        may_probe=may_probe(),
        router=_router(in_force, values),
        preview=preview,
        error=error,
    )


def _helped(patience: float = 0.0) -> Applied | None:
    """Return what the appliance's helper made of what is written, given `patience` seconds; None elsewhere."""
    in_force = security.settings()
    if in_force.appliance_dir is None:
        return None
    return appliance.settled(
        in_force.appliance_dir, in_force.dnsmasq_dir / dnsmasq.VALUES, patience
    )


def _tell(helped: Applied | None, said: str) -> None:
    """Say how it ended; the page itself shows what went wrong."""
    if helped is None or helped.done in (Done.ON, Done.OFF):
        flash(said, "ok")


def _active(folder: Path) -> tuple[ProxyDhcp | None, BtyError | None]:
    try:
        return dnsmasq.saved(folder), None
    except BtyError as error:
        return None, error


def _interfaces() -> list[Interface]:
    try:
        return interfaces()
    except BtyError:  # then they are written by hand
        return []


def _networks(found: Sequence[Interface]) -> list[Network]:
    return [
        Network(
            interface=one.name,
            subnet=str(address.network),
            server=str(address.ip),
            up=one.up,
            hardware=one.hardware,
        )
        for one in found
        for address in one.networks
        if 8 <= address.network.prefixlen <= 30
    ]


def _router(in_force: Settings, values: Mapping[str, str]) -> list[RouterLines]:
    try:
        return dnsmasq.router_lines(_parsed(in_force, values))
    except BtyError:
        return []


def _loopback(host: str) -> bool:
    return host == "localhost" or host.startswith("127.") or host == "::1"
