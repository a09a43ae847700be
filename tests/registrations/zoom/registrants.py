"""Syncing personal links, and who may enter a meeting at the fake Zoom."""

from django.utils import timezone

from events.models import Event, Meeting, Session, ZoomAccount
from registrations.models import PersonalLink, Registration
from registrations.zoom import personal_links
from tests.fake_zoom import FakeZoom
from tests.people import sign_up


def sync_now(times: int = 1) -> None:
    """Sync this many times, without waiting between retries."""
    for _time in range(times):
        now = timezone.now()
        ZoomAccount.objects.update(resumes_at=now)
        PersonalLink.objects.update(due_at=now)
        personal_links.sync_links()


def crowd(event: Event, count: int) -> list[Registration]:
    return [sign_up(event, f"P{number} Adams") for number in range(count)]


def at_zoom(zoom_account: FakeZoom, session: Session) -> dict[str, str]:
    """The registrant IDs that may enter the session's meeting now, by email address."""
    meeting = zoom_account.meetings[Meeting.objects.get(session=session).zoom_id]
    return {
        each.email: each.id for each in meeting.registrants.values() if each.status == "approved"
    }


def links_of(person: Registration) -> list[PersonalLink]:
    return list(PersonalLink.objects.filter(seat__registration=person).order_by("pk"))
