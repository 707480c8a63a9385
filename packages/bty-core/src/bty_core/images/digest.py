"""Digests that lie beside an image: ``NAME.sha256`` and ``SHA256SUMS``."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass

from bty_core.errors import ImageRefused
from bty_core.images.source import Source
from bty_core.values import Digest

_SUMS = "SHA256SUMS"
_HEX = r"[0-9A-Fa-f]{64}"
_BARE = re.compile(_HEX)
# coreutils: a space or a star before the name, a backslash before a line with an escaped name.
_LINE = re.compile(rf"(\\?)({_HEX})(?: [ *]|[ \t]+)(.+)")
_BSD = re.compile(rf"(\\?)SHA(?:2-)?256 ?\((.+)\) ?= ?({_HEX})", re.IGNORECASE)
_OTHER = re.compile(r"\\?[0-9A-Fa-f]{16,}(?: [ *]|[ \t]+)(.+)")  # a digest of another length
_ESCAPES = {"\\\\": "\\", "\\n": "\n", "\\r": "\r"}
_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class KnownDigest:
    """A digest that the image as stored must have, and where it is written."""

    digest: Digest
    origin: str  # the name of the file that says it


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a list of digests."""

    digest: Digest | None  # None: what stands there is no SHA-256
    name: str | None  # None: no name stands there, so the file beside is meant


def known_digest(source: Source) -> KnownDigest | None:
    """Return what ``NAME.sha256``, or else ``SHA256SUMS``, beside the image says of it, or None.

    Raises `ImageRefused` where one of them gives several digests, and for a local image also where
    one is there for it and of no use: whoever put it there wants the image checked.
    """
    sidecar = f"{source.name}.sha256"
    text = source.beside(sidecar)
    if text is not None:
        lines = parse_lines(text)
        found = _decide(
            source, sidecar, [line for line in lines if _last(line.name) in (None, source.name)]
        )
        if found:
            return found
        if not source.remote:
            raise _useless(source, sidecar, lines)
    text = source.beside(_SUMS)
    if text is None:
        return None
    return _decide(source, _SUMS, [line for line in parse_lines(text) if line.name == source.name])


def parse_lines(text: bytes) -> list[Line]:
    """Read a list of digests as coreutils, BSD and OpenSSL write it, signed or not.

    Lines that are nothing of the kind are left out.
    """
    lines: list[Line] = []
    signed = False
    for line in re.split(r"\r*\n", _decoded(text)):
        if line == "-----BEGIN PGP SIGNED MESSAGE-----":
            signed = True
            lines.clear()  # what comes before is not signed
        elif line == "-----BEGIN PGP SIGNATURE-----":
            break
        # A signer puts "- " before lines that start with a dash.
        elif found := _parse(line.removeprefix("- ") if signed else line):
            lines.append(found)
    return lines


def _parse(line: str) -> Line | None:
    if _BARE.fullmatch(line.strip()):
        return Line(Digest.parse(line), None)
    if found := _LINE.fullmatch(line):
        return Line(Digest.parse(found[2]), _name(found[3], escaped=bool(found[1])))
    if found := _BSD.fullmatch(line):
        return Line(Digest.parse(found[3]), _name(found[2], escaped=bool(found[1])))
    if found := _OTHER.fullmatch(line):
        return Line(None, _name(found[1], escaped=line.startswith("\\")))
    return None


def _decide(source: Source, origin: str, lines: list[Line]) -> KnownDigest | None:
    """Return the one digest in `lines`, which are all of this image."""
    digests = {line.digest for line in lines if line.digest}
    if len(digests) > 1:
        raise ImageRefused(
            f"{origin} gives {len(digests)} different digests for {source.name}",
            hint="leave only the right one in it",
        )
    if digests:
        return KnownDigest(digests.pop(), origin)
    if lines and not source.remote:
        raise _useless(source, origin, lines)
    return None


def _useless(source: Source, origin: str, lines: list[Line]) -> ImageRefused:
    others = sorted({line.name for line in lines if line.digest and line.name})
    only = f", only for {others[0]}" if others else ""
    return ImageRefused(
        f"{origin} gives no SHA-256 digest for {source.name}{only}",
        hint="correct it, or take it away",
    )


def _decoded(text: bytes) -> str:
    for mark, encoding in _BOMS:
        if text.startswith(mark):
            return text.removeprefix(mark).decode(encoding, "replace")
    return text.decode("utf-8", "surrogateescape")


def _name(text: str, *, escaped: bool) -> str:
    if escaped:
        text = re.sub(r"\\[\\nr]", lambda found: _ESCAPES[found[0]], text)
    return text.removeprefix("./")


def _last(name: str | None) -> str | None:
    """The last part of a path: a ``.sha256`` may keep the folder in which it was made."""
    return None if name is None else name.rpartition("/")[2]
