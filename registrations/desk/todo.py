"""What organizers have to do now for a week: the first section of the admin's front page.

Each function finds one thing. Another app adds its own with `@to_do(Model)`, in a module that its
admin imports. `Model` is the one whose page the button opens. The number of queries doesn't depend
on the number of people.
"""

import datetime as dt
from collections.abc import Callable, Iterable
from typing import NamedTuple, TypeAlias

from django.db.models import Model, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from events.admin.links import change_url, list_url
from events.admin.shared import counted, named
from events.models import Event, Session
from events.templatetags.times import clock
from events.timezones import time_label
from events.zoom.status import meeting_status, needs_attention
from registrations import access_needs, monitoring
from registrations.mail import change_notices
from registrations.models import AccessNeed, OutgoingMail, Registration

# The day before, reminders tell people to come: by then there should be a link.
LINK_BEFORE_START = dt.timedelta(days=1)
NEVER = dt.datetime.max.replace(tzinfo=dt.UTC)


class Task(NamedTuple):
    """Something to do: a sentence with its number, more about it, and the one button.

    `button` is empty for people who couldn't use it. `before` is when it's too late. `can_wait`: it
    comes after everything that keeps people out.
    """

    number: int
    text: str
    more: str
    button: str
    url: str
    before: dt.datetime = NEVER
    can_wait: bool = False


Find: TypeAlias = Callable[[Event, dt.datetime], Task | None]


class Finder(NamedTuple):
    """Who may view `model` sees what it finds, and who may change `changes`, its button, too."""

    model: type[Model]
    changes: type[Model]
    find: Find


_finders: list[Finder] = []


def to_do(model: type[Model], changes: type[Model] | None = None) -> Callable[[Find], Find]:
    """Register a function that finds something to do, for people who may view this model.

    `changes`: what they must be allowed to change to do it, if that's another model.
    """

    def register(find: Find) -> Find:
        _finders.append(Finder(model, changes or model, find))
        return find

    return register


def models() -> set[type[Model]]:
    """The models that things to do are about."""
    return {model for each in _finders for model in (each.model, each.changes)}


def tasks(
    event: Event,
    now: dt.datetime,
    viewable: Iterable[type[Model]],
    changeable: Iterable[type[Model]],
) -> list[Task]:
    """What there is to do about the models that someone may view, the most urgent first."""
    shown, changed = set(viewable), set(changeable)
    found = []
    for each in _finders:
        if each.model in shown and (task := each.find(event, now)):
            found.append(task if each.changes in changed else task._replace(button="", url=""))
    return sorted(found, key=lambda task: (task.can_wait, task.before))


def upcoming(event: Event, now: dt.datetime) -> QuerySet[Session]:
    """The sessions to prepare, drafts too, the next one first."""
    sessions = event.sessions.filter(canceled_at=None, ends_at__gt=now)
    return sessions.select_related("event", "meeting").order_by("starts_at", "pk")


def next_start(event: Event, now: dt.datetime) -> dt.datetime:
    starts = event.sessions.open_to_register(now).order_by("starts_at")
    return starts.values_list("starts_at", flat=True).first() or NEVER


def _first(sessions: list[Session]) -> str:
    """Name the session, or the first of several."""
    text = named(sessions[0])
    if len(sessions) > 1:
        return _("First: %(session)s.") % {"session": text}
    # Spanish times end with a period: 6:00 p. m.
    return text if text.endswith(".") else f"{text}."


@to_do(Event)
def unpublished(event: Event, now: dt.datetime) -> Task | None:
    """A draft, unless its week is over. Before it starts, people need time to register."""
    first = upcoming(event, now).first()
    is_over = event.sessions.exists() and first is None
    if event.status != Event.Status.DRAFT or is_over:
        return None
    text = _("This week is a draft: only organizers see it.")
    more = _("A checklist shows what's left to do before people can register.")
    url = reverse("admin:events_event_publish", args=[event.pk])
    before = first.starts_at if first else NEVER
    return Task(1, text, more, _("Publish it"), url, before)


@to_do(Session)
def pending_notices(event: Event, now: dt.datetime) -> Task | None:
    """Edits that people are about to be emailed about."""
    notices = change_notices.pending_notices(event, now)
    if not notices:
        return None
    first, values = notices[0], {"session": notices[0].session.brief_title}
    if first.session.notices_held_at:
        more = _("The emails about %(session)s are on hold until you release them.") % values
    elif first.due_at <= now:
        more = _("The emails about %(session)s go out within a minute.") % values
    else:
        time = f"{clock(first.due_at, event.zone)} {time_label(first.due_at, event.zone)}"
        more = _("The emails about %(session)s go out at %(time)s.") % {**values, "time": time}
    people = sum(notice.people for notice in notices)
    count = len({notice.session for notice in notices})
    text = counted(
        count,
        "%(count)s session was changed, and people will be emailed about it.",
        "%(count)s sessions were changed, and people will be emailed about them.",
    )
    at_most = counted(people, "That's %(count)s email at most.", "That's %(count)s emails at most.")
    url = reverse("admin:events_session_notices", args=[event.pk])
    before = first.session.starts_at if first.session.notices_held_at else first.due_at
    return Task(count, text, f"{more} {at_most}", _("Check, hold or undo"), url, before)


@to_do(Session)
def sessions_without_link(event: Event, now: dt.datetime) -> Task | None:
    """Sessions that nobody could join."""
    missing = upcoming(event, now).filter(needs_attention(now))
    sessions = list(missing.filter(pk__in=event.sessions.without_link(now).values("pk")))
    if not sessions:
        return None
    text = counted(
        len(sessions),
        "%(count)s session has no Zoom link.",
        "%(count)s sessions have no Zoom link.",
    )
    if event.creates_meetings:
        return _about_meetings(sessions, now, text, _("Fix its Zoom meeting"))
    if len(sessions) == 1:
        return _about_meetings(sessions, now, text, _("Add the link"))
    found = _about_meetings(sessions, now, text, _("Add the links"))
    return found._replace(url=reverse("admin:events_event_week", args=[event.pk]))


@to_do(Session)
def meetings_with_problem(event: Event, now: dt.datetime) -> Task | None:
    """Meetings that have a link, but that Zoom reported something about."""
    problems = upcoming(event, now).filter(needs_attention(now))
    sessions = list(problems.exclude(pk__in=event.sessions.without_link(now).values("pk")))
    if not sessions:
        return None
    text = counted(
        len(sessions),
        "%(count)s Zoom meeting has a problem.",
        "%(count)s Zoom meetings have a problem.",
    )
    return _about_meetings(sessions, now, text, _("Fix its Zoom meeting"))


def _about_meetings(sessions: list[Session], now: dt.datetime, text: str, button: str) -> Task:
    more = f"{_first(sessions)} {meeting_status(sessions[0], now).text}."
    url = change_url(sessions[0], "meeting-group")
    before = sessions[0].starts_at - LINK_BEFORE_START
    return Task(len(sessions), text, more, button, url, before)


@to_do(Registration)
def approvals(event: Event, now: dt.datetime) -> Task | None:
    """People whom nobody has approved or declined yet."""
    state = Registration.Approval.PENDING
    count = event.registrations.active().filter(approval=state).count()
    if not count:
        return None
    text = counted(
        count,
        "%(count)s person is waiting for your approval.",
        "%(count)s people are waiting for your approval.",
    )
    url = list_url(Registration, event__id__exact=event.pk, coming=state)
    more = _("They get their links once you approve them.")
    return Task(count, text, more, _("Decide"), url, next_start(event, now))


@to_do(AccessNeed)
def open_needs(event: Event, now: dt.datetime) -> Task | None:
    """What people who have a spot asked for, until it's arranged and they know it."""
    needs = access_needs.active_needs(now).filter(seat__session__event=event)
    tallies = [each for each in access_needs.tallies(needs) if each.requested or each.arranged]
    if not tallies:
        return None
    requested = sum(tally.requested for tally in tallies)
    count = requested + sum(tally.arranged for tally in tallies)
    text = counted(
        count,
        "%(count)s access need to arrange or confirm.",
        "%(count)s access needs to arrange or confirm.",
    )
    sessions = [tally.session for tally in tallies]
    if requested:
        unarranged = _("Not arranged yet: %(count)s.") % {"count": f"{requested:,}"}
        more = f"{_first(sessions)} {unarranged}"
    else:
        more = _("All are arranged. Email people to confirm.")
    states = f"{AccessNeed.State.REQUESTED},{AccessNeed.State.ARRANGED}"
    filters = {"state__in": states, "place": "seated", "seat__session__event__id__exact": event.pk}
    button, url = _("See who needs what"), list_url(AccessNeed, **filters)
    return Task(count, text, more, button, url, sessions[0].starts_at)


@to_do(Registration)
def unreachable_people(event: Event, now: dt.datetime) -> Task | None:
    """People who come, but whom our emails don't reach."""
    count = _unreachable(event).count()
    before = next_start(event, now)
    if not count or before == NEVER:
        return None
    text = counted(
        count,
        "%(count)s person isn't getting our emails.",
        "%(count)s people aren't getting our emails.",
    )
    more = _("If you fix the address, we'll send their links there.")
    url = list_url(Registration, event__id__exact=event.pk, coming="yes", links="failed")
    return Task(count, text, more, _("See who"), url, before)


def _unreachable(event: Event) -> QuerySet[Registration]:
    return event.registrations.admitted().having_failed_mail().unreachable()


# People who may change registrations may send their emails again.
@to_do(OutgoingMail, changes=Registration)
def failed_emails(event: Event, now: dt.datetime) -> Task | None:
    """Emails that failed lately, to people who get others. The rest are `unreachable_people`."""
    failed = OutgoingMail.objects.filter(
        state=OutgoingMail.State.FAILED,
        created_at__gt=now - monitoring.FAILED_WITHIN,
        registration__in=event.registrations.admitted().values("pk"),
    )
    count = failed.exclude(registration__in=_unreachable(event).values("pk")).count()
    if not count:
        return None
    text = counted(count, "%(count)s email failed.", "%(count)s emails failed.")
    more = _("Other emails reach these people, so you can send it again.")
    filters = {"state__exact": "failed", "registration__event__id__exact": event.pk}
    url = list_url(OutgoingMail, **filters)
    return Task(count, text, more, _("See which"), url, next_start(event, now))


@to_do(Session)
def sessions_without_agenda(event: Event, now: dt.datetime) -> Task | None:
    sessions = list(upcoming(event, now).filter(agenda=None))
    if not sessions:
        return None
    text = counted(
        len(sessions), "%(count)s session has no agenda.", "%(count)s sessions have no agenda."
    )
    url = change_url(sessions[0], "agenda-group")
    before = sessions[0].starts_at
    return Task(
        len(sessions), text, _first(sessions), _("Add the agenda"), url, before, can_wait=True
    )


@to_do(Session)
def sessions_without_hosts(event: Event, now: dt.datetime) -> Task | None:
    sessions = list(upcoming(event, now).filter(hosts=None))
    if not sessions:
        return None
    text = counted(
        len(sessions), "%(count)s session has no hosts.", "%(count)s sessions have no hosts."
    )
    url, before = change_url(sessions[0], "id_hosts"), sessions[0].starts_at
    return Task(
        len(sessions), text, _first(sessions), _("Choose the hosts"), url, before, can_wait=True
    )
