"""The reference of the command line, which is the man page too, from the parser that reads it."""

from __future__ import annotations

import argparse
import re
from textwrap import wrap

from bty_agent.cli import DEFAULT_IMAGE_ROOT, SELECTORS, build_parser, commands_of
from bty_agent.exits import Exit

_GLUE = "\0"
# What a person who looks for a command wants to see first.
_EXAMPLES = """\
See the disks, look at a plan, and flash:

    bty disks
    bty flash --image debian-13.img.zst --target smallest --dry-run
    sudo bty flash --image debian-13.img.zst --target serial:S5Y1NG0N

Flash from a server, without a question, with events for a program:

    sudo bty flash --image http://server/debian-13.img.zst \\
        --target transport:nvme,smallest --yes --progress ndjson

Try it on a regular file, without root:

    bty flash --image debian-13.img.zst --target file:disk.img --yes
"""


def commands() -> str:
    """Return the page of all commands, options, selectors and exit codes."""
    parser = build_parser()
    below = commands_of(parser)
    parts = ["# bty", "", "## Synopsis", ""]
    parts += [f"    {line}" for one in below.values() for line in _usage(one)]
    parts += ["", "## Description", "", str(parser.description), "", _ABOUT, "## Commands", ""]
    for name, one in below.items():
        parts += [f"### {name}", "", str(one.description), "", *_options(one)]
    parts += ["## Options of bty itself", "", *_options(parser)]
    parts += ["## Selectors", "", "```text", SELECTORS.rstrip(), "```", ""]
    parts += ["## Environment", "", "BTY_IMAGE_ROOT"]
    parts += [f": The folder of `bty images`, `{DEFAULT_IMAGE_ROOT}` where it is not set.", ""]
    parts += ["NO_COLOR", ": When it is set and not empty, nothing is coloured.", ""]
    parts += ["## Exit codes", "", "| code | meaning |", "|---|---|"]
    parts += [f"| {int(code)} | {code.meaning} |" for code in Exit]
    parts += ["", "## Examples", "", _EXAMPLES]
    return "\n".join(parts)


_ABOUT = """\
Standard output is data, standard error is talk: plans, questions, bars and messages. Each reading command takes
`--json` and then prints one document, `{"schema_version": "1", "command": ...}`.
"""


def _usage(parser: argparse.ArgumentParser) -> list[str]:
    """Return the usage, narrow enough for an indented block of a man page."""
    words = " ".join(parser.format_usage().removeprefix("usage: ").split())
    # An option and its value stay on one line.
    glued = re.sub(r"\[[^]]*]", lambda found: found[0].replace(" ", _GLUE), words)
    lines = wrap(glued, 66, subsequent_indent="    ", break_on_hyphens=False)
    return [line.replace(_GLUE, " ") for line in lines]


def _options(parser: argparse.ArgumentParser) -> list[str]:
    """Return the arguments and options of one parser as a list of definitions."""
    lines: list[str] = []
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            continue
        name = ", ".join(action.option_strings) or str(action.metavar or action.dest)
        if action.option_strings and action.nargs != 0:
            name += (
                f" {action.metavar or '|'.join(map(str, action.choices or [action.dest.upper()]))}"
            )
        elif action.choices:
            name = "|".join(map(str, action.choices))
        needed = " Needed." if action.required and action.option_strings else ""
        lines += [f"`{name}`", f": {_sentence(str(action.help))}{needed}", ""]
    return lines


def _sentence(text: str) -> str:
    return re.sub(r"^[a-z]", lambda first: first[0].upper(), text) + "."
