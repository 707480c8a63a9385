"""Where a machine may be found once it has started its own system."""

from __future__ import annotations

import ipaddress
import json
import socket
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from bty_core import proc
from bty_core.errors import CommandFailed, ProgramMissing
from bty_web.models import Access, Attempt, Mac, Machine
from bty_web.models.words import State
from bty_web.services.seeds import hostname

_MOST = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Traces:
    """What is known of where a machine may be."""

    said: str | None  # the address from which it said that it is up
    flashed: str | None  # the address of the live environment that flashed it
    seen: str | None  # the last address that asked in its name: anybody can
    name: str
    macs: frozenset[str]


def traces(session: Session, machine: Machine, attempt: int | None) -> Traces:
    """Return what is known of where a machine may be, which `attempt` flashed."""
    if attempt is None:
        done = select(Attempt.id).where(
            Attempt.machine_id == machine.id, Attempt.state == State.DONE
        )
        attempt = session.scalar(done.order_by(Attempt.id.desc()).limit(1))
    access = session.get(Access, attempt) if attempt else None
    flashed = session.get(Attempt, attempt) if attempt else None
    return Traces(
        said=access.address if access else None,
        flashed=flashed.client if flashed else None,
        seen=machine.last_seen_ip,
        name=hostname(machine),
        macs=frozenset(session.scalars(select(Mac.mac).where(Mac.machine_id == machine.id))),
    )


def likeliest(found: Traces, *, proven: bool) -> list[str]:
    """Return addresses to try, the likeliest first. Asks the resolver: hold no session meanwhile.

    Where nothing has `proven` that the right machine answers, what anybody can make up is left out.
    """
    places = [found.said, found.flashed]
    if proven:
        places += [found.seen, *_by_name(found.name)]
    places += _neighbours(found.macs)
    return list(dict.fromkeys(one for one in places if one))[:_MOST]


def _by_name(name: str) -> list[str]:
    try:
        known = socket.getaddrinfo(name, 22, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [str(one[4][0]) for one in known if not ipaddress.ip_address(one[4][0]).is_loopback]


def _neighbours(macs: frozenset[str]) -> list[str]:
    try:
        listed = json.loads(proc.run(["ip", "-j", "neigh"], timeout=10) or "[]")
    except (CommandFailed, ProgramMissing, ValueError):
        return []
    return [
        str(one["dst"])
        for one in listed
        if one.get("lladdr") in macs and not str(one["dst"]).startswith("fe80:")
    ]
