"""The verbs on a session. They record facts; whoever must be told notices them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.utils import timezone

from events.background import wake_workers
from events.models import Meeting, Revision, Session, SessionSnapshot


@contextmanager
def edit_session(session_id: int) -> Iterator[Session]:
    """Edit a session, its meeting or its agenda inside: one transaction.

    Gives the session, locked. When afterwards attendees would be told something else, what
    they could know before is kept as a Revision, and the session's own revision is a new one.
    """
    with transaction.atomic():
        session = Session.objects.select_for_update(no_key=True).get(pk=session_id)
        before = _snapshot(session_id)
        yield session
        if _snapshot(session_id) != before:
            now = timezone.now()
            kept = {"session": session, "number": session.revision}
            details = {**before._asdict(), "replaced_at": now}
            Revision.objects.get_or_create(**kept, defaults=details)
            session.revision += 1
            session.revised_at = now
            session.save(update_fields=["revision", "revised_at", "updated_at"])
        # What Zoom refused may be what was edited.
        refused = Meeting.objects.filter(session=session, asked_at=None).exclude(problem="")
        refused.update(due_at=timezone.now())
        transaction.on_commit(lambda: wake_workers("events.tasks.sync_meetings"))


def _snapshot(session_id: int) -> SessionSnapshot:
    return Session.objects.with_details().get(pk=session_id).snapshot()


def cancel_session(*, session: Session) -> bool:
    """Cancel a session; its page, its join links and calendars say so. False: it was already."""
    return _set_canceled(session, canceled=True)


def restore_session(*, session: Session) -> bool:
    """Take a cancellation back. Returns False when the session was not canceled."""
    return _set_canceled(session, canceled=False)


def _set_canceled(session: Session, *, canceled: bool) -> bool:
    with edit_session(session.pk) as current:
        if current.is_canceled == canceled:
            return False
        current.canceled_at = timezone.now() if canceled else None
        current.save(update_fields=["canceled_at", "updated_at"])
    return True
