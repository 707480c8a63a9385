"""Decisions as iPXE scripts. Whatever is not ours passes `plain` first: a script is a program."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from flask import Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from bty_core.values import MacAddress
from bty_web.services.live import Manifest

LONGEST = 200  # characters of one echoed line
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 .,:;_/()=+@#%*-]")


def plain(text: str) -> str:
    """Return `text` as one line that iPXE prints and does nothing else with."""
    one_line = " ".join(text.split())
    # A semicolon, or two of | or &, standing alone would begin another command.
    return _NOT_PLAIN.sub("_", one_line).replace(";", ",")[:LONGEST]


_TEMPLATES = Environment(
    loader=PackageLoader("bty_web", "ipxe"),
    undefined=StrictUndefined,
    autoescape=False,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
    auto_reload=False,  # looking whether a template has changed takes longer than drawing it
)
_TEMPLATES.filters["plain"] = plain


def _render(template: str, **values: Any) -> str:
    return _TEMPLATES.get_template(template).render(values)


def bootstrap(base_url: str) -> str:
    """Return the script that every iPXE gets first: it asks for the machine's own."""
    return _render("bootstrap.j2", base=base_url)


def local(title: str, reason: str, how: str) -> str:
    """Return the script that boots the machine's own disk; `how` is auto, exit or sanboot:0xNN."""
    return _render("ipxe_local.j2", title=title, reason=reason, how=how)


def failed(reason: str, how: str = "auto") -> str:
    """Return the script for a contact that cannot be answered: why, a pause, the local disk."""
    return _render("ipxe_failed.j2", reason=reason, how=how)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveBoot:
    """What a machine that boots the live environment is told."""

    base: str  # scheme, host and port of this server
    live: Manifest
    mac: MacAddress
    attempt: int
    token: str


def tui(title: str, reason: str | None, how: str, boot: LiveBoot) -> str:
    """Return the script that boots the live environment with the wizard."""
    return _render("ipxe_tui.j2", title=title, reason=reason, how=how, boot=boot)


def flash(title: str, image: str, how: str, boot: LiveBoot) -> str:
    """Return the script that boots the live environment to flash unattended."""
    return _render("ipxe_flash.j2", title=title, image=image, how=how, boot=boot)


def response(script: str) -> Response:
    """Return a script as firmware takes it: always with status 200."""
    return Response(script, 200, mimetype="text/plain", headers={"Cache-Control": "no-store"})
