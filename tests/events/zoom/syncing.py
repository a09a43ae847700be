"""Syncing with Zoom, one step at a time."""

from django.utils import timezone

from events import schedule
from events.models import Event, Meeting, Session, ZoomAccount
from events.zoom import sync


def account_problem() -> str:
    return ZoomAccount.objects.values_list("problem", flat=True).first() or ""


def sync_now(times: int = 1) -> None:
    """Sync this many times, without pauses in between."""
    for _run in range(times):
        now = timezone.now()
        ZoomAccount.objects.update(resumes_at=now)
        Meeting.objects.update(due_at=now)
        sync.sync_meetings()


def first(event: Event) -> Session:
    return Session.objects.select_related("event", "meeting").get(pk=event.sessions.first().pk)


def edit(session: Session, **changes) -> None:
    with schedule.edit_session(session.pk) as current:
        for name, value in changes.items():
            setattr(current, name, value)
        current.save()
