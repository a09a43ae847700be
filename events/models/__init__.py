"""The week: events, their sessions, and their Zoom meetings."""

from events.models.event import RESERVED_SLUGS, Event, EventQuerySet, Speaker, Track, split_emails
from events.models.history import HistoryEntry
from events.models.image import StoredImage
from events.models.session import AgendaItem, Revision, Session, SessionQuerySet, SessionSnapshot
from events.models.site import SiteSettings
from events.models.zoom import Meeting, MeetingQuerySet, ZoomAccount, ZoomReport

__all__ = [
    "RESERVED_SLUGS",
    "AgendaItem",
    "Event",
    "EventQuerySet",
    "HistoryEntry",
    "Meeting",
    "MeetingQuerySet",
    "Revision",
    "Session",
    "SessionQuerySet",
    "SessionSnapshot",
    "SiteSettings",
    "Speaker",
    "StoredImage",
    "Track",
    "ZoomAccount",
    "ZoomReport",
    "split_emails",
]
