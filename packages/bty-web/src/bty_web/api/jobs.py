"""Background work: imports and measuring, how far they are and how they ended."""

from __future__ import annotations

from typing import Any

from pydantic import AwareDatetime, Field

from bty_web.api.fields import Answer, Line, Page, Paged, omittable
from bty_web.api.operations import Reply, operation
from bty_web.api.paging import page_of
from bty_web.errors import NotFound
from bty_web.extensions import db
from bty_web.models import Job
from bty_web.models.words import JobState, Scope
from bty_web.services import listing


class JobAnswer(Answer):
    """One piece of background work. What it was given may hold secrets and is not shown."""

    id: int
    kind: str = Field(description="`measure`, `import` or `probe`.")
    subject: str = Field(description="The image, or the network interface.")
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
    return {name: getattr(job, name) for name in JobAnswer.model_fields}


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
    job = db.session().get(Job, id)
    if job is None:
        raise NotFound(f"there is no job {id}")
    return JobAnswer.model_validate(job_values(job))
