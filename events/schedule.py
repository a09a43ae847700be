"""Editing, canceling and restoring sessions.

These functions only record facts; `registrations` queries for what to send.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone

from events import languages
from events.background import wake_workers
from events.clock import database_time
from events.models import Event, Meeting, Revision, Session
from events.timezones import moment_of


class SessionIsOver(Exception):
    """A session whose time has passed can't be restored."""


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


@transaction.atomic
def keep_clock_times(*, event: Event, before: ZoneInfo) -> list[Session]:
    """Move an event's sessions so that clocks in its zone show what they showed in `before`.

    Sessions that are over stay. Returns those that moved.
    """
    moved = []
    for session in event.sessions.filter(ends_at__gt=timezone.now()).order_by("pk"):
        with edit_session(session.pk) as current:
            length = current.ends_at - current.starts_at
            starts_at, ends_at = (
                moment_of(moment.astimezone(before).replace(tzinfo=None, fold=0), event.zone)
                for moment in (current.starts_at, current.ends_at)
            )
            if starts_at == current.starts_at and ends_at == current.ends_at:
                continue
            # Where clocks skip its hours, it keeps its length.
            ends_at = ends_at if ends_at > starts_at else starts_at + length
            current.starts_at, current.ends_at = starts_at, ends_at
            current.save(update_fields=["starts_at", "ends_at", "updated_at"])
        moved.append(current)
    return moved


def cancel_session(*, session: Session, reason: Mapping[str, str] | None = None) -> bool:
    """Cancel a session, for a reason that people read: a text by language, such as "en".

    Returns False if it was canceled already. Then the reason stays what it was.
    """
    with edit_session(session.pk) as current:
        if current.is_canceled:
            return False
        current.canceled_at = timezone.now()
        _save_canceled(current, reason or {})
    return True


def restore_session(*, session: Session) -> bool:
    """Undo a cancellation, and clear its reason. Returns False if the session was not canceled.

    Raises SessionIsOver.
    """
    with edit_session(session.pk) as current:
        if not current.is_canceled:
            return False
        if current.ends_at <= timezone.now():
            raise SessionIsOver
        current.canceled_at = None
        _save_canceled(current, {})
    return True


def _save_canceled(session: Session, reason: Mapping[str, str]) -> None:
    for code in languages.codes():
        setattr(session, languages.column("cancel_reason", code), reason.get(code) or None)
    reasons = languages.columns("cancel_reason")
    session.save(update_fields=["canceled_at", *reasons, "updated_at"])
