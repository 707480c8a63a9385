"""A person with a browser that runs no scripts: follows links, fills in forms, sends what stands in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bs4 import BeautifulSoup, Tag
from werkzeug.test import TestResponse

from tests.web.site import Site


@dataclass
class Browser:
    """What one person sees."""

    site: Site

    def get(self, path: str, status: int = 200) -> BeautifulSoup:
        """Return a page."""
        answer = self.site.client.get(path)
        assert answer.status_code == status, answer.get_data(as_text=True)
        return BeautifulSoup(answer.data, "html.parser")

    def send(
        self, page: BeautifulSoup, action: str, button: str | None = None, **values: Any
    ) -> TestResponse:
        """Send the form of `page` that goes to `action`, with `values` in place of what stands in it."""
        form = next(one for one in page.select("form[method=post]") if one.get("action") == action)
        sent = {**fields(form), **values}
        if button is not None:
            name, _, value = button.partition("=")
            sent[name] = value
        return self.site.client.post(action, data=sent)

    def sent(self, page: BeautifulSoup, action: str, **values: Any) -> BeautifulSoup:
        """Send a form and return the page that it leads to."""
        answer = self.send(page, action, **values)
        assert answer.status_code == 302, answer.get_data(as_text=True)
        return self.get(answer.headers["Location"])


def fields(form: Tag) -> dict[str, Any]:
    """Return what a browser would send of `form` as it stands."""
    found: dict[str, Any] = {}
    for one in form.select("input[name], textarea[name], select[name]"):
        name = str(one["name"])
        if one.has_attr("disabled"):
            continue
        if one.name == "select":
            options = one.select("option")
            chosen = next((o for o in options if o.has_attr("selected")), options[0])
            found[name] = chosen.get("value", chosen.get_text())
        elif one.name == "textarea":
            found[name] = one.get_text()
        elif one.get("type") not in ("radio", "checkbox") or one.has_attr("checked"):
            found[name] = one.get("value", "")
    return found


def said(page: BeautifulSoup) -> list[str]:
    """Return the notices on a page."""
    return [words(one) for one in page.select(".alert")]


def words(one: Tag) -> str:
    """Return the text of an element, with single blanks."""
    return " ".join(one.get_text(" ").split())
