"""Server-sent events: hints of what has changed, for pages that are open."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import cast

from flask import Flask, Response, current_app, request

from bty_web.extensions import db
from bty_web.security import login_required
from bty_web.services import changes
from bty_web.services.clock import change_stamp
from bty_web.settings import Settings
from bty_web.ui.blueprint import bp
from bty_web.ui.following import OVERLAP, Follower, Hints, Mailbox, hints_of

KEEP_ALIVE = 15.0  # seconds
LIFETIME = 600.0  # seconds; the browser comes again, and is asked again who it is
FURTHEST = 3600_000_000  # microseconds; a page that was away for longer asks for everything


def init_app(app: Flask, settings: Settings) -> None:
    """Let this process have as many streams as the settings say."""
    app.extensions["bty_follower"] = Follower(settings.event_streams)


@bp.get("/stream")
@login_required
def stream() -> Response:
    """Follow what changes; 204 where this process has no room for one more, and the page polls."""
    follower = cast(Follower, current_app.extensions["bty_follower"])
    mailbox = follower.attach(db.engine)
    if mailbox is None:
        return Response(status=204)
    # From here on nothing of the request is used: its connection to the database goes back now.
    try:
        mailbox.put(_missed(request.headers.get("Last-Event-ID", "")))
    except BaseException:
        follower.detach(mailbox)
        raise
    finally:
        db.session.remove()
    response = Response(_messages(mailbox), mimetype="text/event-stream")
    response.headers["X-Accel-Buffering"] = "no"
    response.call_on_close(lambda: follower.detach(mailbox))
    return response


def _missed(last: str) -> Hints:
    """Return what has changed since the message `last`, or since the page was drawn a moment ago."""
    now = change_stamp()
    known = int(last) if last.isdecimal() and len(last) < 18 else now
    if known < now - FURTHEST:
        return dict.fromkeys(("machines", "images", "jobs", "events"), frozenset())
    return hints_of(changes.since(db.session(), min(known, now) - OVERLAP))


def _messages(mailbox: Mailbox) -> Iterator[str]:
    yield "retry: 3000\n: hints of what has changed\n\n"
    until = time.monotonic() + LIFETIME
    while time.monotonic() < until:
        hints = mailbox.take(KEEP_ALIVE)
        if hints is None:
            return
        if not hints:
            yield ": still here\n\n"
        stamp = change_stamp()
        for topic, ids in hints.items():
            yield f"id: {stamp}\nevent: {topic}\ndata: {json.dumps(sorted(ids))}\n\n"
