"""From the server's plan to a flash that this computer can do, or every reason against it."""

from __future__ import annotations

from dataclasses import dataclass

from bty_agent.boot_line import BootLine
from bty_agent.unattended.errors import CannotProvision, PlanIncomplete
from bty_agent.unattended.workshop import Workshop
from bty_core.disks.model import Disk, Kind
from bty_core.disks.select import Selector
from bty_core.errors import DiskTooSmall, InvalidValue, Refusals
from bty_core.flash.plan import FlashOptions, FlashPlan, refusals
from bty_core.images.address import HttpSettings
from bty_core.images.digest import KnownDigest
from bty_core.images.inspect import inspect
from bty_core.images.locate import locate
from bty_core.images.source import Source
from bty_core.provisioning.cloud_init import CloudInit
from bty_core.provisioning.job import Provisioner
from bty_core.provisioning.seed import Seed
from bty_core.values import Digest, MacAddress, size_text
from bty_core.wire.plan import ImageOffer, Plan, Provisioning, ProvisioningMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What the kernel command line says an unattended machine is here for."""

    server: str
    mac: MacAddress
    attempt: int
    token: str

    @classmethod
    def of(cls, line: BootLine) -> Job:
        """Return the job of `line`; raise `InvalidValue` with what is missing."""
        if line.server and line.mac and line.attempt is not None and line.token:
            return cls(server=line.server, mac=line.mac, attempt=line.attempt, token=line.token)
        given = {
            "bty.server": line.server,
            "bty.mac": line.mac,
            "bty.attempt": line.attempt,
            "bty.token": line.token,
        }
        missing = [name for name, value in given.items() if value is None]
        raise InvalidValue(
            f"on the kernel command line {', '.join(missing)} {'is' if len(missing) == 1 else 'are'}"
            " missing",
            hint="boot the machine from the network again: its script has all of them",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A plan in which everything is there that a flash needs."""

    image: ImageOffer
    source: Source
    digest: KnownDigest | None
    selector: Selector
    options: FlashOptions
    uefi_entry: bool
    provisioner: Provisioner | None

    @classmethod
    def of(cls, plan: Plan, http: HttpSettings, workshop: Workshop) -> Wanted:
        """Check `plan` before anything is looked at.

        Raises `PlanIncomplete`, `CannotProvision`, `SeedRefused` or `WorkflowRefused`.
        """
        if plan.image is None:
            raise PlanIncomplete(
                "the server names no image that it has", hint="assign one on the machine's page"
            )
        if plan.target is None:
            raise PlanIncomplete(
                "the server names no target disk", hint="choose one on the machine's page"
            )
        offer = plan.image
        try:
            return cls(
                image=offer,
                source=locate(offer.url, settings=http),
                digest=KnownDigest(Digest.parse(offer.sha256), "the server")
                if offer.sha256
                else None,
                selector=Selector.parse(plan.target),
                options=FlashOptions(verify=plan.options.verify, fix_gpt=plan.options.fix_gpt),
                uefi_entry=plan.options.uefi_entry,
                provisioner=provisioner_of_plan(plan.provisioning, workshop),
            )
        except InvalidValue as error:
            raise PlanIncomplete(
                f"the plan makes no sense: {error.message}", hint=error.hint
            ) from error


def provisioner_of_plan(given: Provisioning, workshop: Workshop) -> Provisioner | None:
    """Return what provisions as the server wants it; raise `CannotProvision`, `SeedRefused` or `WorkflowRefused`."""
    match given.mode:
        case ProvisioningMode.NONE:
            return None
        case ProvisioningMode.CLOUD_INIT:
            if given.user_data is None:
                raise CannotProvision(
                    f"the server gives no user-data: {given.withheld or 'none is kept'}",
                    hint="look at the seed on the machine's page, then boot the machine again",
                )
            return _seeded(given, given.user_data)
        case ProvisioningMode.CIJOE:
            if given.workflow is None:
                raise CannotProvision(
                    f"the server gives no workflow: {given.withheld or 'none is assigned'}",
                    hint="assign one on the machine's page",
                )
            return workshop.provisioner(given.workflow)
        case ProvisioningMode.CIJOE_ONLINE:
            if given.withheld is not None:
                raise CannotProvision(
                    f"the server gives nothing to let it in with: {given.withheld}",
                    hint="boot the machine again: its next attempt gets keys of its own",
                )
            # An image that the server has credentials for stays as it is.
            return _seeded(given, given.user_data) if given.user_data else None


def _seeded(given: Provisioning, user_data: str) -> CloudInit:
    texts = _bytes(given.meta_data), _bytes(given.network_config)
    return CloudInit(Seed.of(user_data.encode(), *texts))


def _bytes(text: str | None) -> bytes | None:
    return text.encode() if text else None


def prepare(wanted: Wanted, disk: Disk) -> FlashPlan:
    """Look at the image and judge the plan; nothing is written.

    Raises `Refusals`, `DiskTooSmall`, `ImageUnavailable`, `ImageRefused` and `ImageCorrupt`.
    """
    offer = wanted.image
    image = inspect(wanted.source)
    plan = FlashPlan(image=image, disk=disk, digest=wanted.digest, options=wanted.options)
    found = refusals(plan)
    if wanted.provisioner is not None:
        found += wanted.provisioner.refusals(plan)
    if found:
        raise Refusals(found)
    # Some formats do not say themselves how large the disk is that they become.
    size = offer.virtual_size_bytes if image.virtual_size is None else None
    if size is not None and size > disk.size and disk.kind is not Kind.FILE:
        raise DiskTooSmall(
            f"{disk.path} has {disk.size} bytes ({size_text(disk.size)}),"
            f" {size - disk.size} too few for {offer.name}",
            hint=f"choose a disk of at least {size_text(size)}, or shrink the image",
        )
    return plan
