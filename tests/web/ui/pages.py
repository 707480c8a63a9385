"""A person who has logged in, with a browser that runs no scripts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bs4 import BeautifulSoup
from werkzeug.test import TestResponse

from tests.web.site import Site
from tests.web.ui import forms
from tests.web.ui.forms import words


@dataclass
class Browser:
    """What one person sees."""

    site: Site

    def get(self, path: str, status: int = 200) -> BeautifulSoup:
        """Return a page."""
        return forms.page(self.site, path, status)

    def send(
        self, page: BeautifulSoup, action: str, button: str | None = None, **values: Any
    ) -> TestResponse:
        """Send the form of `page` that goes to `action`, with `values` in place of what stands in it."""
        form = next(one for one in page.select("form[method=post]") if one.get("action") == action)
        sent = {**forms.values(form), **values}
        if button is not None:
            name, _, value = button.partition("=")
            sent[name] = value
        return self.site.client.post(action, data=sent)

    def sent(self, page: BeautifulSoup, action: str, **values: Any) -> BeautifulSoup:
        """Send a form and return the page that it leads to."""
        return forms.follow(self.site, self.send(page, action, **values))


def said(page: BeautifulSoup) -> list[str]:
    """Return the notices on a page."""
    return [words(one) for one in page.select(".alert")]
