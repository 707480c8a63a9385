"""The references of the command lines, which are the man pages too, from the parsers that read them."""

from __future__ import annotations

import argparse
import re
from textwrap import wrap

import bty_agent.cli
import bty_agent.exits
import bty_web.cli
import bty_web.exits
from bty_agent.cli import DEFAULT_IMAGE_ROOT, SELECTORS
from bty_web.settings import DECLARED, FILE, PREFIX

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
_ABOUT = """\
Standard output is data, standard error is talk: plans, questions, bars and messages. Each reading command takes
`--json` and then prints one document, `{"schema_version": "1", "command": ...}`.
"""
_WEB_EXAMPLES = """\
Set a server up, and run it:

    bty-web init
    bty-web serve

Put an image into its catalog:

    bty-web import https://example.org/debian-13.img.zst

Give a program access to the API, and keep the token in a file:

    bty-web token ci --scope operate >ci.token

Back it up while it runs; bring it back while it is stopped:

    bty-web backup bty-web.tar.gz
    bty-web restore bty-web.tar.gz
"""
_WEB_ABOUT = """\
Standard output is data: the address of `serve`, the password of `init` and the token of `token`, each once, and what
`check` and `probe` show. Standard error is talk.

`serve` starts some processes that answer, and one that does the background work unless `BTY_QUEUE_URL` is set; it ends
all of them when it is told to stop. Requests that run then have five seconds. Downloads go on at the same byte
afterwards. A second signal leaves them no time.

A backup holds the rows of every table and the key, so that one made with SQLite can be restored into PostgreSQL and the
reverse. Images are files in `BTY_IMAGE_ROOT` and not in it. `restore` keeps what was there before.
"""


def commands() -> str:
    """Return the page of `bty`: all commands, options, selectors and exit codes."""
    parser = bty_agent.cli.build_parser()
    below = bty_agent.cli.commands_of(parser)
    parts = _head("bty", parser, below, _ABOUT)
    parts += ["## Selectors", "", "```text", SELECTORS.rstrip(), "```", ""]
    parts += ["## Environment", "", "BTY_IMAGE_ROOT"]
    parts += [f": The folder of `bty images`, `{DEFAULT_IMAGE_ROOT}` where it is not set.", ""]
    parts += ["NO_COLOR", ": When it is set and not empty, nothing is coloured.", ""]
    return "\n".join([*parts, *_tail(bty_agent.exits.Exit, _EXAMPLES)])


def web_commands() -> str:
    """Return the page of `bty-web`: all commands, options, settings and exit codes."""
    parser = bty_web.cli.build_parser()
    parts = _head("bty-web", parser, bty_web.cli.commands_of(parser), _WEB_ABOUT)
    parts += ["## Settings", "", *wrap(_SETTINGS, 110), ""]
    for name, declared in DECLARED.items():
        page = "" if declared["page"] else " Not on the Settings page."
        parts += [f"`{PREFIX}{name.upper()}`, `{name}`", f": {declared['help']}{page}", ""]
    parts += ["`BTY_CONFIG`", f": Another file than `{FILE}`.", ""]
    return "\n".join([*parts, *_tail(bty_web.exits.Exit, _WEB_EXAMPLES)])


_SETTINGS = (
    f"Each has a name in the environment and one in the file `{FILE}`, where a line is `name: value`. The"
    " environment wins over the file, the file over the Settings page. `bty-web check` shows the values, defaults"
    " included, and where each comes from."
)


def _head(
    program: str,
    parser: argparse.ArgumentParser,
    below: dict[str, argparse.ArgumentParser],
    about: str,
) -> list[str]:
    parts = [f"# {program}", "", "## Synopsis", ""]
    parts += [f"    {line}" for one in below.values() for line in _usage(one)]
    parts += ["", "## Description", "", str(parser.description), "", about, "## Commands", ""]
    for name, one in below.items():
        parts += [f"### {name}", "", str(one.description), "", *_options(one)]
    return [*parts, f"## Options of {program} itself", "", *_options(parser)]


def _tail(exits: type[bty_agent.exits.Exit] | type[bty_web.exits.Exit], examples: str) -> list[str]:
    rows = [f"| {int(code)} | {code.meaning} |" for code in exits]
    head = ["## Exit codes", "", "| code | meaning |", "|---|---|"]
    return [*head, *rows, "", "## Examples", "", examples]


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
