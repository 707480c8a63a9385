"""The references of the command lines, which are the man pages too, from the parsers that read them."""

from __future__ import annotations

import argparse
import re
from textwrap import wrap

import bty_agent.cli
import bty_agent.exits
import bty_agent.stick.main
import bty_agent.unattended.main
import bty_agent.wizard.cli
import bty_media.cli
import bty_media.exits
import bty_web.appliance.cli
import bty_web.cli
import bty_web.exits
from bty_agent.cli import DEFAULT_IMAGE_ROOT, SELECTORS
from bty_core.program.exits import Meanings
from bty_core.program.parser import commands_of
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

Set the system up on the freshly written disk:

    sudo bty flash --image debian-13.img.zst --target smallest \\
        --provision cloud-init --user-data user-data.yaml

Try it on a regular file, without root:

    bty flash --image debian-13.img.zst --target file:disk.img --yes

Or on a machine that is a file, and send the one that you have:

    bty disks --pretend machine.json
    sudo bty inventory --for-pretend --mask >machine.json
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


_ON_BOOT_ABOUT = """\
The unit of the live environment starts it. It reads the kernel command line: `bty.mode`, `bty.server`, `bty.mac`,
`bty.attempt` and `bty.token`. With `bty.mode=interactive`, or without a word for bty, it says so and ends at once.

Otherwise it waits for the network and the server, up to 30 minutes, asks for the plan, tells what the machine has,
waits for its turn where the server says how many machines are flashed at once, flashes, reads back, tells the server,
and reboots. It reboots when the server knows, or after it has tried to say so for 10 minutes.

What another try may mend is tried three times, 10 and 60 seconds apart: a server that is away, a link that breaks, a
disk that refuses a write. What it cannot mend is a failure at once: a target that matches no disk or several, an image
that is too large, a wrong digest, a damaged image. After a failure there is no reboot. The reason stands on the
console, on the machine's page with the end of the log, and in the run directory, from where the wizard shows it. The
same attempt is not tried again until the machine has booted again.

An operator who presses *Cancel* on the machine's page is heard within seconds: the write stops, the disk does not boot,
and there is neither another try nor a reboot. SIGTERM and Ctrl-C stop it as orderly.

Several consoles may start it. The first one owns the flash; the others show what it says, and end with 0 when it ends.

A clock that is more than five minutes behind the server's is set to that, and never set back.

Standard error is talk, one line for each tenth of the way at least; standard output is empty.
"""
_ON_BOOT_FILES = """\
`/run/bty/flash.log`
: All that happened, with times. The token is not in it.

`/run/bty/console.log`
: What was said on the console that owns the flash.

`/run/bty/failure.json`
: Why the last flash of this boot ended without a reboot: `code`, `message`, `hint`, `aftermath`, `attempt`, `image`,
  `disk`, `reported` (the server knows), `exit_code`.

`/run/bty/flash.lock`
: Held by the console that owns the flash.
"""
_ON_BOOT_EXAMPLES = """\
See what it would do with a command line of your own, without a reboot:

    echo "bty.mode=auto bty.server=http://10.0.0.1:8080 \\
        bty.mac=52:54:00:12:34:56 bty.attempt=12 bty.token=..." >line
    sudo bty-flash-on-boot --cmdline line --run-dir try --no-reboot

It does flash: only the reboot and the clock are left out.
"""


def commands() -> str:
    """Return the page of `bty`: all commands, options, selectors and exit codes."""
    parser = bty_agent.cli.build_parser()
    below = commands_of(parser)
    parts = _head("bty", parser, below, _ABOUT)
    parts += ["## Selectors", "", "```text", SELECTORS.rstrip(), "```", ""]
    parts += ["## Environment", "", "BTY_IMAGE_ROOT"]
    parts += [f": The folder of `bty images`, `{DEFAULT_IMAGE_ROOT}` where it is not set.", ""]
    parts += ["NO_COLOR", ": When it is set and not empty, nothing is coloured.", ""]
    return "\n".join([*parts, *_tail(bty_agent.exits.MEANINGS, _EXAMPLES)])


def flash_on_boot() -> str:
    """Return the page of `bty-flash-on-boot`: what it does, options, files and exit codes."""
    parser = bty_agent.unattended.main.build_parser()
    parts = [f"# {parser.prog}", "", "## Synopsis", ""]
    parts += [f"    {line}" for line in _usage(parser)]
    parts += ["", "## Description", "", str(parser.description), "", _ON_BOOT_ABOUT]
    parts += [f"## Options of {parser.prog} itself", "", *_options(parser)]
    parts += ["## Files", "", _ON_BOOT_FILES]
    return "\n".join([*parts, *_tail(bty_agent.exits.MEANINGS, _ON_BOOT_EXAMPLES)])


_IMAGES_PARTITION_ABOUT = """\
It finds the partition `BTY_IMAGES` on the stick, or makes it in the room behind the live environment: GPT type
Microsoft basic data, exFAT, so that any computer can fill it. The live environment runs it at each start.

What is there stays. A partition is never made a second time or resized, and a filesystem only where there is none:
other data in the partition is refused, with what it is. A stick that is written anew with a newer image gets its
images back, because the exFAT that lay there before is taken over. Losing power in the middle is mended by the next
start. A stick without 64 MiB to spare gets no partition, and says so.
"""
_IMAGES_PARTITION_EXAMPLES = """\
Prepare a stick that was written with `dd`, on another computer:

    sudo bty-images-partition --disk /dev/sdX --mount /mnt
"""


def images_partition() -> str:
    """Return the page of `bty-images-partition`."""
    parser = bty_agent.stick.main.build_parser()
    parts = [f"# {parser.prog}", "", "## Synopsis", ""]
    parts += [f"    {line}" for line in _usage(parser)]
    parts += ["", "## Description", "", str(parser.description), "", _IMAGES_PARTITION_ABOUT]
    parts += [f"## Options of {parser.prog} itself", "", *_options(parser)]
    return "\n".join([*parts, *_tail(bty_agent.exits.MEANINGS, _IMAGES_PARTITION_EXAMPLES)])


_TUI_ABOUT = """\
It asks for an image, for a disk and for a last yes, writes, reads back, and asks what now. Nothing is written before
the last yes, whose default is No; where the disk holds partitions or a filesystem, its name has to be typed too. Going
back is always possible. Without root it shows everything and writes nothing.

With a server, the images are the server's, and each flash is an attempt on the machine's page: who thinks at which
console about which image and which disk, how far the write is, how it ended. Attempt and token come from the kernel
command line where `bty.mac` is this machine; otherwise the wizard opens an attempt of its own. A server that goes away
stops nothing that can go on without it: the screen says what it does not know yet, and it is told when it is back.

It runs in 80x24 and sixteen colours, on `linux`, `vt220` and every terminal like a VT100, over a serial line too. The
terminal is left as it was found. Lines are drawn with ASCII where the font may have no more.
"""
_TUI_EXAMPLES = """\
From a stick, or from a folder:

    sudo bty-tui
    sudo bty-tui --root /srv/images

With a server, on a machine that was not booted from it:

    sudo bty-tui --server http://10.0.0.1:8080 --mac 52:54:00:12:34:56

Try it on a machine that is a file:

    bty-tui --root images --pretend machine.json
"""
_TUI_ENVIRONMENT = """\
BTY_IMAGE_ROOT
: The folder of the images, where `--root` is not given.

BTY_SERVER
: The server, where `--server` is not given.

TERM
: What the terminal is. With `dumb`, or without it, questions are answered by numbers.

NO_COLOR
: When it is set and not empty, the text is not coloured.
"""


def wizard() -> str:
    """Return the page of `bty-tui`: options, keys and exit codes."""
    parser = bty_agent.wizard.cli.build_parser()
    usage = [f"    {line}" for line in _usage(parser)]
    parts = ["# bty-tui", "", "## Synopsis", "", *usage, "", "## Description", ""]
    parts += [str(parser.description), "", _TUI_ABOUT]
    parts += ["## Options of bty-tui itself", "", *_options(parser)]
    parts += ["## Keys", "", "```text", bty_agent.wizard.cli.KEYS.rstrip(), "```", ""]
    parts += ["## Environment", "", _TUI_ENVIRONMENT]
    return "\n".join([*parts, *_tail(bty_agent.exits.MEANINGS, _TUI_EXAMPLES)])


_MEDIA_ABOUT = """\
Standard output is data: the folder of a build, lists, plans that were asked for. Standard error is talk: what a build
does, questions, progress and messages. `list`, `verify` and `doctor` take `--json`.

A build is a folder `KIND-VERSION` with its files, `manifest.json` (files with digests and sizes, versions of every
package) and `SHA256SUMS`. It has that name only when it is whole. The version holds the day of the sources and the
content, so that two builds of the same sources and packages have the same one.

`doctor` tries what a build needs and says how to get what is missing. `--fix` fetches Debian's mkosi into the cache,
where builds find it; what is installed on the machine stays as it is. `BTY_MKOSI` names another mkosi. The exit code is
that of the first thing that is missing.

`write` makes a stick as `bty flash` writes a disk: with the same refusals, digests and read-back. Then it makes
`BTY_IMAGES` in the rest of the stick and puts the images onto it, which are read back too. An image without a file
`IMAGE.sha256` gets one, so that the machine that it is flashed onto can check it. Everything that was on the stick
goes, its images included; a stick that is written with `dd` keeps them, where the new image is as large as the old one.

`install` gives a network environment to a server by its API. Machines get it at once, and those that boot the former
one still find its files.
"""
_MEDIA_EXAMPLES = """\
Make a stick with an image on it:

    sudo bty-media doctor --fix
    sudo bty-media build usb
    sudo bty-media write /dev/sdX --add debian-13.img.zst

Build what machines boot from the network, and give it to a server:

    sudo bty-media build pxe
    BTY_TOKEN=... bty-media install http://10.0.0.1:8080

Build the server itself, and check what was copied somewhere:

    sudo bty-media build server
    bty-media verify media/server-0.1.0-20261123-9c6257e3
"""
_MEDIA_ENVIRONMENT = """\
BTY_MKOSI
: The mkosi that builds, where it is not the one on the `PATH`.

BTY_TOKEN
: The token of `install`, where `--token` is not given. `ps` does not show it.

SOURCE_DATE_EPOCH
: The time that everything in a build has, in seconds since 1970. Without it: that of the last commit.
"""


def media_commands() -> str:
    """Return the page of `bty-media`: all commands, options and exit codes."""
    parser = bty_media.cli.build_parser()
    parts = _head("bty-media", parser, commands_of(parser), _MEDIA_ABOUT)
    parts += ["## Environment", "", _MEDIA_ENVIRONMENT]
    return "\n".join([*parts, *_tail(bty_media.exits.MEANINGS, _MEDIA_EXAMPLES)])


def web_commands() -> str:
    """Return the page of `bty-web`: all commands, options, settings and exit codes."""
    parser = bty_web.cli.build_parser()
    parts = _head("bty-web", parser, commands_of(parser), _WEB_ABOUT)
    parts += ["## Settings", "", *wrap(_SETTINGS, 110), ""]
    for name, declared in DECLARED.items():
        page = "" if declared["page"] else " Not on the Settings page."
        parts += [f"`{PREFIX}{name.upper()}`, `{name}`", f": {declared['help']}{page}", ""]
    parts += ["`BTY_CONFIG`", f": Another file than `{FILE}`.", ""]
    return "\n".join([*parts, *_tail(bty_web.exits.MEANINGS, _WEB_EXAMPLES)])


_APPLIANCE_ABOUT = """\
Units of the appliance start it when there is something to do, most of them as root. What `bty-web` wishes is read from
small files in its state folder, checked value by value, and answered in `appliance_dir`.
"""
_APPLIANCE_EXAMPLES = """\
Give the pages a certificate of bty's own, with the names that people type:

    sudo bty-appliance certificate --again --name bty.example.org \\
        --name 192.168.1.2
"""


def appliance_commands() -> str:
    """Return the page of `bty-appliance`: all commands, options and exit codes."""
    parser = bty_web.appliance.cli.build_parser()
    parts = _head("bty-appliance", parser, commands_of(parser), _APPLIANCE_ABOUT)
    return "\n".join([*parts, *_tail(bty_web.exits.MEANINGS, _APPLIANCE_EXAMPLES)])


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


def _tail(meanings: Meanings, examples: str) -> list[str]:
    rows = [f"| {int(code)} | {meaning} |" for code, meaning in meanings.items()]
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
