"""The pages of settings, account and API tokens."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from bty_web.errors import Conflict, NotAllowed
from bty_web.models import ApiToken, Event, User
from bty_web.models.words import Scope
from bty_web.services import users
from bty_web.services.clock import now
from bty_web.services.history import Actor
from bty_web.settings import DECLARED, Settings
from bty_web.ui.proxy_dhcp import FIELDS
from bty_web.ui.settings import FORMS
from tests.web.site import NOW, OPERATOR, PASSWORD, Site
from tests.web.ui.conftest import SiteOf
from tests.web.ui.forms import follow, form, page, read, send, submit, value, words

FRESH = "another horse, another battery"


def events(site: Site, kind: str) -> list[str]:
    with site.session() as session:
        found = session.scalars(select(Event).where(Event.kind == kind).order_by(Event.id))
        return [event.message for event in found]


@pytest.mark.parametrize("path", ["", "/account", "/tokens", "/proxy-dhcp"])
def test_nobody_sees_settings_without_a_login(site: Site, path: str) -> None:
    answer = site.client.get(f"/ui/settings{path}")
    assert answer.status_code == 302
    assert answer.location.startswith("/ui/login")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/account/password",
        "/account/sessions",
        "/account/users",
        "/account/users/1/remove",
        "/tokens",
        "/tokens/1/remove",
        "/proxy-dhcp",
        "/proxy-dhcp/preview",
        "/proxy-dhcp/off",
        "/proxy-dhcp/test",
    ],
)
def test_a_form_of_another_site_changes_nothing(site: Site, path: str) -> None:
    site.log_in()
    answer = site.client.post(f"/ui/settings{path}", data={"event_days": "7"})
    assert answer.status_code == 400
    assert "form has expired" in answer.get_data(as_text=True)


def test_each_setting_that_a_page_can_change_is_on_a_page() -> None:
    declared = {name for name, one in DECLARED.items() if one["page"]}
    assert declared == set(FORMS) | set(FIELDS.values())


def test_a_changed_setting_holds_at_once_and_is_an_event(site: Site) -> None:
    site.log_in()
    found = follow(site, submit(site, "/ui/settings", "Save these settings", event_days="30"))
    assert value(found, "#event_days") == "30"
    assert "Now from the Settings page." in words(found.select_one("#event_days-help"))
    assert "Now from the default." in words(found.select_one("#default_policy-help"))
    assert events(site, "settings.changed") == ["event_days: 30"]


def test_a_value_that_cannot_be_is_said_beside_its_field_and_kept_there(site: Site) -> None:
    site.log_in()
    answer = submit(
        site, "/ui/settings", "Save these settings", event_days="many", local_boot_grace="60"
    )
    found = read(answer, 422)
    assert words(found.select_one("#event_days-help")).startswith(
        "event_days: 'many' is not a whole number from 1 to 3650"
    )
    typed = [value(found, f"#{name}") for name in ("event_days", "local_boot_grace")]
    assert typed == ["many", "60"]
    assert events(site, "settings.changed") == []


def test_what_environment_or_file_decide_cannot_be_changed_and_says_where_it_stands(
    server_settings: Settings, site_of: SiteOf
) -> None:
    fixed = replace(server_settings, event_days=12, came_from={"event_days": "BTY_EVENT_DAYS"})
    site = site_of(fixed)
    site.log_in()
    found = page(site, "/ui/settings")
    field = found.select_one("#event_days")
    assert field is not None
    assert field.has_attr("disabled")
    assert "Fixed by BTY_EVENT_DAYS" in words(found.select_one("#event_days-help"))
    # A form that sends it all the same is not believed.
    answer = submit(site, "/ui/settings", "Save these settings", event_days="40")
    assert answer.status_code == 302
    assert events(site, "settings.changed") == []


def test_secrets_are_never_shown(server_settings: Settings, site_of: SiteOf) -> None:
    site = site_of(replace(server_settings, queue_url="redis://:hunter2@127.0.0.1"))
    site.log_in()
    answer = site.client.get("/ui/settings")
    assert b"hunter2" not in answer.data
    assert b"set, not shown" in answer.data


def test_the_password_changes_for_whoever_knows_the_old_one(site: Site) -> None:
    site.log_in()
    other = site.app.test_client()
    with (
        site.client.session_transaction("/ui/") as mine,
        other.session_transaction("/ui/") as theirs,
    ):
        theirs["_user_id"] = mine["_user_id"]
    answer = submit(
        site,
        "/ui/settings/account",
        "Change the password",
        old=PASSWORD,
        password=FRESH,
        again=FRESH,
    )
    assert "The password is changed" in words(follow(site, answer).find("body"))
    assert other.get("/ui/settings/account").status_code == 302
    with site.session() as session:
        assert users.check(session, "operator", FRESH) is not None
    assert events(site, "user.password") == ["the password of operator was changed"]


@pytest.mark.parametrize(
    ("typed", "field", "said"),
    [
        ({"old": "wrong"}, "old", "this is not your password"),
        ({"again": "differs"}, "again", "the two new passwords differ"),
        (
            {"password": "short", "again": "short"},
            "password",
            "a password has at least 8 characters",
        ),
    ],
)
def test_a_password_that_stays_says_why(
    site: Site, typed: dict[str, str], field: str, said: str
) -> None:
    site.log_in()
    filled = {"old": PASSWORD, "password": FRESH, "again": FRESH, **typed}
    found = read(submit(site, "/ui/settings/account", "Change the password", **filled), 422)
    assert words(found.select_one(f"#{field}-help")) == said
    assert FRESH not in str(found)
    with site.session() as session:
        assert users.check(session, "operator", PASSWORD) is not None


def test_guessing_the_old_password_is_throttled(site: Site) -> None:
    site.log_in()
    with site.session() as session:
        for _ in range(users.PER_NAME):
            users.login_failed(session, "operator", by=OPERATOR, now=now())
    filled = {"old": PASSWORD, "password": FRESH, "again": FRESH}
    found = read(submit(site, "/ui/settings/account", "Change the password", **filled), 429)
    assert "too many logins have failed" in words(found.find("main"))


def test_logging_out_everywhere_ends_this_session_too(site: Site) -> None:
    site.log_in()
    answer = submit(site, "/ui/settings/account", "Log out everywhere")
    assert answer.location.startswith("/ui/login")
    assert site.client.get("/ui/settings/account").status_code == 302
    assert events(site, "user.sessions") == ["operator was logged out everywhere"]


def test_a_user_can_be_added(site: Site) -> None:
    site.log_in()
    answer = submit(site, "/ui/settings/account", "Add the user", name="ada", initial=FRESH)
    assert "ada may log in now" in words(follow(site, answer).find("body"))
    found = read(
        submit(site, "/ui/settings/account", "Add the user", name="ada", initial=FRESH), 422
    )
    assert words(found.select_one("#name-help")) == "there is a user 'ada' already"
    assert value(found, "#name") == "ada"
    found = read(submit(site, "/ui/settings/account", "Add the user", name="bob", initial="x"), 422)
    assert words(found.select_one("#initial-help")) == "a password has at least 8 characters"


def test_a_token_is_shown_once_and_works(site: Site) -> None:
    site.log_in()
    found = read(
        submit(site, "/ui/settings/tokens", "Make a token", label="ci runner", scope="operate")
    )
    shown = [
        str(tag.get("value") or tag.get_text()).strip()
        for tag in found.select(
            ".alert-success input, .alert-success code, .alert-success textarea"
        )
    ]
    text = next(one for one in shown if one.startswith("bty_"))
    assert text not in site.client.get("/ui/settings/tokens").get_data(as_text=True)
    with site.session() as session:
        token = users.token_of(session, text)
        assert (token.label, token.scope, token.created_by) == ("ci runner", "operate", "operator")
    row = words(page(site, "/ui/settings/tokens").select_one("tbody tr"))
    assert row.startswith("ci runner operate")
    assert "never" in row


def test_a_token_without_a_scope_or_with_a_label_that_is_taken_is_not_made(site: Site) -> None:
    site.log_in()
    first = submit(site, "/ui/settings/tokens", "Make a token", label="ci", scope="read")
    assert first.status_code == 200
    found = read(submit(site, "/ui/settings/tokens", "Make a token", label="ci", scope="read"), 422)
    assert words(found.select_one("#label-error")) == (
        "there is a token 'ci' already; remove it first"
    )
    odd = submit(site, "/ui/settings/tokens", "Make a token", label="x", scope="root")
    assert "choose what the token may do" in words(read(odd, 422).find("main"))


def test_removing_a_token_asks_first(site: Site) -> None:
    site.log_in()
    with site.session() as session:
        token, text = users.add_token(session, "ci", Scope.READ, by=OPERATOR, now=NOW)
        path = f"/ui/settings/tokens/{token.id}/remove"
    link = page(site, "/ui/settings/tokens").select_one(f'a[href="{path}"]')
    assert link is not None
    assert "It was never used." in words(page(site, path).find("main"))
    follow(site, submit(site, path, "Remove the token"))
    with site.session() as session:
        assert session.scalar(select(ApiToken.id)) is None
    assert site.client.get(path).status_code == 404
    assert text


def test_a_page_with_no_token_says_what_one_is_for(site: Site) -> None:
    site.log_in()
    found = page(site, "/ui/settings/tokens")
    assert "There is no API token" in words(found.find("main"))
    assert form(found, "Make a token") is not None


def users_page(site: Site) -> dict[str, str | None]:
    """Return the users on the page, each with the address that removes it, where there is one."""
    found = page(site, "/ui/settings/account").select("[aria-labelledby=users-title] tbody tr")
    links = {words(row.find("th")): row.find("a") for row in found}
    return {name: str(link["href"]) if link else None for name, link in links.items()}


def test_another_user_is_removed_with_sessions_and_tokens(site: Site) -> None:
    site.log_in()
    ada = Site(site.settings, site.app, site.app.test_client(), site.engine)
    ada.log_in("ada")
    assert ada.client.get("/ui/machines").status_code == 200
    with site.session() as session:
        _, hers = users.add_token(session, "hers", Scope.READ, by=Actor("ada"), now=NOW)
        _, mine = users.add_token(session, "mine", Scope.READ, by=OPERATOR, now=NOW)

    where = users_page(site)["ada"]
    assert where is not None
    assert users_page(site)["operator (you)"] is None
    asked = page(site, where)
    assert words(asked.select_one(".named")) == "hers (read, never used)"
    done = follow(site, submit(site, where, "Remove the user"))
    assert words(done.select_one(".notices")) == "ada is removed and may no longer log in."
    assert list(users_page(site)) == ["operator (you)"]
    assert events(site, "user.removed") == ["user ada was removed, with the API tokens hers"]
    assert ada.client.get("/ui/machines").status_code == 302
    with site.session() as session:
        assert users.check(session, "ada", PASSWORD) is None
        assert users.token_of(session, mine).label == "mine"
        with pytest.raises(NotAllowed):
            users.token_of(session, hers)
    page(site, where, 404)


def test_nobody_removes_oneself_or_the_last_user(site: Site) -> None:
    site.log_in()
    submit(site, "/ui/settings/account", "Add the user", name="ada", initial=FRESH)
    where = users_page(site)["ada"]
    assert where is not None
    with site.session() as session:
        me = session.scalars(select(User.id).where(User.name == "operator")).one()
    mine = f"/ui/settings/account/users/{me}/remove"
    assert "you cannot remove yourself" in words(page(site, mine, 409).find("main"))
    asked = page(site, where).select("main form")[0]
    refused = read(send(site, mine, asked), 409)
    assert "you cannot remove yourself" in words(refused.find("main"))
    with site.session() as session:
        users.remove(session, "ada", by=OPERATOR, now=NOW)
        with pytest.raises(Conflict, match="operator is the only user"):
            users.remove(session, "operator", by=OPERATOR, now=NOW)
        assert users.check(session, "operator", PASSWORD) is not None
