"""Whether cloud-init will understand user-data, found out before anything is written.

No message quotes what it is about: there may be passwords in it, and a parser's words may repeat them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from bty_core.provisioning.errors import SeedRefused

CONFIG, ARCHIVE, JINJA = "#cloud-config", "#cloud-config-archive", "## template: jinja"
_STARTS = (
    *(CONFIG, ARCHIVE, "#cloud-config-jsonp", "#include", "#include-once"),
    *("#cloud-boothook", "#part-handler", "#upstart-job"),
)
_LEGAL = f"{CONFIG}, #!, {JINJA}, #include, #cloud-boothook, {ARCHIVE}, #part-handler, or MIME multi-part"
_MIME = re.compile(r"(mime-version|content-type|from)[: ]", re.IGNORECASE)
_TEMPLATE = re.compile(r"##\s*template:\s*jinja\s*$", re.IGNORECASE)
_ADDRESS = re.compile(r"(https?|ftp|file)://\S+$", re.IGNORECASE)
# Content types of MIME parts, and how their content is checked; None: cloud-init looks at its first line.
_BY_FIRST_LINE = frozenset({"text/plain", "text/x-not-multipart", "application/octet-stream"})
_DEEPEST = 8  # archives in archives
Part = str  # what is checked, for people: "user-data", "part 2 of user-data"


def check(text: str, what: Part = "user-data") -> None:
    """Raise `SeedRefused` where cloud-init would not understand `text`."""
    _check(text, what, 0)


def _check(text: str, what: Part, depth: int) -> None:
    if depth > _DEEPEST:
        raise SeedRefused(f"{what} is nested too deeply")
    if text.startswith("\ufeff"):
        raise SeedRefused(
            f"{what} begins with a byte order mark, and cloud-init would not know it",
            hint="save it as UTF-8 without BOM",
        )
    first, _, rest = text.partition("\n")
    if _TEMPLATE.match(first.rstrip()):
        # What the template makes can only be known on the machine.
        _first_line(rest, f"{what}, below {JINJA},")
    elif _MIME.match(first):
        _mime(text, what, depth)
    else:
        word = _first_line(text, what)
        if word == ARCHIVE:
            _archive(text, what, depth)
        elif word in _BY_WORD:
            _BY_WORD[word](text, what)


def _first_line(text: str, what: Part) -> str:
    """Return the word that says what `text` is, "#!" of a script."""
    first = text.partition("\n")[0]
    word = (first.split() or [""])[0].lower()
    indented = first != first.lstrip()
    if not indented and first.startswith("#!"):
        return "#!"
    if not indented and word in _STARTS:
        return word
    hint = f"the first line must be one of {_LEGAL}"
    if re.match(r"#\s+cloud-config", first, re.IGNORECASE):
        hint = f"write {CONFIG}, without a space"
    elif indented and word in _STARTS:
        hint = "the first line must begin at its first column"
    raise SeedRefused(f"{what} has no first line that cloud-init knows", hint=hint)


def _script(text: str, what: Part) -> None:
    first = text.partition("\n")[0]
    if first.endswith("\r"):
        raise SeedRefused(
            f"{what} is a script with the line ends of Windows, and would not start",
            hint="save it with the line ends of Unix",
        )
    if not first[2:].strip().startswith("/"):
        raise SeedRefused(
            f"{what} is a script, and its first line names no interpreter",
            hint="write for example #!/bin/sh",
        )


def config(text: str, what: Part) -> dict[str, Any]:
    """Return the mapping that a YAML text is; raise `SeedRefused`."""
    found = load(text, what)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise SeedRefused(
            f"{what} is valid YAML, and no mapping",
            hint="write lines such as 'hostname: box'",
        )
    return found


def load(text: str, what: Part) -> Any:
    """Return what a YAML text says; raise `SeedRefused` with the place, and none of its words."""
    import yaml

    try:
        return yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
    except yaml.reader.ReaderError as error:
        place = f" at character {error.position}"
    except (yaml.YAMLError, ValueError, RecursionError, TypeError):
        place = ""
    # Not from the parser's own error, which quotes the text.
    raise SeedRefused(
        f"{what} is not valid YAML{place}", hint="look at indentation, quotes and tabs there"
    )


def _archive(text: str, what: Part, depth: int) -> None:
    parts = load(text, what)
    if not isinstance(parts, list) or not parts:
        raise SeedRefused(f"{what} is an archive, and no list of parts")
    for number, part in enumerate(parts, 1):
        name = f"part {number} of {what}"
        kind, content = None, part
        if isinstance(part, dict):
            kind, content = part.get("type"), part.get("content")
        if not isinstance(content, str):
            raise SeedRefused(
                f"{name} has no text",
                hint="write each part as '- type: …' and 'content: …', or as a text",
            )
        _by_type(str(kind) if kind else "text/plain", content, name, depth, handled=True)


def _include(text: str, what: Part) -> None:
    for number, line in enumerate(text.splitlines(), 1):
        address = re.sub(r"^#include(-once)?", "", line, flags=re.IGNORECASE).strip()
        if address and not address.startswith("#") and not _ADDRESS.match(address):
            raise SeedRefused(f"line {number} of {what} is no address to include")


def _mime(text: str, what: Part, depth: int) -> None:
    from email import message_from_string

    message = message_from_string(text)
    if not message.is_multipart():
        if message.get_content_maintype() == "multipart" or message.defects:
            raise SeedRefused(
                f"{what} is a MIME multi-part without parts",
                hint="its boundary must be the one that stands between the parts",
            )
    elif any(part.defects for part in message.walk()):
        raise SeedRefused(
            f"{what} is a damaged MIME multi-part", hint="make it with cloud-init devel make-mime"
        )
    leaves = [part for part in message.walk() if not part.is_multipart()]
    kinds = [part.get_content_type() for part in leaves]
    for number, (part, kind) in enumerate(zip(leaves, kinds, strict=True), 1):
        payload = part.get_payload(decode=True)
        name = f"part {number} of {what}" if message.is_multipart() else what
        if not isinstance(payload, bytes):
            raise SeedRefused(f"{name} cannot be decoded")
        content = payload.decode(errors="replace")
        _by_type(kind, content, name, depth, handled="text/part-handler" in kinds)


def _by_type(kind: str, content: str, what: Part, depth: int, *, handled: bool) -> None:
    if kind in _BY_FIRST_LINE:
        _check(content, what, depth + 1)
    elif kind in _CHECKS:
        _CHECKS[kind](content, what)
    elif kind == "text/cloud-config-archive":
        _archive(content, what, depth + 1)
    elif not handled:
        raise SeedRefused(
            f"{what} has a content type that cloud-init does not know",
            hint=f"known are {', '.join(sorted({*_CHECKS, 'text/cloud-config-archive'}))}",
        )


def _anything(_text: str, _what: Part) -> None:
    """Accept what only cloud-init can judge."""


def _shell(text: str, what: Part) -> None:
    if not text.startswith("#!"):
        raise SeedRefused(f"{what} is a script without #! in its first line")
    _script(text, what)


def _jinja(text: str, what: Part) -> None:
    first, _, rest = text.partition("\n")
    _first_line(rest if _TEMPLATE.match(first.strip()) else text, what)


def _config(text: str, what: Part) -> None:
    first, _, rest = text.partition("\n")
    if _TEMPLATE.match(first.strip()):
        _first_line(rest, what)
    else:
        config(text, what)


_CHECKS: dict[str, Callable[[str, Part], None]] = {
    "text/cloud-config": _config,
    "text/cloud-config-jsonp": _anything,
    "text/x-shellscript": _shell,
    "text/x-shellscript-per-boot": _shell,
    "text/x-shellscript-per-instance": _shell,
    "text/x-shellscript-per-once": _shell,
    "text/x-include-url": _include,
    "text/x-include-once-url": _include,
    "text/cloud-boothook": _anything,
    "text/part-handler": _anything,
    "text/jinja2": _jinja,
}

_BY_WORD: dict[str, Callable[[str, Part], object]] = {
    "#!": _script,
    CONFIG: config,
    "#include": _include,
    "#include-once": _include,
}
