"""The API does what its document says: schemathesis asks, with every check that it has."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from schemathesis.config import (
    ChecksConfig,
    GenerationConfig,
    PhasesConfig,
    PositiveDataAcceptanceConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.engine import events, from_schema
from schemathesis.transport.wsgi import WSGITransport

from bty_web.models.words import Scope
from tests.web.api.programs import Program
from tests.web.api.seed import seed
from tests.web.site import Site

schemathesis.serializer.alias("application/x-tar", "application/octet-stream")
# What is well formed may still name an image, group or disk that is not there: 422 says which.
ACCEPTED = PositiveDataAcceptanceConfig(
    expected_statuses=["2xx", "401", "403", "404", "409", "422"]
)


@pytest.fixture(autouse=True)
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let its probes for ignored tokens reach an app in the same process: it hands them settings of sockets."""
    send = WSGITransport.send

    def without_sockets(self: Any, case: Any, **said: Any) -> Any:
        for name in ("max_redirects", "verify", "cert", "proxies"):
            said.pop(name, None)
        return send(self, case, **said)

    monkeypatch.setattr(WSGITransport, "send", without_sockets)


def findings(
    site: Site, token: str, *, examples: int = 20, seed: int = 20260101
) -> tuple[list[str], int]:
    """Let schemathesis loose on the app with `token`; return what it found, and how many requests it made."""
    project = ProjectConfig(
        headers={"Authorization": f"Bearer {token}"} if token else None,
        generation=GenerationConfig(max_examples=examples, deterministic=True, database="none"),
        phases=PhasesConfig(),
        checks=ChecksConfig(positive_data_acceptance=ACCEPTED),
        continue_on_failure=True,
    )
    config = SchemathesisConfig(seed=seed, projects=ProjectsConfig(default=project))
    schema = schemathesis.openapi.from_wsgi("/api/v1/openapi.json", site.app, config=config)
    found: list[str] = []
    requests = 0
    for event in from_schema(schema).execute():
        if isinstance(event, events.ScenarioFinished):
            requests += len(event.recorder.interactions)
            found += list(_failures(event.recorder))
        if isinstance(event, events.NonFatalError | events.FatalError):
            found.append(str(event))
    return sorted(set(found)), requests


def _failures(recorder: Any) -> Iterator[str]:
    for case, checks in recorder.checks.items():
        for check in checks:
            if check.failure_info is not None:
                failure = check.failure_info.failure
                if "/seed`" in failure.message and "just created" in failure.message:
                    continue  # a group is made without one
                answer = recorder.find_response(case_id=case)
                said = answer.text[:300] if answer is not None else ""
                sample = check.failure_info.code_sample[:600]
                told = f"{failure.title}: {failure.message[:600]}"
                yield f"{failure.operation}: {told}\n{said}\n{sample}"


@pytest.mark.timeout(300)
def test_schemathesis_finds_nothing(site: Site) -> None:
    seed(site)
    found, requests = findings(site, Program.of(site).token)
    assert found == []
    assert requests > 1000


@pytest.mark.parametrize("scope", [None, Scope.READ])
def test_schemathesis_finds_nothing_with_less_than_is_needed(
    site: Site, scope: Scope | None
) -> None:
    seed(site)
    token = Program.of(site, scope).token if scope else ""
    found, _ = findings(site, token)
    assert found == []
