"""Attempts: what machines are doing, did, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import AwareDatetime, Field

from bty_web.api import auth, reading
from bty_web.api.fields import Answer, MacText, Page, Paged, omittable
from bty_web.api.operations import Reply, operation
from bty_web.api.paging import page_of
from bty_web.extensions import db, writing
from bty_web.models import Attempt, Machine
from bty_web.models.words import AttemptMode, Scope, State, Trigger
from bty_web.services import attempts, clock, listing, machines, turns


class AttemptAnswer(Answer):
    """One try at flashing one machine."""

    id: int
    mac: str = Field(description="The machine's primary MAC address.")
    state: State
    mode: AttemptMode
    trigger: Trigger
    revision: int = Field(description="Of the machine's assignment when it was opened.")
    reason: str | None = Field(
        description="Why it got the wizard, where its policy says otherwise."
    )
    image: str | None
    image_sha256: str | None
    target: str | None = Field(description="The disk selector.")
    disk: str | None = Field(description="The disk that is or was written.")
    disk_details: dict[str, Any] | None = Field(
        description="Its model, serial and size, as an inventory has them, where the machine says so."
    )
    console: str | None = Field(description="Where the person is who flashes by hand.")
    queue_position: int | None = Field(
        description="Its place among those that wait for their turn to write; 1 is next."
    )
    phase: str | None
    source_bytes: int
    disk_bytes: int
    total_bytes: int | None = Field(description="Null while nobody knows.")
    bytes_per_second: int | None
    bottleneck: str | None
    bytes_written: int | None
    seconds: float | None
    started_at: AwareDatetime
    heard_at: AwareDatetime = Field(description="When it was offered, or last reported.")
    cancel_asked_at: AwareDatetime | None
    ended_at: AwareDatetime | None
    superseded_by: int | None
    online_state: str | None = Field(
        description="With `cijoe-online`: `expected`, then the state of the run that follows."
    )
    code: str | None
    message: str | None
    hint: str | None


class AttemptDetail(AttemptAnswer):
    """One attempt with its log."""

    log: str | None = Field(description="Of a failed one, as its machine sent it, without tokens.")


class AttemptPage(Page):
    """One page of attempts, the newest first."""

    items: list[AttemptAnswer]


class AttemptQuery(Paged):
    """Which attempts."""

    mac: MacText | None = omittable("Those of this machine.")
    state: State | None = omittable("Those in this state.")


def attempt_values(
    attempt: Attempt, machine: Machine, positions: Mapping[int, int]
) -> dict[str, Any]:
    """Return what an `AttemptDetail` is made of; `positions` are those of the queue."""
    columns = AttemptDetail.model_fields.keys() - {"mac", "queue_position"}
    return {
        "mac": machine.mac,
        "queue_position": positions.get(attempt.id),
        **{name: getattr(attempt, name) for name in columns},
    }


@operation(
    "GET",
    "/attempts",
    tag="attempts",
    scope=Scope.READ,
    query=AttemptQuery,
    answers={200: AttemptPage},
    problems=[404],
)
def list_attempts(query: AttemptQuery) -> Reply:
    """List attempts, the newest first."""
    session = db.session()
    mac = reading.mac_address("mac", query.mac) if query.mac else None
    found = listing.attempts(
        session,
        machine_id=machines.get(session, mac).id if mac else None,
        state=query.state,
        number=query.page,
        size=query.size,
    )
    positions = turns.positions(session, [row[0] for row in found.rows], clock.now())
    items = [attempt_values(*row, positions) for row in found.rows]
    return page_of(AttemptPage, found, items, query)


@operation(
    "GET",
    "/attempts/{id}",
    tag="attempts",
    scope=Scope.READ,
    answers={200: AttemptDetail},
    problems=[404],
)
def show_attempt(id: int) -> AttemptDetail:
    """Show one attempt with its log."""
    session = db.session()
    attempt = attempts.get(session, id)
    machine = session.get_one(Machine, attempt.machine_id)
    positions = turns.positions(session, [attempt], clock.now())
    return AttemptDetail.model_validate(attempt_values(attempt, machine, positions))


@operation(
    "POST",
    "/attempts/{id}/cancel",
    tag="attempts",
    scope=Scope.OPERATE,
    answers={200: AttemptAnswer},
    problems=[404, 409],
)
def cancel_attempt(id: int) -> AttemptAnswer:
    """Cancel an attempt.

    One that has not begun ends at once. One that writes is asked to stop, which `cancel_asked_at` shows; it is
    `cancelled` once its machine has answered, and its disk will not boot. 409: it has ended already.
    """
    with writing() as session:
        # The machine first, as its reports do: two of them never wait for each other.
        machine = session.get_one(
            Machine, attempts.get(session, id).machine_id, with_for_update=True
        )
        attempt = attempts.get(session, id, lock=True)
        session.refresh(attempt)
        attempts.cancel(session, machine, attempt, by=auth.actor(), now=clock.now())
    return AttemptAnswer.model_validate(attempt_values(attempt, machine, {}))
