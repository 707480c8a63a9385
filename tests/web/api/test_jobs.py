"""Background work by the API."""

from __future__ import annotations

from bty_web.models import Job
from bty_web.models.words import JobState
from tests.web.api.programs import Program
from tests.web.site import NOW, Site


def test_a_job_says_how_far_it_is_and_not_what_it_was_given(site: Site) -> None:
    with site.session() as session:
        job = Job(
            kind="import",
            subject="debian.img",
            arguments={"url": "https://user:hunter2@example.org/debian.img"},
            state=JobState.RUNNING,
            done_bytes=5,
            total_bytes=10,
            tries=1,
            asked_by="operator",
            created_at=NOW,
        )
        session.add(job)
        session.flush()
        number = job.id
    program = Program.of(site)
    answer = program.get(f"/jobs/{number}")
    assert (answer.status_code, answer.json) == (
        200,
        {
            "id": number,
            "kind": "import",
            "subject": "debian.img",
            "source": "https://example.org/debian.img",
            "state": "running",
            "done_bytes": 5,
            "total_bytes": 10,
            "tries": 1,
            "asked_by": "operator",
            "created_at": f"{NOW:%Y-%m-%dT%H:%M:%SZ}",
            "ended_at": None,
            "code": None,
            "message": None,
            "hint": None,
        },
    )
    assert program.get("/jobs?state=running&kind=import").json["items"] == [answer.json]
    assert program.get("/jobs?state=done").json["items"] == []
    assert program.get(f"/jobs/{number + 1}").status_code == 404
