"""Where organizers keep the week."""

from events.admin.event import EventAdmin
from events.admin.session import SessionAdmin

__all__ = ["EventAdmin", "SessionAdmin"]
