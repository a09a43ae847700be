"""The verbs on a session. They record facts; whoever must be told notices them."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.utils import timezone

from .models import Facts, Meeting, Revision, Session
from .nudging import nudge


@contextmanager
def editing(session_id: int) -> Iterator[Session]:
    """Edit a session, its meeting or its agenda inside: one transaction.

    Gives the session, locked. When afterwards attendees would be told something else, what
    they could know before is kept as a Revision, and the session's own revision is a new one.
    """
    with transaction.atomic():
        session = Session.objects.select_for_update(no_key=True).get(pk=session_id)
        before = _facts(session_id)
        yield session
        if _facts(session_id) != before:
            kept = {"session": session, "number": session.revision}
            Revision.objects.get_or_create(**kept, defaults=before._asdict())
            session.revision += 1
            session.revised_at = timezone.now()
            session.save(update_fields=["revision", "revised_at", "updated_at"])
        # What Zoom refused may be what was edited.
        refused = Meeting.objects.filter(session=session, asked_at=None).exclude(problem="")
        refused.update(due_at=timezone.now())
        transaction.on_commit(lambda: nudge("events.tasks.keep_meetings"))


def _facts(session_id: int) -> Facts:
    return Session.objects.with_details().get(pk=session_id).facts()


def cancel_session(*, session: Session) -> bool:
    """Cancel a session; its page, its join links and calendars say so. False: it was already."""
    return _set_cancelled(session, cancelled=True)


def restore_session(*, session: Session) -> bool:
    """Take a cancellation back. Returns False when the session was not cancelled."""
    return _set_cancelled(session, cancelled=False)


def _set_cancelled(session: Session, *, cancelled: bool) -> bool:
    with editing(session.pk) as current:
        if current.is_cancelled == cancelled:
            return False
        current.cancelled_at = timezone.now() if cancelled else None
        current.save(update_fields=["cancelled_at", "updated_at"])
    return True
