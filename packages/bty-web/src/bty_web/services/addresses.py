"""Addresses of other servers, as they may be kept and shown: what gives access is left out."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_IN_TEXT = re.compile(r"https?://[^\s'\"<>]+")


def without_secrets(url: str) -> str:
    """Return a URL without user, password, query and fragment: what is kept is read by many."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "an address that cannot be understood"
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def told(text: str, url: str = "") -> str:
    """Return a message whose addresses hold no secrets; `url` is one that may stand in it."""
    if url:
        for shown in (url, _without_user(url)):
            text = text.replace(shown, without_secrets(url))
    return _IN_TEXT.sub(lambda found: without_secrets(found[0]), text)


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], fragment="").geturl()
