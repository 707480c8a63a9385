"""A key for one run, where the credentials of an image open the machine: a workflow never sees those."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from shlex import quote

from bty_web.online.errors import AccessRefused
from bty_web.online.ssh import Way
from bty_web.services import ssh_keys
from bty_web.services.access import Door

_SECONDS = 60.0
_ADD = """set -eu
umask 077
mkdir -p .ssh
touch .ssh/authorized_keys
if [ -s .ssh/authorized_keys ] && [ "$(tail -c 1 .ssh/authorized_keys)" ]; then echo >>.ssh/authorized_keys; fi
printf '%s\\n' {line} >>.ssh/authorized_keys
"""
_REMOVE = """set -eu
umask 077
grep -vF {line} .ssh/authorized_keys >.ssh/authorized_keys.bty || true
cat .ssh/authorized_keys.bty >.ssh/authorized_keys
rm .ssh/authorized_keys.bty
"""


class OneOffKey:
    """Lets a workflow in as the user of `way`, until it is removed."""

    def __init__(self, way: Way, folder: Path) -> None:
        """Put it on the machine; raise what `Way.run` raises. `folder` is private, and there is none yet."""
        pair = ssh_keys.make_pair()
        self.door: Door = replace(way.door, key=pair.private, password=None)
        self._way = way
        self._line = f"{pair.public} bty-run"
        way.run(_ADD.format(line=quote(self._line)), timeout=_SECONDS)
        folder.mkdir(mode=0o700)
        try:
            Way(folder, self.door, way.address).run("true", timeout=_SECONDS)
        except AccessRefused as refused:
            self.remove()
            raise AccessRefused(
                f"{way.address} lets {way.door.user} in, but not with a key in .ssh/authorized_keys",
                hint="workflows get a key of their own: let its sshd take keys from there",
            ) from refused

    def remove(self) -> None:
        """Take it off the machine; raise what `Way.run` raises."""
        self._way.run(_REMOVE.format(line=quote(self._line)), timeout=_SECONDS)
