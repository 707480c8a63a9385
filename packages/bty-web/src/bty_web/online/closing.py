"""The last step of a run: its key goes off the machine, and what stays may ask for facts and nothing else."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from bty_web.online.errors import AccessRefused
from bty_web.online.ssh import Way
from bty_web.services import ssh_keys
from bty_web.services.access import Door
from bty_web.services.online_seed import SUDOERS, USER

COLLECTOR = "/usr/local/lib/bty/facts"
_SECONDS = 60.0
_SCRIPT = """set -eu
umask 022
mkdir -p {folder}
cat >{collector}.new
chmod 755 {collector}.new
mv {collector}.new {collector}
home=$(getent passwd {user} | cut -d: -f6)
umask 077
printf '%s\\n' {line} >"$home/.ssh/authorized_keys.new"
chown --reference="$home/.ssh/authorized_keys" "$home/.ssh/authorized_keys.new"
mv "$home/.ssh/authorized_keys.new" "$home/.ssh/authorized_keys"
rm -f {sudoers}
sync
"""


class KeyStays(AccessRefused):
    """The key still opens the machine after it was taken off."""

    code = "key-stays"


def close(folder: Path, door: Door, address: str, collector: str) -> str:
    """Take the key of `door` off the machine, and return the private part of one that may ask for facts.

    Afterwards the old key has been tried, and opens nothing. Raises what `Way.run` raises.
    """
    pair = ssh_keys.make_pair()
    line = f'restrict,command="{COLLECTOR}" {pair.public} bty-facts'
    script = _SCRIPT.format(
        folder=quote(str(Path(COLLECTOR).parent)),
        collector=quote(COLLECTOR),
        user=quote(USER),
        line=quote(line),
        sudoers=quote(SUDOERS),
    )
    way = Way(folder, door, address)
    way.run(f"sudo -n sh -c {quote(script)}", stdin=collector.encode(), timeout=_SECONDS)
    try:
        way.run("true", timeout=_SECONDS)
    except AccessRefused:
        return pair.private
    raise KeyStays(f"the key of the run still opens {address}")
