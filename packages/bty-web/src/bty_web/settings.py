"""Every setting of the server, declared once: environment name, file key, type, default, help, and its source.

Highest first: environment (``BTY_…``), the file (``/etc/bty/bty-web.yaml``), the Settings page, the default. What the
page cannot change (because it is needed to reach the database, or before anybody could log in) says so.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

import yaml

from bty_web.errors import BrokenSetting

FILE = Path("/etc/bty/bty-web.yaml")
PREFIX = "BTY_"


@dataclass(frozen=True, slots=True)
class Bind:
    """Where to listen: a host (name, IPv4, or IPv6 in brackets) and a port, 0 for any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``HOST:PORT``."""
        host, colon, port = text.strip().rpartition(":")
        plain = host.removeprefix("[").removesuffix("]")
        if not colon or not plain or not port.isdecimal() or int(port) > 65535:
            raise ValueError(f"'{text}' is not HOST:PORT, for example 0.0.0.0:8080")
        if not re.fullmatch(r"[A-Za-z0-9_.:%-]+", plain):
            raise ValueError(f"'{host}' is not a host")
        return cls(plain, int(port))

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def _path(text: str) -> Path:
    path = Path(text).expanduser()
    if not text.strip() or not path.is_absolute() or "\n" in text or "\0" in text:
        raise ValueError(f"'{text}' is not an absolute path")
    return path


def _path_or_nothing(text: str) -> Path | None:
    return _path(text) if text.strip() else None


def _number(least: int, most: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not re.fullmatch(r"\s*\d{1,12}\s*", text) or not least <= int(text) <= most:
            raise ValueError(f"'{text}' is not a whole number from {least} to {most}")
        return int(text)

    return parse


def _word(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.strip() not in allowed:
            raise ValueError(f"'{text}' is not one of {', '.join(allowed)}")
        return text.strip()

    return parse


def _yes(text: str) -> bool:
    word = text.strip().lower()
    if word not in ("yes", "no", "true", "false", "1", "0"):
        raise ValueError(f"'{text}' is neither yes nor no")
    return word in ("yes", "true", "1")


def _url(*schemes: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        found = text.strip()
        if found and not re.match(rf"(?:{'|'.join(map(re.escape, schemes))})://", found):
            raise ValueError(f"a URL here begins with {' or '.join(f'{s}://' for s in schemes)}")
        return found

    return parse


def _database(text: str) -> str:
    found = _url("sqlite", "postgresql", "postgresql+psycopg")(text)
    return re.sub(r"^postgresql://", "postgresql+psycopg://", found)


def _text(text: str) -> str:
    if "\n" in text or "\0" in text:
        raise ValueError("this text must be one line")
    return text.strip()


def setting(
    default: Any,
    parse: Callable[[str], Any],
    text: str,
    *,
    page: bool = False,
    secret: bool = False,
) -> Any:
    """Declare one setting: `page` ones can be changed on the Settings page, `secret` ones are never shown."""
    metadata = {"parse": parse, "help": text, "page": page, "secret": secret}
    return field(default=default, metadata=metadata)


def state_dir_here() -> Path:
    """Return where state is kept when nobody says: /var/lib/bty, or without root the user's own folder."""
    if os.geteuid() == 0:
        return Path("/var/lib/bty")
    state = os.environ.get("XDG_STATE_HOME", "")
    return (Path(state) if state.startswith("/") else Path.home() / ".local/state") / "bty"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one server. Paths are absolute; times are seconds unless the name says otherwise."""

    bind: Bind = setting(
        Bind("0.0.0.0", 8080),
        Bind.parse,
        "Where to listen for people and machines. Machines must reach it.",
    )
    state_dir: Path = setting(
        Path("/var/lib/bty"), _path, "Database, keys and everything else that must last."
    )
    image_root: Path = setting(None, _path, "The catalog: images are the files in this folder.")
    boot_dir: Path = setting(
        None, _path, "The live environment: kernel, initrd, root image and manifest."
    )
    tftp_root: Path = setting(None, _path, "iPXE programs that firmware fetches by TFTP.")
    dnsmasq_dir: Path = setting(
        None, _path, "Where the proxy-DHCP configuration for dnsmasq is written."
    )
    database_url: str = setting(
        "",
        _database,
        "postgresql://… for a PostgreSQL; empty for SQLite in the state folder.",
        secret=True,
    )
    queue_url: str = setting(
        "",
        _url("redis", "rediss", "unix"),
        "redis://… for workers on other machines; empty for a queue in the state folder.",
        secret=True,
    )
    workers: int = setting(2, _number(1, 64), "Processes that answer requests.")
    threads: int = setting(
        256, _number(4, 4096), "Requests that one process answers at once; a download holds one."
    )
    trusted_proxies: int = setting(
        0, _number(0, 10), "How many reverse proxies in front may say who the client is."
    )
    secure_cookies: bool = setting(
        False, _yes, "Send cookies over HTTPS only: for a server whose pages are behind TLS."
    )
    pages_socket: Path | None = setting(
        None,
        _path_or_nothing,
        "A Unix socket for a proxy on this machine that adds HTTPS and says who the client is.",
    )
    appliance_dir: Path | None = setting(
        None,
        _path_or_nothing,
        "Where the root helpers of the server appliance answer; empty where this is none.",
    )
    event_streams: int = setting(
        64, _number(0, 4096), "Pages that one process keeps live; the others ask every few seconds."
    )
    local_boot_grace: int = setting(
        180,
        _number(0, 86400),
        "Seconds in which a machine that was sent to its own disk is sent there again.",
        page=True,
    )
    default_policy: str = setting(
        "tui",
        _word("tui", "local"),
        "Boot policy of a machine never seen before: tui, or local on a shared network.",
        page=True,
    )
    flash_limit: int = setting(
        0,
        _number(0, 100_000),
        "Machines that are flashed at once; the others wait for their turn. 0: all that want to.",
        page=True,
    )
    online_patience: int = setting(
        900,
        _number(1, 86400),
        "Seconds in which a flashed machine has to answer on SSH, for cijoe-online.",
        page=True,
    )
    online_limit: int = setting(
        3600, _number(1, 7 * 86400), "Seconds that a workflow may take on a machine.", page=True
    )
    event_days: int = setting(90, _number(1, 3650), "Days that events are kept.", page=True)
    upload_reserve_mib: int = setting(
        512, _number(0, 10**6), "MiB that uploads and imports leave free.", page=True
    )
    dhcp_interface: str = setting(
        "", _text, "Network interface on which proxy-DHCP answers.", page=True
    )
    dhcp_subnet: str = setting(
        "", _text, "IPv4 network of that interface, as 10.0.0.0/24.", page=True
    )
    dhcp_server: str = setting("", _text, "This server's address in that network.", page=True)
    dhcp_uefi_program: str = setting(
        "snponly.efi",
        _word("snponly.efi", "ipxe.efi"),
        "What UEFI machines load: snponly.efi uses the firmware's own network driver.",
        page=True,
    )
    came_from: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, folder in FOLDERS.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, self.state_dir / folder)

    @property
    def database(self) -> str:
        """The URL of the database."""
        return self.database_url or f"sqlite:///{self.state_dir / 'bty.db'}"

    @property
    def fixed(self) -> frozenset[str]:
        """The settings that environment or file decide, so that the page cannot."""
        return frozenset(
            name for name, source in self.came_from.items() if source != "the Settings page"
        )

    def with_page(self, stored: Mapping[str, str]) -> Settings:
        """Return these settings with what the Settings page keeps; values that no longer parse are left out."""
        found: dict[str, Any] = {}
        for name, text in stored.items():
            declared = DECLARED.get(name)
            if declared is None or not declared["page"] or name in self.fixed:
                continue
            try:
                found[name] = declared["parse"](text)
            except ValueError:
                continue
        sources = {**self.came_from, **dict.fromkeys(found, "the Settings page")}
        return replace(self, **found, came_from=sources)


FOLDERS = {
    "image_root": "images",
    "boot_dir": "boot",
    "tftp_root": "tftp",
    "dnsmasq_dir": "dnsmasq",
}
DECLARED: Mapping[str, Mapping[str, Any]] = {
    one.name: {**one.metadata, "default": one.default} for one in fields(Settings) if one.metadata
}


def load(environ: Mapping[str, str] | None = None, file: Path | None = None) -> Settings:
    """Read the settings of this process; raise `BrokenSetting` with every fault that is found.

    The file is `file`, or ``BTY_CONFIG``, or /etc/bty/bty-web.yaml if it is there.
    """
    environ = os.environ if environ is None else environ
    named = file or (Path(environ["BTY_CONFIG"]) if environ.get("BTY_CONFIG") else None)
    given = [
        (name, text, source)
        for name, (text, source) in {
            **_from_file(named or FILE, must_exist=named is not None),
            **_from_environment(environ),
        }.items()
    ]
    faults: list[str] = []
    values: dict[str, Any] = {}
    came_from: dict[str, str] = {}
    for name, text, source in given:
        try:
            values[name] = DECLARED[name]["parse"](text)
            came_from[name] = source
        except ValueError as error:
            faults.append(f"{name} (from {source}): {error}")
    if faults:
        raise BrokenSetting(
            "; ".join(faults), hint="correct it; bty-web check shows every setting and its source"
        )
    values.setdefault("state_dir", state_dir_here())
    return Settings(**values, came_from=came_from)


def _from_environment(environ: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    return {
        name: (environ[key], key) for name in DECLARED if (key := PREFIX + name.upper()) in environ
    }


def _from_file(path: Path, *, must_exist: bool) -> dict[str, tuple[str, str]]:
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        if must_exist:
            raise BrokenSetting(f"{path} is not there", hint="BTY_CONFIG names it") from None
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise BrokenSetting(f"{path} cannot be read: {error}") from error
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BrokenSetting(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    content = {} if content is None else content
    if not isinstance(content, dict):
        raise BrokenSetting(f"{path} must hold one 'name: value' a line")
    unknown = sorted(str(name) for name in content if name not in DECLARED)
    if unknown:
        raise BrokenSetting(
            f"{path} has settings that bty-web does not know: {', '.join(unknown)}",
            hint=f"known are {', '.join(sorted(DECLARED))}",
        )
    wrong = sorted(name for name, value in content.items() if isinstance(value, dict | list))
    if wrong:
        raise BrokenSetting(f"{path}: {', '.join(wrong)} must be one value, not several")
    return {name: (_written(value), str(path)) for name, value in content.items()}


def _written(value: object) -> str:
    if isinstance(value, bool):  # what YAML makes of yes and no
        return "yes" if value else "no"
    return "" if value is None else str(value)
