"""The public SSH keys of a person, on the page of the account."""

from __future__ import annotations

import pytest
from bs4 import BeautifulSoup

from tests.web.ui.forms import words
from tests.web.ui.pages import Browser, said

WHERE = "/ui/settings/account/ssh-keys"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0n ann@desk"


def test_keys_are_kept_and_shown_again(browser: Browser) -> None:
    page = browser.get("/ui/settings/account")
    page = browser.sent(page, WHERE, ssh_keys=f"\r\n  {KEY}  \r\n")
    assert said(page) == ["The keys are kept. Templates of seeds have them at the next flash."]
    assert page.select("#ssh_keys")[0].text.strip() == KEY


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "this is a private key"),
        ("hello", "'hello' is no public SSH key"),
        ("ssh-rsa !!!", "is no public SSH key"),
        (f"{KEY}\n" * 21, "at most 20 keys"),
    ],
)
def test_what_is_no_public_key_is_refused_and_stays_in_the_field(
    browser: Browser, text: str, why: str
) -> None:
    page = browser.get("/ui/settings/account")
    answer = browser.send(page, WHERE, ssh_keys=text)
    assert answer.status_code == 422
    refused = BeautifulSoup(answer.data, "html.parser")
    assert why in words(refused)
    assert refused.select("#ssh_keys")[0].text.strip() == text.strip()
