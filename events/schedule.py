"""The verbs on a session. They record facts; whoever must be told notices them."""

from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from .models import Session


def save_session(*, session: Session, changed: Iterable[str]) -> None:
    """Save an edited session; `changed` names the fields. What calendars show is a new revision."""
    if session.pk and not Session.CALENDAR_FIELDS.isdisjoint(changed):
        session.revision += 1
    session.save()


@transaction.atomic
def cancel_session(*, session: Session) -> bool:
    """Cancel a session; its page, its join links and calendars say so. False: it was already."""
    return _set_cancelled(session, cancelled=True)


@transaction.atomic
def restore_session(*, session: Session) -> bool:
    """Take a cancellation back. Returns False when the session was not cancelled."""
    return _set_cancelled(session, cancelled=False)


def _set_cancelled(session: Session, *, cancelled: bool) -> bool:
    current = Session.objects.select_for_update().get(pk=session.pk)
    if current.is_cancelled == cancelled:
        return False
    current.cancelled_at = timezone.now() if cancelled else None
    current.revision += 1
    current.save()
    return True
