"""The seed that cloud-init's NoCloud reads: user-data, meta-data and network-config, checked before the write."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from bty_core.provisioning.errors import SeedRefused
from bty_core.provisioning.user_data import check, config
from bty_core.values import MIB, size_text

LARGEST = 2 * MIB  # of one file, decompressed
_GZIP = b"\x1f\x8b"
_ID = "instance-id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """A seed that cloud-init will understand. What is in it appears in no message."""

    user_data: bytes = field(repr=False)
    meta_data: dict[str, Any] = field(repr=False)
    network_config: bytes | None = field(repr=False)
    warnings: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        user_data: bytes,
        meta_data: bytes | None = None,
        network_config: bytes | None = None,
    ) -> Self:
        """Check the three; raise `SeedRefused`. Compressed user-data is decompressed."""
        text = _text(_decompressed(user_data), "user-data")
        if not text.strip():
            raise SeedRefused("user-data is empty", hint="its first line would be #cloud-config")
        check(text)
        warned = []
        facts = config(_text(meta_data, "meta-data"), "meta-data") if meta_data is not None else {}
        if not all(isinstance(key, str) for key in facts):
            raise SeedRefused("meta-data has keys that are no texts")
        if facts.pop(_ID, None) is not None:
            warned.append(
                "the instance-id in meta-data is not used: each flash gets a new one,"
                " so that cloud-init sets the machine up again"
            )
        if network_config is not None:
            _check_network(_text(network_config, "network-config"))
        return cls(
            user_data=text.encode(),
            meta_data=facts,
            network_config=network_config,
            warnings=tuple(warned),
        )

    def files(self) -> dict[str, bytes]:
        """Return name and content of each file of a seed, with an instance-id that no other seed has."""
        import yaml

        meta = {_ID: f"bty-{uuid4()}", **self.meta_data}
        found = {
            "user-data": self.user_data,
            "meta-data": yaml.safe_dump(meta, sort_keys=False, allow_unicode=True).encode(),
        }
        if self.network_config is not None:
            found["network-config"] = self.network_config
        return found


def read_seed(user_data: Path, meta_data: Path | None, network_config: Path | None) -> Seed:
    """Read and check a seed; raise `SeedRefused`."""
    return Seed.of(
        _read(user_data, "user-data"),
        _read(meta_data, "meta-data") if meta_data else None,
        _read(network_config, "network-config") if network_config else None,
    )


def _read(path: Path, what: str) -> bytes:
    try:
        if not path.is_file():
            raise SeedRefused(
                f"{path} ({what}) is {'no regular file' if path.exists() else 'not there'}"
            )
        with path.open("rb") as file:
            found = file.read(LARGEST + 1)
    except OSError as error:
        raise SeedRefused(f"{path} ({what}) cannot be read: {error.strerror}") from error
    if len(found) > LARGEST:
        raise _too_large(what)
    return found


def _decompressed(data: bytes) -> bytes:
    if not data.startswith(_GZIP):
        return data
    decoder = zlib.decompressobj(wbits=31)
    try:
        text = decoder.decompress(data, LARGEST + 1)
    except zlib.error:
        raise SeedRefused("user-data is gzip, and damaged") from None
    if len(text) > LARGEST:
        raise _too_large("user-data")
    if not decoder.eof or decoder.unused_data:
        raise SeedRefused("user-data is gzip, and cut short or followed by something")
    return text


def _too_large(what: str) -> SeedRefused:
    return SeedRefused(
        f"{what} has more than {size_text(LARGEST)}",
        hint="have cloud-init fetch what is large, by #include or in a script",
    )


def _text(data: bytes, what: str) -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        place = error.start
    else:
        if "\0" not in text:
            return text
        place = text.index("\0")
    # Not from the decoder's own error, which has the bytes.
    raise SeedRefused(f"{what} is no UTF-8 text: see byte {place}")


def _check_network(text: str) -> None:
    found = config(text, "network-config")
    inner = found.get("network", found)
    if not isinstance(inner, dict) or (
        inner.get("version") not in (1, 2) and inner.get("config") != "disabled"
    ):
        raise SeedRefused(
            "network-config says no version that cloud-init knows",
            hint="write 'version: 2', or 'version: 1' for the older form",
        )
