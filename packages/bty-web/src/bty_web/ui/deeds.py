"""What is done to one machine and cannot be undone: each asks first, on a page of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from flask import flash, redirect, render_template, url_for
from werkzeug.wrappers import Response

from bty_core.errors import BtyError
from bty_web.errors import Conflict
from bty_web.extensions import db, writing
from bty_web.models import Machine
from bty_web.problems import status_of
from bty_web.security import login_required, person
from bty_web.services import assignments, attempts, contacts, machines
from bty_web.services.clock import now
from bty_web.ui.blueprint import bp
from bty_web.ui.machine import attempt_of, find


@dataclass(frozen=True, slots=True, kw_only=True)
class AskPage:
    """A question: what will happen, and two ways out."""

    title: str
    sentences: Sequence[str]
    button: str
    keep: str  # the way back
    machine: Machine
    error: BtyError | None = None


@bp.get("/machines/<int:number>/reflash")
@login_required
def ask_reflash(number: int) -> str:
    """Ask before a machine is flashed out of turn."""
    machine = find(number)
    why_not = contacts.obstacle(db.session(), machine)
    if why_not:
        return _ask(machine, *_cannot_flash(machine, why_not))
    sentences = (
        f"At its next network boot {machine.image} is written to the disk that '{machine.target}' means.",
        "Everything that is on that disk is lost. Its boot policy stays as it is.",
    )
    return _ask(machine, f"Flash {machine.title}?", sentences, "Flash at the next network boot")


def _cannot_flash(machine: Machine, why_not: str) -> tuple[str, Sequence[str], str]:
    sentence = f"It cannot be flashed as it is assigned: {why_not}. Change the assignment first."
    return f"{machine.title} cannot be flashed", (sentence,), ""


@bp.post("/machines/<int:number>/reflash")
@login_required
def reflash(number: int) -> Response | tuple[str, int]:
    """Let the next network boot flash a machine; 409 where it cannot be flashed as it is assigned."""
    with writing() as session:
        machine = find(number, session)
        why_not = contacts.obstacle(session, machine)
        if why_not is None:
            assignments.arm(session, machine, by=person(), now=now())
    if why_not is not None:
        return _ask(find(number), *_cannot_flash(machine, why_not)), 409
    flash("It will be flashed at its next network boot.", "ok")
    return redirect(url_for("ui.machine", number=number))


@bp.post("/machines/<int:number>/reflash/off")
@login_required
def reflash_off(number: int) -> Response:
    """Take a reflash back."""
    with writing() as session:
        machine = find(number, session)
        assignments.disarm(session, machine, by=person(), now=now())
    flash("It will not be flashed out of turn.", "ok")
    return redirect(url_for("ui.machine", number=number))


@bp.get("/machines/<int:number>/attempts/<int:attempt>/cancel")
@login_required
def ask_cancel(number: int, attempt: int) -> str:
    """Ask before an attempt is cancelled."""
    machine = find(number)
    found = attempt_of(db.session(), machine, attempt)
    return _ask(machine, f"Cancel attempt {found.id} of {machine.title}?", _stopped(), "Cancel it")


def _stopped() -> Sequence[str]:
    return (
        "The machine stops writing with its next report. What is on the disk then is half an image: "
        "the disk will not boot until it is flashed again.",
        "The assignment stays: under a policy that flashes, the next network boot begins again.",
    )


@bp.post("/machines/<int:number>/attempts/<int:attempt>/cancel")
@login_required
def cancel(number: int, attempt: int) -> Response | tuple[str, int]:
    """Cancel an attempt."""
    try:
        with writing() as session:
            machine = find(number, session)
            found = attempt_of(session, machine, attempt)
            attempts.cancel(session, machine, found, by=person(), now=now())
    except Conflict as error:
        title = f"Attempt {attempt} cannot be cancelled"
        return _ask(find(number), title, [], "", error), status_of(error)
    flash(f"Attempt {attempt} is cancelled, or will be with the machine's next report.", "ok")
    return redirect(url_for("ui.machine", number=number))


@bp.get("/machines/<int:number>/remove")
@login_required
def ask_remove(number: int) -> str:
    """Ask before a machine is removed."""
    return _ask_remove(find(number), None)


@bp.post("/machines/<int:number>/remove")
@login_required
def remove(number: int) -> Response | tuple[str, int]:
    """Remove a machine with its attempts."""
    try:
        with writing() as session:
            machine = find(number, session)
            machines.forget(session, machine, by=person(), now=now())
    except Conflict as error:
        return _ask_remove(find(number), error), status_of(error)
    flash(f"{machine.title} is removed.", "ok")
    return redirect(url_for("ui.machines"))


def _ask_remove(machine: Machine, error: BtyError | None) -> str:
    sentences = (
        "Its assignment, its attempts and their logs are removed from this server. "
        "Nothing is written to its disks.",
        "If it boots from the network again, it appears as a new machine.",
    )
    return _ask(machine, f"Remove {machine.title}?", sentences, "Remove the machine", error)


def _ask(
    machine: Machine,
    title: str,
    sentences: Sequence[str],
    button: str,
    error: BtyError | None = None,
) -> str:
    page = AskPage(
        title=title,
        sentences=sentences,
        button=button,
        keep="Leave it as it is",
        machine=machine,
        error=error,
    )
    return render_template("machine/ask.html", page=page)
