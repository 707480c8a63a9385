"""What the live environment should do: the answer of ``GET /pxe/{mac}/plan``."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

from bty_core.wire.fields import Fields

SCHEMA_VERSION = "1"


class Mode(StrEnum):
    """How the live environment is to behave."""

    INTERACTIVE = "interactive"  # a person at the wizard
    AUTO = "auto"  # flash what is assigned, unattended
    LOCAL = "local"  # nothing: the machine's own disk


class ProvisioningMode(StrEnum):
    """What is done to the freshly written disk."""

    NONE = "none"
    CLOUD_INIT = "cloud-init"
    CIJOE = "cijoe"
    CIJOE_ONLINE = "cijoe-online"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageOffer:
    """An image that a server offers. Sizes are bytes; None is what the server has not measured yet."""

    name: str
    url: str
    format: str | None
    sha256: str | None  # of the file as stored, 64 hexadecimal digits
    size_bytes: int  # of the file as stored
    virtual_size_bytes: int | None  # of the disk it becomes
    disk_sha256: str | None = None  # of the decoded bytes
    description: str | None = None

    def wire(self) -> dict[str, Any]:
        """Return the JSON values of one entry of ``GET /images`` or of a plan's image."""
        return {
            "name": self.name,
            "url": self.url,
            "format": self.format,
            "sha256": self.sha256,
            "size_bytes": self.size_bytes,
            "virtual_size_bytes": self.virtual_size_bytes,
            "disk_sha256": self.disk_sha256,
            "description": self.description,
        }

    @classmethod
    def read(cls, given: Fields) -> Self:
        """Read one entry; raise `InvalidField` for what is missing or wrong."""
        return cls(
            name=given.text("name", most=255),
            url=given.text("url", most=4096),
            format=given.optional(given.text, "format"),
            sha256=given.optional(given.text, "sha256"),
            size_bytes=given.integer("size_bytes"),
            virtual_size_bytes=given.optional(given.integer, "virtual_size_bytes"),
            disk_sha256=given.optional(given.text, "disk_sha256"),
            description=given.optional(lambda name: given.text(name, most=4096), "description"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How the flash is done."""

    verify: bool = True  # read the disk back
    fix_gpt: bool = False  # move the backup of the GPT to the end of a larger disk
    uefi_entry: bool = False  # a boot entry and one-shot BootNext; never changes BootOrder

    def wire(self) -> dict[str, Any]:
        """Return the options as JSON values."""
        return {
            "verify": self.verify,
            "fix_gpt": self.fix_gpt,
            "uefi_entry": self.uefi_entry,
        }

    @classmethod
    def read(cls, given: Fields) -> Self:
        """Read the options; what is missing is as usual."""
        return cls(
            verify=given.optional(given.boolean, "verify", True),
            fix_gpt=given.optional(given.boolean, "fix_gpt", False),
            uefi_entry=given.optional(given.boolean, "uefi_entry", False),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a machine should do now. `attempt` is None where nothing is under way for it."""

    mode: Mode
    reason: str | None = None  # why the wizard and not what is assigned; or why the local disk
    attempt: int | None = None
    image: ImageOffer | None = None
    target: str | None = None  # a disk selector
    options: Options = field(default_factory=Options)
    provisioning: ProvisioningMode = ProvisioningMode.NONE

    def wire(self) -> dict[str, Any]:
        """Return the plan as JSON values."""
        return {
            "schema_version": SCHEMA_VERSION,
            "attempt": self.attempt,
            "mode": self.mode.value,
            "reason": self.reason,
            "image": self.image.wire() if self.image else None,
            "target": self.target,
            "options": self.options.wire(),
            "provisioning": {"mode": self.provisioning.value},
        }

    @classmethod
    def from_wire(cls, message: object) -> Self:
        """Read a plan; raise `InvalidField` for what is missing or wrong."""
        given = Fields(message)
        options = given.optional(given.fields, "options", Fields({}))
        provisioning = given.optional(given.fields, "provisioning", Fields({}))
        image = given.optional(given.fields, "image")
        return cls(
            mode=given.choice("mode", Mode),
            reason=given.optional(lambda name: given.text(name, most=2000), "reason"),
            attempt=given.optional(given.integer, "attempt"),
            image=ImageOffer.read(image) if image else None,
            target=given.optional(lambda name: given.text(name, most=1000), "target"),
            options=Options.read(options),
            provisioning=provisioning.optional(
                lambda name: provisioning.choice(name, ProvisioningMode),
                "mode",
                ProvisioningMode.NONE,
            ),
        )
