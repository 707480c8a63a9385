"""What a network answers to each kind of client: for programs, for a terminal, and in sentences."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from bty_web.dhcp.clients import Client
from bty_web.dhcp.packets import Offer

SCHEMA_VERSION = "1"

_WIDTH = 80
_COLUMNS = (9, 15, 15)  # client, server, address; the boot file has the rest
_GAP = "  "
_FILE = _WIDTH - sum(_COLUMNS) - len(_COLUMNS) * len(_GAP)
_BELOW = " " * (_COLUMNS[0] + 2 * len(_GAP))


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What one server told one client."""

    offer: Offer
    asked: bool = False  # whether it had to be asked again, on port 4011
    told: Offer | None = None  # what it said there

    @property
    def file(self) -> str | None:
        """The boot file, whichever way the client learns of it."""
        return self.offer.file or (self.told.file if self.told else None)

    @property
    def boot_server(self) -> str:
        """Where the boot file is, unless it is a URL."""
        best = self.told or self.offer
        return str(best.next_server or best.server_name or best.who)

    def wire(self) -> dict[str, Any]:
        """Return it as JSON values."""
        offer = self.offer
        return {
            "server": str(offer.who),
            "source": str(offer.source),
            "source_mac": offer.source_mac,
            "proxy": offer.is_proxy,
            "address": str(offer.address) if offer.address else None,
            "next_server": str(offer.next_server) if offer.next_server else None,
            "server_name": offer.server_name,
            "file": self.file,
            "vendor_class": offer.vendor_class,
            "vendor_options": offer.vendor_options.hex() if offer.vendor_options else None,
            "options": list(offer.options),
            "asked_on_4011": self.asked,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one kind of client was answered."""

    client: Client
    answers: tuple[Answer, ...]

    @property
    def boots(self) -> list[Answer]:
        """The answers that name a boot file."""
        return [answer for answer in self.answers if answer.file]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """All results of one look at one interface."""

    interface: str
    results: Sequence[Result]

    def verdicts(self) -> list[str]:
        """Return what a person should know, in sentences; clients with the same fate share one."""
        shared: dict[str, list[str]] = {}
        for result in self.results:
            shared.setdefault(_fate(result), []).append(result.client.name)
        sentences = [fate.replace("CLIENTS", _listed(names)) for fate, names in shared.items()]
        return [*sentences, *self._addresses(), *self._wrong_files()]

    def wire(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "interface": self.interface,
            "clients": [
                {
                    "client": result.client.key,
                    "name": result.client.name,
                    "architecture": result.client.architecture,
                    "answers": [answer.wire() for answer in result.answers],
                }
                for result in self.results
            ],
            "verdicts": self.verdicts(),
        }

    def text(self) -> str:
        """Return a table of at most 80 columns, and the verdicts."""
        lines = [_row("client", "server", "address", "boot file")]
        for result in self.results:
            lines += _rows(result)
        return "\n".join([*lines, "", *_wrapped(self.verdicts())]) + "\n"

    def _addresses(self) -> list[str]:
        ordinary = {
            str(answer.offer.who)
            for result in self.results
            for answer in result.answers
            if not answer.offer.is_proxy
        }
        if not ordinary:
            return ["no DHCP server gives addresses here: without one nothing boots"]
        if len(ordinary) > 1:
            servers = _listed(sorted(ordinary))
            return [f"{_counted(len(ordinary))} DHCP servers give addresses here: {servers}"]
        return [f"addresses come from {next(iter(ordinary))}"]

    def _wrong_files(self) -> list[str]:
        plain = [result for result in self.results if not result.client.ipxe]
        bios = {a.file for r in plain if r.client.architecture == 0 for a in r.boots}
        others = {a.file for r in plain if r.client.architecture != 0 for a in r.boots}
        chained = {a.file for r in self.results if r.client.ipxe for a in r.boots}
        same = sorted(f"'{file}'" for file in bios & others if file)
        again = sorted(f"'{file}'" for file in chained & (bios | others) if file)
        found = []
        if same:
            found.append(f"BIOS and UEFI are offered the same {_listed(same)}: one cannot run it")
        if again:
            found.append(f"iPXE is offered {_listed(again)} again, and would load it for ever")
        return found


def _fate(result: Result) -> str:
    """Return the sentence for one kind of client, with CLIENTS in place of its name."""
    if not result.answers:
        return "nobody answered CLIENTS"
    sources = {_source(answer): answer for answer in result.boots}
    if not sources:
        servers = _listed(sorted({str(answer.offer.who) for answer in result.answers}))
        silent = any(answer.asked for answer in result.answers)
        more = ", not even on port 4011" if silent else ""
        return f"CLIENTS clients are offered no boot file{more}; {servers} answered"
    if len(sources) == 1:
        return f"CLIENTS clients get {next(iter(sources))}"
    offers = _listed(sorted(sources))
    many = len({answer.offer.who for answer in sources.values()})
    if many == 1:
        return f"one server offers CLIENTS clients {_counted(len(sources))} boot files: {offers}"
    return f"{_counted(many)} servers offer CLIENTS clients a boot file: {offers}"


def _source(answer: Answer) -> str:
    file = answer.file or ""
    # A URL says itself where it is; who sent it is still worth knowing where several do.
    return f"{file} from {answer.offer.who if '://' in file else answer.boot_server}"


def _rows(result: Result) -> list[str]:
    if not result.answers:
        return [_row(result.client.name, "-", "-", "nobody answered")]
    lines: list[str] = []
    for at, answer in enumerate(result.answers):
        offer = answer.offer
        name = "" if at else result.client.name
        file = answer.file or "-"
        if answer.asked:
            file = f"{file} (asked on port 4011)"
        address = str(offer.address) if offer.address else "proxy"
        if len(file) <= _FILE:
            lines.append(_row(name, str(offer.who), address, file))
            continue
        # A URL stays in one piece, for whoever copies it.
        lines.append(_row(name, str(offer.who), address, ""))
        room = _WIDTH - len(_BELOW)
        lines += [_BELOW + file[start : start + room] for start in range(0, len(file), room)]
    return lines


def _row(*cells: str) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells[:-1], _COLUMNS, strict=True)]
    return _GAP.join([*padded, cells[-1]]).rstrip()


def _wrapped(sentences: Iterable[str]) -> list[str]:
    return [
        line
        for sentence in sentences
        for line in textwrap.wrap(
            sentence, _WIDTH, initial_indent="- ", subsequent_indent="  ", break_on_hyphens=False
        )
    ]


def _listed(words: Sequence[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}" if most else last


def _counted(number: int) -> str:
    return {2: "two", 3: "three", 4: "four"}.get(number, str(number))
