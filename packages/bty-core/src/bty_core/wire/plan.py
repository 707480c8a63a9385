"""What the live environment should do: the answer of ``GET /pxe/{mac}/plan``."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self

from bty_core.wire.fields import Fields

SCHEMA_VERSION = "1"
MOST_TEXT = 256 * 1024  # characters of user-data and its like


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
class Workflow:
    """A CIJOE workflow that a server offers: one version of it, packed."""

    name: str
    version: int
    url: str
    sha256: str  # of the archive, 64 hexadecimal digits
    task: str  # the file in it that cijoe runs
    config: str | None = None  # the file in it with the configuration

    def wire(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "name": self.name,
            "version": self.version,
            "url": self.url,
            "sha256": self.sha256,
            "task": self.task,
            "config": self.config,
        }

    @classmethod
    def read(cls, given: Fields) -> Self:
        """Read it; raise `InvalidField` for what is missing or wrong."""
        return cls(
            name=given.text("name", most=80),
            version=given.integer("version"),
            url=given.text("url", most=4096),
            sha256=given.text("sha256", most=64),
            task=given.text("task", most=255),
            config=given.optional(lambda name: given.text(name, most=255), "config"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Provisioning:
    """What is done to the freshly written disk, and with what. The texts are there for who may have them.

    `withheld` says why they are not there, where the mode wants them.
    """

    mode: ProvisioningMode = ProvisioningMode.NONE
    user_data: str | None = field(default=None, repr=False)
    meta_data: str | None = field(default=None, repr=False)
    network_config: str | None = field(default=None, repr=False)
    workflow: Workflow | None = None
    withheld: str | None = None

    def wire(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return {
            "mode": self.mode.value,
            "user_data": self.user_data,
            "meta_data": self.meta_data,
            "network_config": self.network_config,
            "workflow": self.workflow.wire() if self.workflow else None,
            "withheld": self.withheld,
        }

    @classmethod
    def read(cls, given: Fields) -> Self:
        """Read it; raise `InvalidField` for what is missing or wrong."""

        def text(name: str) -> str | None:
            return given.optional(lambda one: given.text(one, most=MOST_TEXT), name)

        workflow = given.optional(given.fields, "workflow")
        return cls(
            mode=given.optional(
                lambda name: given.choice(name, ProvisioningMode), "mode", ProvisioningMode.NONE
            ),
            user_data=text("user_data"),
            meta_data=text("meta_data"),
            network_config=text("network_config"),
            workflow=Workflow.read(workflow) if workflow else None,
            withheld=given.optional(lambda name: given.text(name, most=2000), "withheld"),
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
    provisioning: Provisioning = field(default_factory=Provisioning)

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
            "provisioning": self.provisioning.wire(),
        }

    def for_a_log(self) -> dict[str, Any]:
        """Return the plan as JSON values without what provisioning writes, which may be secret."""
        silent = replace(self.provisioning, user_data=None, meta_data=None, network_config=None)
        return replace(self, provisioning=silent).wire()

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
            provisioning=Provisioning.read(provisioning),
        )
