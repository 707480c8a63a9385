"""Debian's packages from where this machine, or the person at it, says that they come from."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bty_core.errors import BtyError
from bty_core.proc import run
from bty_media.errors import NoMirror

RELEASE = "trixie"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TIMEOUT = 600.0  # seconds for an index or some packages, also over a slow line


@dataclass(frozen=True, slots=True)
class Mirror:
    """Where packages come from; `security` is None where updates for security are not mirrored."""

    archive: str
    security: str | None

    def sources(self, release: str = RELEASE) -> str:
        """Return the sources of apt for `release`, updates included."""
        entries = [(self.archive, f"{release} {release}-updates")]
        if self.security:
            entries.append((self.security, f"{release}-security"))
        return "\n".join(
            f"Types: deb\nURIs: {place}\nSuites: {suites}\n"
            f"Components: main non-free-firmware\nSigned-By: {KEYRING}\n"
            for place, suites in entries
        )


def mirror_of(given: str | None) -> Mirror:
    """Return the mirror that is `given`, or the one that apt on this machine uses; raise `NoMirror`."""
    if given:
        return Mirror(given, None)
    found: dict[str, str] = {}
    wanted = "$(CREATED_BY) $(ORIGIN) $(LABEL) $(REPO_URI)"
    for line in run(["apt-get", "indextargets", "--format", wanted], timeout=60).splitlines():
        by, origin, label, place = [*line.split(" ", 3), "", "", "", ""][:4]
        if by == "Packages" and origin == "Debian":
            found.setdefault(label, place)
    if "Debian" not in found:
        raise NoMirror(
            "apt on this machine knows no mirror of Debian",
            hint="name one with --mirror URL, or run apt-get update",
        )
    return Mirror(found["Debian"], found.get("Debian-Security"))


def fetch_packages(names: Sequence[str], into: Path, mirror: Mirror) -> None:
    """Unpack Debian 13's packages `names` into the folder `into`, which must not be there yet.

    They are not installed: neither apt's nor dpkg's state on this machine is touched. Raises `NoMirror`
    where they cannot be fetched.
    """
    into = into.absolute()  # apt-get runs in another folder
    into.parent.mkdir(parents=True, exist_ok=True)
    work = into.with_name(f".{into.name}.part")
    shutil.rmtree(work, ignore_errors=True)
    state = work / "apt"
    for folder in ("lists/partial", "archives/partial"):
        (state / folder).mkdir(parents=True)
    (state / "status").touch()
    (state / "bty.sources").write_text(mirror.sources())
    options = {
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache::archives": state / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "Dir::Etc::sourcelist": state / "bty.sources",
        "Dir::Etc::sourceparts": "/dev/null",
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "root",
        "Acquire::Retries": "3",
        "Acquire::Languages": "none",
    }
    apt = ["apt-get", *(f"-o{name}={value}" for name, value in options.items())]
    try:
        run([*apt, "--error-on=any", "update"], timeout=_TIMEOUT)
        # apt-get download writes into the folder it is started in, which is nobody's business but env's.
        run(["env", f"--chdir={state / 'archives'}", *apt, "download", *names], timeout=_TIMEOUT)
        for package in sorted((state / "archives").glob("*.deb")):
            run(["dpkg-deb", "--extract", package, work / "files"], timeout=_TIMEOUT)
    except BtyError as error:
        raise NoMirror(
            f"{', '.join(names)} of Debian {RELEASE} cannot be fetched: {error.message}",
            hint="look at the network, or name another mirror with --mirror URL",
        ) from error
    (work / "files").rename(into)
    shutil.rmtree(work)
