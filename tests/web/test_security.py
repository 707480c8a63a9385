"""What every answer carries, and what only pages do."""

from __future__ import annotations

import pytest

from bty_web.security import CONTENT_SECURITY_POLICY
from tests.web.site import Site

OPEN = [
    "/healthz",
    "/version",
    "/pxe-bootstrap.ipxe",
    "/pxe/52:54:00:12:34:56",
    "/images",
    "/boot/x",
]


@pytest.mark.parametrize("path", [*OPEN, "/ui/login", "/api/v1/openapi.json", "/nothing"])
def test_every_answer_tells_browsers_what_they_may_do(site: Site, path: str) -> None:
    answer = site.client.get(path)
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert "unsafe" not in CONTENT_SECURITY_POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", [*OPEN, "/api/v1/openapi.json"])
def test_cookies_are_for_pages(site: Site, path: str) -> None:
    site.log_in()
    answer = site.client.get(path)
    assert "Set-Cookie" not in answer.headers
    assert "Cookie" not in answer.headers.get("Vary", "")


def test_a_cookie_is_no_key_to_the_api(site: Site) -> None:
    site.log_in()
    assert site.client.get("/ui/").status_code == 200
    assert site.client.get("/api/v1/machines").status_code == 401


def test_a_cookie_is_closed_to_scripts_and_other_sites(site: Site) -> None:
    cookie = site.client.get("/ui/login").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


def test_a_header_of_a_proxy_says_nothing_unless_it_is_trusted(site: Site) -> None:
    site.client.get("/pxe/52:54:00:12:34:56", headers={"X-Forwarded-For": "192.0.2.99"})
    assert site.machine().last_seen_ip == "127.0.0.1"
