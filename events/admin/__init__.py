"""Admin pages for events and their sessions."""

from events.admin.event import EventAdmin
from events.admin.history.site import SiteHistoryAdmin
from events.admin.session import SessionAdmin

__all__ = ["EventAdmin", "SessionAdmin", "SiteHistoryAdmin"]
