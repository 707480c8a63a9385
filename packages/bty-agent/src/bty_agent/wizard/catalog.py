"""The images that the wizard offers, and what it takes to write one."""

from __future__ import annotations

from pathlib import Path

from bty_agent.wizard.offers import Offer
from bty_core.errors import BtyError
from bty_core.images import qcow2
from bty_core.images.catalog import CatalogEntry, read_catalog
from bty_core.images.digest import KnownDigest
from bty_core.images.file import FileSource
from bty_core.images.formats import SNIFF_BYTES, Format, sniff
from bty_core.images.inspect import inspect
from bty_core.values import Digest
from bty_core.wire.plan import ImageOffer

SERVER_DIGEST = "the catalog of the server"


def local_offers(root: Path) -> tuple[Offer, ...]:
    """Return the images in `root`; raise `ImageUnavailable` where it cannot be read."""
    return tuple(map(_offer, read_catalog(root)))


def server_offers(images: list[ImageOffer]) -> tuple[Offer, ...]:
    """Return what a server offers."""
    return tuple(
        Offer(
            name=image.name,
            where=image.url,
            format=image.format,
            size=image.size_bytes,
            virtual_size=image.virtual_size_bytes,
            digest=image.sha256,
            digest_origin=SERVER_DIGEST,
            description=image.description,
        )
        for image in images
    )


def digest_of(image: Offer) -> KnownDigest | None:
    """Return the digest that the catalog knows of `image`."""
    return KnownDigest(Digest(image.digest), image.digest_origin) if image.digest else None


def _offer(entry: CatalogEntry) -> Offer:
    form, virtual_size, problem = None, None, None
    try:
        form, virtual_size = _glance(FileSource(entry.path))
    except BtyError as error:
        problem = error.message
    return Offer(
        name=entry.name,
        where=str(entry.path),
        format=form,
        size=entry.size,
        virtual_size=virtual_size,
        digest=entry.digest.digest.hex if entry.digest else None,
        digest_origin=entry.digest.origin if entry.digest else "",
        description=entry.description or "; ".join(entry.warnings) or None,
        problem=problem,
    )


def _glance(source: FileSource) -> tuple[str, int | None]:
    """Return format and size on the disk, without starting a program for qcow2."""
    start = source.read_at(0, SNIFF_BYTES)
    if sniff(start, source.name) is Format.QCOW2:
        header = qcow2.read_header(source.read_at(0, qcow2.HEADER_BYTES), source.name)
        qcow2.refuse_incomplete(header, source.name)
        return str(Format.QCOW2), header.virtual_size
    image = inspect(source)
    return str(image.format), image.virtual_size
