"""Background work: imports and measuring, how far they are and how they ended."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from bty_web.api import auth
from bty_web.api.fields import Answer, Line, Page, Paged, omittable
from bty_web.api.operations import Reply, operation
from bty_web.api.paging import page_of
from bty_web.errors import Conflict
from bty_web.extensions import db, writing
from bty_web.jobs import imports
from bty_web.models import Job
from bty_web.models.words import JobState, Scope
from bty_web.services import clock, jobs, listing
from bty_web.services.addresses import without_secrets


class JobAnswer(Answer):
    """One piece of background work. What else it was given may hold secrets and is not shown."""

    id: int
    kind: str = Field(description="`measure`, `convert`, `import`, `probe` or `online`.")
    subject: str = Field(description="The image, the network interface, or the machine.")
    source: str | None = Field(
        description="Where an import fetches from, without user, password and query."
    )
    state: JobState
    done_bytes: int
    total_bytes: int | None = Field(description="Null while nobody knows.")
    tries: int
    asked_by: str
    created_at: AwareDatetime
    ended_at: AwareDatetime | None
    code: str | None
    message: str | None
    hint: str | None


class JobPage(Page):
    """One page of background work, the newest first."""

    items: list[JobAnswer]


class JobQuery(Paged):
    """Which background work."""

    kind: Line | None = omittable("Of this kind.")
    state: JobState | None = omittable("In this state.")


def job_values(job: Job) -> dict[str, Any]:
    """Return what a `JobAnswer` is made of."""
    url = job.arguments.get("url")
    source = without_secrets(str(url)) if job.kind == imports.KIND and url else None
    columns = JobAnswer.model_fields.keys() - {"source"}
    return {**{name: getattr(job, name) for name in columns}, "source": source}


@operation("GET", "/jobs", tag="jobs", scope=Scope.READ, query=JobQuery, answers={200: JobPage})
def list_jobs(query: JobQuery) -> Reply:
    """List background work, the newest first."""
    found = listing.jobs(
        db.session(), kind=query.kind, state=query.state, number=query.page, size=query.size
    )
    return page_of(JobPage, found, [job_values(one) for one in found.rows], query)


@operation(
    "GET", "/jobs/{id}", tag="jobs", scope=Scope.READ, answers={200: JobAnswer}, problems=[404]
)
def show_job(id: int) -> JobAnswer:
    """Show one piece of background work."""
    return JobAnswer.model_validate(job_values(jobs.get(db.session(), id)))


@operation(
    "POST",
    "/jobs/{id}/cancel",
    tag="jobs",
    scope=Scope.OPERATE,
    answers={200: JobAnswer},
    problems=[404],
)
def cancel_job(id: int) -> JobAnswer:
    """Cancel an import.

    One that runs stops within seconds, and nothing of it stays. 409: it has ended, or is no import.
    """
    by, now = auth.actor(), clock.now()
    with writing() as session:
        job = jobs.get(session, id)
        if job.kind != imports.KIND:
            raise Conflict(f"job {id} is no import", hint="only imports can be cancelled")
        job = imports.stop(session, id, by=by, now=now)
        return JobAnswer.model_validate(job_values(job))
