"""Seeds for cloud-init by the API."""

from __future__ import annotations

import pytest
from sqlalchemy import select, text

from bty_web.models import Seed, User
from bty_web.models.words import Scope
from tests.web.api.programs import Program
from tests.web.site import MAC, Site

URL = f"/machines/{MAC}/seed"
SECRET = "swordfish-7f3a"
TEMPLATE = "#cloud-config\nhostname: {{ hostname }}\nbootcmd: [echo {{ tags | join(' ') }}]\n"


@pytest.fixture
def program(site: Site) -> Program:
    """A program that may operate, and a machine."""
    site.add_machine(name="Build 7", tags="gpu rack-3")
    return Program.of(site)


def test_a_seed_is_kept_shown_tried_and_removed(program: Program) -> None:
    body = {"user_data": TEMPLATE, "network_config": "version: 2\n"}
    kept = program.json("PUT", URL, body)
    assert kept.status_code == 200
    assert {name: kept.json[name] for name in ("of", "secret", *body)} == {
        "of": "machine",
        "secret": False,
        **body,
    }
    assert program.get(URL).json == kept.json
    tried = program.json("POST", f"{URL}/preview", {})
    assert tried.json == {
        "user_data": "#cloud-config\nhostname: build-7\nbootcmd: [echo gpu rack-3]\n",
        "meta_data": "",
        "network_config": "version: 2\n",
    }
    assert program.ask("DELETE", URL).status_code == 204
    assert program.get(URL).status_code == 404
    assert program.ask("DELETE", URL).status_code == 404


def test_a_machine_without_one_has_that_of_its_group(site: Site, program: Program) -> None:
    program.json("POST", "/groups", {"name": "rack"})
    program.json("PATCH", f"/machines/{MAC}", {"group": "rack"})
    program.json("PUT", "/groups/rack/seed", {"user_data": "#cloud-config\n{of: group}\n"})
    assert program.get(URL).json["of"] == "group"
    program.json("PUT", URL, {"user_data": "#cloud-config\n{of: machine}\n"})
    assert program.get(URL).json["of"] == "machine"
    assert "of: group" in program.get("/groups/rack/seed").json["user_data"]
    # With the group its seed goes; with the machine its own.
    assert program.ask("DELETE", "/groups/rack").status_code == 204
    assert program.ask("DELETE", f"/machines/{MAC}").status_code == 204
    with site.session() as session:
        assert session.scalars(select(Seed)).all() == []


def test_a_secret_is_kept_encrypted_and_shown_to_nobody(site: Site, program: Program) -> None:
    body = {"user_data": f"#cloud-config\npassword: {SECRET}\n", "secret": True}
    kept = program.json("PUT", URL, body)
    assert (kept.json["secret"], kept.json["user_data"]) == (True, None)
    tried = program.json("POST", f"{URL}/preview", {})
    assert (tried.status_code, tried.json["detail"]) == (
        409,
        "the seed of Build 7 is kept as a secret, and is not shown",
    )
    # Templates that are sent are tried, whatever is kept.
    shown = program.json("POST", f"{URL}/preview", {"user_data": TEMPLATE})
    assert "hostname: build-7" in shown.json["user_data"]
    everywhere = [program.get(where).data for where in (URL, f"/machines/{MAC}", "/events")]
    with site.engine.connect() as connection:
        everywhere += [str(row).encode() for row in connection.execute(text("SELECT * FROM seeds"))]
    assert not [said for said in everywhere if SECRET.encode() in said]


def test_keys_of_users_are_there_for_templates(site: Site, program: Program) -> None:
    site.log_in("ann")
    with site.session() as session:
        ann = session.scalars(select(User).where(User.name == "ann")).one()
        ann.ssh_keys = "ssh-ed25519 AAAA ann@desk\n\nssh-ed25519 BBBB ann@road\n"
    body = {"user_data": "#cloud-config\nssh_authorized_keys: {{ ssh_keys | tojson }}\n"}
    program.json("PUT", URL, body)
    shown = program.json("POST", f"{URL}/preview", {}).json["user_data"]
    assert '["ssh-ed25519 AAAA ann@desk", "ssh-ed25519 BBBB ann@road"]' in shown


@pytest.mark.parametrize(
    ("body", "field", "why"),
    [
        ({"user_data": ""}, "user_data", "user-data is missing"),
        ({"user_data": "#cloud-config\n{{ hostname"}, "user_data", "is no template"),
        ({"user_data": "#cloud-config\n{{ nonsense }}\n"}, "user_data", "'nonsense' is undefined"),
        ({"user_data": "#cloud-config\n{{ [].__class__.__mro__ }}\n"}, "user_data", "unsafe"),
        ({"user_data": "#cloud-config\n{{ 'x' * 300000 }}\n"}, "user_data", "longer than"),
        ({"user_data": "#cloud-config\nkey: [1\n"}, "user_data", "for Build 7"),
        ({"user_data": "hello\n"}, "user_data", "for Build 7"),
        (
            {"user_data": "#cloud-config\n", "network_config": "ethernets: {}\n"},
            "network_config",
            "version",
        ),
        ({"user_data": "#cloud-config\n", "meta_data": "- 1\n"}, "meta_data", "meta-data"),
        ({"user_data": "#cloud-config\na: \x00\n"}, "user_data", ""),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_kept(
    program: Program, body: dict[str, str], field: str, why: str
) -> None:
    answer = program.json("PUT", URL, body)
    assert (answer.status_code, answer.json["field"]) == (422, field), answer.json
    assert why in answer.json["detail"]
    assert program.get(URL).status_code == 404


def test_reading_needs_the_right_to_operate(site: Site, program: Program) -> None:
    program.json("PUT", URL, {"user_data": TEMPLATE})
    reader = Program.of(site, scope=Scope.READ, label="reader")
    assert reader.get(URL).status_code == 403
