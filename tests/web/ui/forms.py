"""Pages as a browser without JavaScript uses them: read, fill in, send."""

from __future__ import annotations

from typing import Any

from bs4 import BeautifulSoup, Tag
from werkzeug.test import TestResponse

from tests.web.site import Site


def read(answer: TestResponse, status: int = 200) -> BeautifulSoup:
    """Return the page that was answered."""
    found = BeautifulSoup(answer.get_data(as_text=True), "html.parser")
    assert answer.status_code == status, words(found.find("main") or found)[:1000]
    return found


def page(site: Site, path: str, status: int = 200) -> BeautifulSoup:
    """Fetch a page."""
    return read(site.client.get(path), status)


def form(found: BeautifulSoup, button: str) -> Tag:
    """Return the form whose button says `button`."""
    for one in found.find_all("form"):
        if any(words(tag) == button for tag in one.find_all("button")):
            return one
    raise AssertionError(f"no form has a button '{button}'")


def values(of: Tag) -> dict[str, str]:
    """Return what a browser would send for a form that nobody touched."""
    found: dict[str, str] = {}
    for tag in of.find_all(["input", "textarea", "select"]):
        name = str(tag.get("name") or "")
        if not name or tag.has_attr("disabled"):
            continue
        if tag.name == "select":
            chosen = tag.find("option", selected=True) or tag.find("option")
            assert isinstance(chosen, Tag)
            found[name] = str(chosen.get("value", chosen.get_text()))
        elif tag.name == "textarea":
            found[name] = tag.get_text().removeprefix("\n")
        elif tag.get("type") in ("checkbox", "radio"):
            if tag.has_attr("checked"):
                found[name] = str(tag.get("value", "on"))
        elif tag.get("type") != "file":
            found[name] = str(tag.get("value", ""))
    return found


def submit(site: Site, path: str, button: str, **filled: Any) -> TestResponse:
    """Fetch a page, fill in the form with that button, and send it."""
    found = form(page(site, path), button)
    return send(site, path, found, **filled)


def send(site: Site, path: str, found: Tag, **filled: Any) -> TestResponse:
    """Send a form of the page at `path`."""
    action = str(found.get("action") or path).partition("#")[0]
    data = {**values(found), **filled}
    if str(found.get("method", "get")).lower() == "get":
        return site.client.get(action, query_string=data)
    kind = str(found.get("enctype") or "application/x-www-form-urlencoded")
    return site.client.post(action, data=data, content_type=kind)


def follow(site: Site, answer: TestResponse) -> BeautifulSoup:
    """Return the page that an answer leads to."""
    if answer.status_code != 302:
        read(answer, 302)
    return page(site, answer.location)


def words(tag: Tag | None) -> str:
    """Return the text of a tag, blanks made one."""
    assert tag is not None
    return " ".join(tag.get_text(" ").split())


def value(found: BeautifulSoup, selector: str) -> str:
    """Return the value of a field or option."""
    tag = found.select_one(selector)
    assert tag is not None, selector
    return str(tag.get("value"))
