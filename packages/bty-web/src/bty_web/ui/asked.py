"""Which machines an address or a form asks for: filter, order, and what keeps both in the next address."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import request
from werkzeug.datastructures import MultiDict

from bty_web.models.words import Policy, State
from bty_web.services.listing import SORTS, MachineFilter
from bty_web.ui.paging import page_size

SIZES = (25, 50, 100, 250)
USUAL = 50
STATES = ("active", "none", *State)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a person asks of the list of machines."""

    wanted: MachineFilter
    sort: str
    size: int

    @classmethod
    def of(cls, given: MultiDict[str, str]) -> Asked:
        """Read an address or a form; what means nothing is left out."""

        def word(name: str) -> str | None:
            return given.get(name, "").strip()[:255] or None

        state, policy = word("state"), word("policy")
        sort = given.get("sort", "")
        return cls(
            wanted=MachineFilter(
                search=word("q"),
                state=state if state in STATES else None,
                policy=Policy(policy) if policy in set(Policy) else None,
                image=word("image"),
                group=word("group"),
            ),
            sort=sort if sort.removeprefix("-") in SORTS else "name",
            size=page_size(SIZES, USUAL),
        )

    @classmethod
    def here(cls) -> Asked:
        """Read this request's address."""
        return cls.of(request.args)

    @property
    def filter(self) -> dict[str, Any]:
        """The filter as parts of an address."""
        wanted = self.wanted
        found = {
            "q": wanted.search,
            "state": wanted.state,
            "policy": wanted.policy.value if wanted.policy else None,
            "image": wanted.image,
            "group": wanted.group,
        }
        return {name: value for name, value in found.items() if value}

    @property
    def address(self) -> dict[str, Any]:
        """All of it as parts of an address, without what is usual."""
        found = dict(self.filter)
        if self.sort != "name":
            found["sort"] = self.sort
        if self.size != USUAL:
            found["size"] = str(self.size)
        return found

    def sorted_by(self, key: str) -> dict[str, Any]:
        """The address that sorts by `key`, or by its reverse where it is sorted by `key` already."""
        return {**self.address, "sort": f"-{key}" if self.sort == key else key}

    def order_of(self, key: str) -> str:
        """How the column `key` is sorted, in the words of ``aria-sort``."""
        return {key: "ascending", f"-{key}": "descending"}.get(self.sort, "none")
