"""The tables: shape and constraints, no rules. Importing this package registers all of them."""

from bty_web.models.attempt import Attempt
from bty_web.models.base import Base
from bty_web.models.event import Event
from bty_web.models.image import Image
from bty_web.models.job import Job, Lease
from bty_web.models.machine import Group, Mac, Machine
from bty_web.models.preference import Preference
from bty_web.models.run import Access, Profile, Run
from bty_web.models.seed import Seed
from bty_web.models.user import ApiToken, LoginFailure, User
from bty_web.models.workflow import Workflow

__all__ = [
    "Access",
    "ApiToken",
    "Attempt",
    "Base",
    "Event",
    "Group",
    "Image",
    "Job",
    "Lease",
    "LoginFailure",
    "Mac",
    "Machine",
    "Preference",
    "Profile",
    "Run",
    "Seed",
    "User",
    "Workflow",
]
