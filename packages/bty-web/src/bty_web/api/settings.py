"""Settings: the value in force, where it came from, and what can be changed here."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, StringConstraints, create_model

from bty_web import security
from bty_web.api import auth
from bty_web.api.fields import ONE_LINE, Answer, Body, omittable
from bty_web.api.operations import operation
from bty_web.extensions import db, writing
from bty_web.models.words import Scope
from bty_web.services import clock, preferences
from bty_web.settings import DECLARED, Settings

Text = Annotated[str, StringConstraints(pattern=ONE_LINE, max_length=255)]
Number = Annotated[int, Field(ge=0, le=10**12 - 1)]
DEFAULT = "the default"


class SettingAnswer(Answer):
    """One setting."""

    name: str
    value: str | int | bool | None = Field(description="The one in force; null for a secret.")
    source: str = Field(description="Where it came from: a variable, a file, the Settings page.")
    fixed: bool = Field(description="Whether environment or file decide, so that nothing here can.")
    changeable: bool = Field(description="Whether it can be changed here.")
    secret: bool = Field(description="Whether its value is never shown.")
    help: str


class SettingList(Answer):
    """All settings."""

    items: list[SettingAnswer]


def _kind(declared: Any) -> Any:
    return Number if isinstance(declared["default"], int) else Text


_ON_PAGE: dict[str, Any] = {
    name: (_kind(declared), omittable(declared["help"]))
    for name, declared in DECLARED.items()
    if declared["page"]
}
SettingChange: type[Body] = create_model(
    "SettingChange",
    __base__=Body,
    __doc__="The settings to be changed; those that are left out stay as they are.",
    **_ON_PAGE,
)


@operation("GET", "/settings", tag="settings", scope=Scope.ADMIN, answers={200: SettingList})
def list_settings() -> SettingList:
    """List all settings with the values in force."""
    return _answer(preferences.effective(db.session(), security.process_settings()))


@operation(
    "PUT",
    "/settings",
    tag="settings",
    scope=Scope.ADMIN,
    body=SettingChange,
    answers={200: SettingList},
)
def change_settings(body: Body) -> SettingList:
    """Change settings.

    They count at once, in all processes within a second. All of them or, when one is refused, none.
    """
    here = security.process_settings()
    wanted = {name: str(getattr(body, name)) for name in sorted(body.model_fields_set)}
    with writing() as session:
        preferences.change(session, here, wanted, by=auth.actor(), now=clock.now())
        found = preferences.effective(session, here)
    security.settings_changed()
    return _answer(found)


def _answer(found: Settings) -> SettingList:
    return SettingList(
        items=[
            SettingAnswer(
                name=name,
                value=None if declared["secret"] else _plain(getattr(found, name)),
                source=found.came_from.get(name, DEFAULT),
                fixed=name in found.fixed,
                changeable=declared["page"] and name not in found.fixed,
                secret=declared["secret"],
                help=declared["help"],
            )
            for name, declared in DECLARED.items()
        ]
    )


def _plain(value: object) -> str | int | bool:
    return value if isinstance(value, bool | int) else str(value)
