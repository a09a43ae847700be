"""Publishing an event, together with sessions of it that are still drafts."""

from collections.abc import Iterable

from django.db import transaction

from events.models import Event, Session
from events.schedule import edit_session


class CannotPublish(Exception):
    """The event is published already, or has no contact."""


@transaction.atomic
def publish(*, event: Event, drafts: Iterable[Session] = ()) -> list[Session]:
    """Publish a draft, and these sessions of it. Returns those that were drafts until now.

    Raises CannotPublish. Then nothing is published.
    """
    published = []
    for draft in sorted(drafts, key=lambda each: each.pk):
        with edit_session(draft.pk) as session:
            if session.status == Session.Status.DRAFT:
                session.status = Session.Status.PUBLISHED
                session.save(update_fields=["status", "updated_at"])
                published.append(session)
    # Changed only if it's still a draft: the admin locks sessions before their event, too.
    events = Event.objects.filter(pk=event.pk, status=Event.Status.DRAFT)
    if not events.exclude(contact_email="").update(status=Event.Status.PUBLISHED):
        raise CannotPublish
    return published
