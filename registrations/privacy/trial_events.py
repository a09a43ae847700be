"""Delete a trial event with everyone in it. Other events keep their people as statistics."""

from typing import NamedTuple

from django.db import transaction
from django.utils.translation import gettext as _

from events.models import Event, Meeting
from registrations.models import Attendance, OutgoingMail
from registrations.privacy import erasure

# Erasing one person takes a moment. More of them are no trial.
MOST_PEOPLE = 100


class CannotDelete(Exception):
    """Why an event can't be deleted with its people, as text for organizers."""


class Contents(NamedTuple):
    """How much is deleted with an event."""

    people: int
    sessions: int
    emails: int
    meetings: int


def contents(event: Event) -> Contents:
    return Contents(
        people=event.registrations.count(),
        sessions=event.sessions.count(),
        emails=OutgoingMail.objects.filter(registration__event=event).count(),
        meetings=Meeting.objects.at_zoom().filter(session__event=event).count(),
    )


def require_trial(event: Event) -> None:
    """Raise CannotDelete unless the event may be deleted with its people."""
    if event.status != Event.Status.DRAFT:
        raise CannotDelete(_("This event is published. Make it a draft first."))
    if event.registrations.filter(erased_at=None).count() > MOST_PEOPLE:
        text = _("More than %(most)s people are registered. That's more than a trial.")
        raise CannotDelete(text % {"most": MOST_PEOPLE})


@transaction.atomic
def delete_trial(*, event: Event) -> None:
    """Erase an event's people, and delete the event with all rows about it. Raises CannotDelete.

    Its meetings stay without a session, so `events.zoom.sync` deletes them at Zoom.
    """
    locked = Event.objects.select_for_update().get(pk=event.pk)
    require_trial(locked)
    # Their accounts and sign-ins go, too, and their names in the log.
    erasure.erase_all(registrations=locked.registrations.filter(erased_at=None))
    erasure.anonymize_log(Attendance.objects.filter(session__event=locked))
    erasure.anonymize_log_of(locked)
    locked.registrations.all().delete()
    # They protect the sessions that they are for.
    locked.announcements.all().delete()
    locked.delete()
