"""Programs that use the API: a token, and requests with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bty_web.models.words import Scope
from bty_web.services import users
from tests.web.site import NOW, OPERATOR, Site


@dataclass
class Program:
    """A program with a token; without one where `token` is empty."""

    site: Site
    token: str

    @classmethod
    def of(cls, site: Site, scope: Scope = Scope.ADMIN, label: str | None = None) -> Program:
        """Make a token of `scope`."""
        with site.session() as session:
            _, text = users.add_token(session, label or f"ci {scope}", scope, by=OPERATOR, now=NOW)
        return cls(site, text)

    def ask(self, method: str, path: str, **said: Any) -> Any:
        """Send one request; `path` is below /api/v1."""
        headers = dict(said.pop("headers", {}))
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return self.site.client.open(f"/api/v1{path}", method=method, headers=headers, **said)

    def get(self, path: str, **said: Any) -> Any:
        """GET."""
        return self.ask("GET", path, **said)

    def json(self, method: str, path: str, body: object, **said: Any) -> Any:
        """Send `body` as JSON."""
        return self.ask(method, path, json=body, **said)
