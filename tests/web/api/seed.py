"""A room to ask about: machines, groups, attempts, images."""

from __future__ import annotations

from bty_core.values import MacAddress
from bty_web.models import Job
from bty_web.models.words import JobState
from bty_web.services import groups
from tests.web.pxe.walk import Boot, add_live_environment
from tests.web.site import NOW, OPERATOR, Site

OTHER = MacAddress.parse("52:54:00:00:00:02")


def seed(site: Site) -> None:
    """Fill `site`: a machine that failed, one that runs, one that is new, an image, a group."""
    add_live_environment(site)
    site.add_image()
    with site.session() as session:
        session.add(
            Job(
                kind="measure",
                subject="debian.img",
                arguments={},
                state=JobState.DONE,
                tries=1,
                asked_by="bty",
                created_at=NOW,
            )
        )
        groups.create(session, "rack 1", "by the window", by=OPERATOR, now=NOW)
    site.add_machine(
        name="alpha", group="rack 1", image="debian.img", target="serial:S5Y1", boot_policy="flash"
    )
    first = Boot.of(site)
    first.inventory()
    first.progress(disk_bytes=5, total_bytes=10)
    first.failed(log="bty.token=abc it broke")
    second = Boot.of(site)
    second.progress(disk_bytes=5, total_bytes=10)
    Boot.of(site, OTHER)
