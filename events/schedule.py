"""Editing, canceling and restoring sessions.

These functions only record facts; `registrations` queries for what to send.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import transaction
from django.utils import timezone

from events.background import wake_workers
from events.clock import database_time
from events.models import Meeting, Revision, Session


@contextmanager
def edit_session(session_id: int) -> Iterator[Session]:
    """Edit a session, its meeting or its agenda in a transaction. Yields the locked session.

    If the session then looks different to attendees, its old state is saved as a Revision, and
    it gets a new revision number.
    """
    with transaction.atomic():
        session = Session.objects.select_for_update(no_key=True).get(pk=session_id)
        old = _with_details(session_id)
        before = old.snapshot()
        yield session
        now = database_time()
        if _with_details(session_id).snapshot() != before:
            Revision.objects.get_or_create(
                session=session,
                number=session.revision,
                defaults={**before.columns(), "replaced_at": now},
            )
            session.revision += 1
            session.revised_at = now
            session.save(update_fields=["revision", "revised_at", "updated_at"])
        # The edit may have fixed what Zoom rejected: retry now.
        rejected = Meeting.objects.filter(session=session, call_started_at=None).exclude(problem="")
        rejected.update(due_at=now)
        transaction.on_commit(lambda: wake_workers("events.tasks.sync_meetings"))


def _with_details(session_id: int) -> Session:
    return Session.objects.with_details().get(pk=session_id)


def cancel_session(*, session: Session) -> bool:
    """Cancel a session. Returns False if it was canceled already."""
    return _set_canceled(session, canceled=True)


def restore_session(*, session: Session) -> bool:
    """Undo a cancellation. Returns False if the session was not canceled."""
    return _set_canceled(session, canceled=False)


def _set_canceled(session: Session, *, canceled: bool) -> bool:
    with edit_session(session.pk) as current:
        if current.is_canceled == canceled:
            return False
        current.canceled_at = timezone.now() if canceled else None
        current.save(update_fields=["canceled_at", "updated_at"])
    return True
