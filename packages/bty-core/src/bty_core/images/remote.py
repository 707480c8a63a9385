"""A file on a web server: which version of it is meant, and how one speaks of it when it fails."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from bty_core.errors import ImageCorrupt, ImageUnavailable
from bty_core.images.address import Address, HttpSettings
from bty_core.images.exchange import Answer, ask
from bty_core.images.failures import Contradiction, LinkError


@dataclass(frozen=True, slots=True)
class Version:
    """What tells one version of a file on a server from another."""

    url: str  # where redirects ended; mirrors behind one address have tags of their own
    total: int | None
    etag: str | None
    modified: str | None

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Return the version that an answer is made of."""
        whole = answer.left if answer.status == 200 else answer.span.total if answer.span else None
        return cls(
            answer.url, whole, answer.headers.get("ETag"), answer.headers.get("Last-Modified")
        )

    @property
    def condition(self) -> str | None:
        """The value for ``If-Range``; None where nothing proves that two parts are of one file."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def contradicts(self, other: Version) -> bool:
        """Whether `other` is certainly another version."""
        if self.total is not None and other.total is not None and self.total != other.total:
            return True
        if self.url != other.url:
            return False
        if self.etag and other.etag:
            return self.etag.removeprefix("W/") != other.etag.removeprefix("W/")
        return bool(self.modified and other.modified and self.modified != other.modified)


class Remote:
    """The address of a file and the patience with its server."""

    def __init__(self, address: Address, settings: HttpSettings) -> None:
        self.address = address
        self.settings = settings

    def __str__(self) -> str:
        return self.address.url

    def ask(self, version: Version | None, headers: dict[str, str]) -> Answer:
        """Ask where `version` came from; once that is no longer good, where a person said."""
        if version and version.url != self.address.url:
            try:
                return ask(self.address, self.settings, url=version.url, headers=headers)
            except LinkError as error:
                if error.again:
                    raise
        return ask(self.address, self.settings, headers=headers)

    def changed(self, at: int, total: int | None) -> ImageUnavailable:
        """Return the failure that another version of the file means after `at` bytes."""
        if not at:
            return ImageUnavailable(
                f"{self} changed on the server since it was looked at", hint="start again"
            )
        return ImageUnavailable(
            f"{self} changed on the server after {progress(at, total)} were read",
            hint="start again: what was read so far is of the old file",
        )

    def contradicted(self, error: Contradiction) -> ImageCorrupt:
        """Return the failure that a server means which does not keep to its word."""
        hint = "start again, and if it stays like this look at the server and at proxies on the way"
        return ImageCorrupt(f"{self} cannot be trusted: {error.reason}", hint=hint)


def expect(answer: Answer, first: int, total: int | None) -> None:
    """Raise `Contradiction` where a part is not the bytes from `first` up to `total`."""
    span = answer.span
    if span is None or span.first is None or span.last is None:
        raise Contradiction("the server sent a part of the file and does not say which")
    if span.first != first or (total is not None and span.last + 1 != total):
        wanted = f"{first}-{'' if total is None else total - 1}"
        raise Contradiction(f"bytes {wanted} were asked for and the server sent '{span}'")
    if answer.left is not None and answer.left != span.last + 1 - first:
        raise Contradiction(f"the server sent '{span}' and announced {answer.left} bytes of it")


def progress(at: int, total: int | None) -> str:
    """Return how far a read is, in words."""
    return f"{at} bytes" if total is None else f"{at} of {total} bytes"
