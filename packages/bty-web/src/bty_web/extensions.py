"""The extensions of the application, in one place so that each can be replaced."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf.csrf import CSRFProtect
from sqlalchemy.orm import Session

from bty_web.database import unit_of_work
from bty_web.models.base import Base

# Rows stay readable after a commit: a page is drawn from what was just written.
db = SQLAlchemy(model_class=Base, session_options={"expire_on_commit": False})
login = LoginManager()
csrf = CSRFProtect()


@contextmanager
def writing() -> Iterator[Session]:
    """A unit of work that writes: committed at the end, undone when anything is raised.

    The lock for writing is taken at its start, so that what is read in it is still true when it is
    written. Do slow things (reading a body, hashing) before.
    """
    session = db.session()
    with unit_of_work(db.engine, session):
        yield session
