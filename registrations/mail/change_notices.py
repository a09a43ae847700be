"""Queue change notices: what each person last knew of a session, compared with what it is now.

Notices are queued once edits have settled. An email sent before that shows the session as it was
at that moment. If that is then undone, its readers get a notice, and no one else does.

While organizers hold a session's notices, nothing is queued for it, and what's in the queue waits.
"""

import datetime as dt
import functools
import itertools
import operator
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import (
    BooleanField,
    Case,
    Exists,
    F,
    IntegerField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)

from events import languages
from events.background import for_each_logging_errors
from events.clock import Now
from events.forecasts import Forecast, maybe_announced
from events.models import Event, Revision, Session, SessionQuerySet, SessionSnapshot
from events.models.session import agenda_reads_differently
from registrations.mail_kinds import MailKind, Shows
from registrations.models import OutgoingMail, Registration, RegistrationQuerySet, Seat
from registrations.outbox import mail_queue

NOTICES = (MailKind.CHANGED, MailKind.CANCELED)
SHOW_ALL = [kind for kind in MailKind if kind.spec.shows == Shows.ALL]
SHOW_THEIR_SESSION = [kind for kind in MailKind if kind.spec.shows == Shows.ITS_SESSION]
SHOW_AGENDA = [kind for kind in MailKind if kind.spec.shows_agenda]
# Edits of a session that starts this soon don't have to settle.
STARTS_SOON = dt.timedelta(hours=3)
# How long an edit may take to be committed, after `replaced_at` was read from the clock.
COMMIT_MARGIN = dt.timedelta(seconds=2)


def queue_changes(now: dt.datetime) -> None:
    """Queue notices and schedule updates for sessions whose edits have settled."""
    edited = edited_sessions().filter(notices_held_at=None)
    # Two queries: right after many people were added, PostgreSQL, which doesn't know it yet, takes
    # minutes for one that joins everything.
    events = Event.objects.published().filter(pk__in={*edited.values_list("event", flat=True)})
    for_each_logging_errors(events, lambda event: _queue_changes_of(event, now))


class PendingNotice(NamedTuple):
    """An edited session, how many people will get an email about it, and when, if not held."""

    session: Session
    people: int
    due_at: dt.datetime


def pending_notices(event: Event, now: dt.datetime) -> list[PendingNotice]:
    """The edits of an event's sessions that people will be emailed about, those held last."""
    return _pending(event.sessions.all(), now)


def all_pending_notices(now: dt.datetime) -> list[PendingNotice]:
    """Those of all events."""
    return _pending(Session.objects.all(), now)


def _pending(sessions: SessionQuerySet, now: dt.datetime) -> list[PendingNotice]:
    notices = [
        PendingNotice(session, count, due_at)
        for session in maybe_announced(sessions).with_details()
        for due_at, people in _people_by_time(session, now).items()
        if (count := people.count())
    ]
    return sorted(notices, key=lambda each: (each.session.notices_held_at is not None, each.due_at))


def edited_sessions() -> SessionQuerySet:
    """The sessions that some people know as they were before."""
    outdated = Seat.objects.filter(
        session=OuterRef("pk"),
        notified_revision__lt=OuterRef("revision"),
        registration__in=Registration.objects.admitted(),
    )
    return Session.objects.filter(Exists(outdated), revised_at__isnull=False)


def _outdated_seats() -> QuerySet[Seat]:
    """Seats whose people have not been notified of the session's current revision."""
    seats = Seat.objects.filter(registration__in=Registration.objects.admitted())
    return seats.filter(notified_revision__lt=F("session__revision"))


@transaction.atomic
def _queue_changes_of(event: Event, now: dt.datetime) -> None:
    edited = [*edited_sessions().filter(event=event).values_list("pk", flat=True)]
    # The lock keeps out edits, holding them, and another run of this.
    locked = Session.objects.select_for_update(no_key=True).filter(pk__in=edited)
    ids = list(locked.order_by("pk").values_list("pk", flat=True))
    news, urgent, all_settled = Q(), Q(), True
    for session in Session.objects.filter(pk__in=ids, notices_held_at=None).with_details():
        settled = session.notices_due_at is not None and now >= session.notices_due_at
        _skip_readers_of_notices(session)
        with_news = _queue_notices_of(session, now, settled=settled)
        news |= with_news
        if settled and is_soon(now, session):
            urgent |= with_news
        all_settled = all_settled and (settled or not with_news)
    # Only a session that starts soon doesn't wait for one email about all sessions.
    if due := news if all_settled else urgent:
        _queue_schedule_update(event, _outdated_seats().filter(due))


def _skip_readers_of_notices(session: Session) -> None:
    """Mark as notified those who were sent a notice that already showed the newest revision."""
    if session.revised_at is None:
        return
    sent = OutgoingMail.objects.filter(
        session=session,
        kind__in=NOTICES,
        sent_at__isnull=False,
        claimed_at__gte=session.revised_at + COMMIT_MARGIN,
    )
    readers = _outdated_seats().filter(
        session=session, registration__in=sent.values("registration")
    )
    readers.update(notified_revision=session.revision)


def _queue_notices_of(session: Session, now: dt.datetime, *, settled: bool) -> Q:
    """Queue notices for a session's people. Returns the seats that need a schedule update."""
    with_news = Q()
    for seats, state, changed_from, has_news in _groups(session):
        if changed_from:
            if not settled and not is_soon(now, session, changed_from.revision):
                continue
            _queue_notice(session, changed_from, seats, state, now)
        elif session.ends_at > now and has_news:
            with_news |= Q(pk__in=seats.values("pk"))
            continue
        elif session.settled_at and now < session.settled_at:
            # An email that shows what was just undone may be on its way.
            continue
        seats.update(notified_revision=session.revision)
    return with_news


class _Group(NamedTuple):
    """Seats whose people know the same, as `_with_differences` says."""

    seats: QuerySet[Seat]
    state: Seat.State
    changed_from: "EarlierRevision | None"
    has_news: bool


def _groups(session: Session) -> Iterator[_Group]:
    """The seats whose people have not been notified of the session's current revision."""
    history = earlier_revisions(session)
    by_number = {each.revision.number: each for each in history}
    behind = _with_differences(_outdated_seats().filter(session=session), session, history)
    for state, number, has_news in set(behind.values_list("state", "changed_from", "has_news")):
        seats = behind.filter(state=state, changed_from=number, has_news=has_news)
        yield _Group(seats, Seat.State(state), by_number.get(number), has_news)


def forecast(session: Session, now: dt.datetime) -> Iterator[Forecast]:
    """Who will get an email about the session's last edits, and when; see `_queue_notices_of`.

    If they are held: who will once they're released.
    """
    session = Session.objects.with_details().get(pk=session.pk)
    for due_at, people in _people_by_time(session, now).items():
        if ids := frozenset(people.values_list("pk", flat=True)):
            yield Forecast(ids, due_at)


def _people_by_time(
    session: Session, now: dt.datetime
) -> dict[dt.datetime, QuerySet[Registration]]:
    """The people of a forecast, by when they get an email; maybe none."""
    settles_at = session.notices_due_at
    if settles_at is None or session.event.status != Event.Status.PUBLISHED:
        return {}
    found: dict[dt.datetime, Q] = defaultdict(Q)
    for seats, _state, changed_from, has_news in _groups(session):
        if changed_from and not _is_past(session, changed_from, now):
            soon = is_soon(now, session, changed_from.revision)
            people = people_in(seats)
        elif not changed_from and has_news and session.ends_at > now:
            soon, people = False, _readers_of_update(seats)
        else:
            continue
        found[now if soon else max(now, settles_at)] |= Q(pk__in=people.values("pk"))
    if session.notices_held_at:
        waiting = Q(pk__in=waiting_notices(session).values("registration"))
        found = {max(now, settles_at): functools.reduce(operator.or_, found.values(), waiting)}
    return {due_at: Registration.objects.filter(people) for due_at, people in found.items()}


def waiting_notices(session: Session) -> QuerySet[OutgoingMail]:
    """The notices and schedule updates about a session that are queued and not sent yet."""
    waiting = OutgoingMail.objects.filter(
        state=OutgoingMail.State.WAITING, registration__isnull=False
    )
    updates = Q(kind=MailKind.SCHEDULE_UPDATE, key__contains=_mark(session.pk))
    return waiting.filter(Q(session=session, kind__in=NOTICES) | updates)


def is_about(mail: OutgoingMail, session: Session) -> bool:
    """Whether it's a notice of the session's changes, or a schedule update because of them."""
    if mail.kind == MailKind.SCHEDULE_UPDATE:
        return _mark(session.pk) in mail.key
    return mail.kind in NOTICES and mail.session_id == session.pk


def _mark(session_id: int) -> str:
    """What the key of a schedule update contains if the session has news."""
    return f".{session_id}-"


def last_told(session: Session) -> Revision | None:
    """The session as the first of those knew it who haven't been told of the last edits."""
    history = earlier_revisions(session)
    return history[-1].revision if history else None


class Example(NamedTuple):
    """One of the people who will get an email about an edited session, and which one."""

    person: Registration
    kind: MailKind
    old_revision: Revision | None


def example(session: Session, now: dt.datetime) -> Example | None:
    """Fetch the session `with_details()`."""
    for seats, _state, changed_from, has_news in _groups(session):
        person = people_in(seats).order_by("pk").first()
        if person and changed_from and not _is_past(session, changed_from, now):
            kind = MailKind.CHANGED if session.takes_place else MailKind.CANCELED
            return Example(person, kind, changed_from.revision)
        if person and not changed_from and has_news and session.ends_at > now:
            return Example(person, MailKind.SCHEDULE_UPDATE, None)
    return None


def cancellation_wait(session: Session, now: dt.datetime) -> dt.timedelta | None:
    """How long people would wait for the email if the session were canceled, or restored, now.

    None if no one would get one.
    """
    is_public = session.status == Session.Status.PUBLISHED
    if not is_public or session.event.status != Event.Status.PUBLISHED or session.ends_at <= now:
        return None
    return dt.timedelta() if is_soon(now, session) else session.event.settle_time


def is_soon(now: dt.datetime, *versions: Session | Revision) -> bool:
    """Whether any of these versions of a session starts soon or is on."""
    return any(each.starts_at - STARTS_SOON < now < each.ends_at for each in versions)


class EarlierRevision(NamedTuple):
    """A revision that was replaced, and which seats may have been shown it by an email.

    `agenda_shown`: by one that has the agenda, too.
    """

    revision: Revision
    shown: Q
    agenda_shown: Q

    @property
    def known_to(self) -> Q:
        """Seats whose people were notified of this revision, or have seen it since."""
        return self._known_to(self.shown)

    @property
    def agenda_known_to(self) -> Q:
        """Seats whose people were notified of this revision, or have seen its agenda since."""
        return self._known_to(self.agenda_shown)

    def _known_to(self, shown: Q) -> Q:
        number = self.revision.number
        return Q(notified_revision=number) | Q(notified_revision__lt=number) & shown


def earlier_revisions(session: Session) -> list[EarlierRevision]:
    """The replaced revisions that someone may believe to be current, the newest first."""
    behind = _outdated_seats().filter(session=session).order_by("notified_revision")
    oldest = Subquery(behind.values("notified_revision")[:1])
    # And the one before it, which says when the oldest became current.
    revisions = list(session.revisions.annotate(oldest=oldest).filter(number__gte=F("oldest") - 1))
    since = [session.created_at, *(each.replaced_at for each in revisions)]
    return [
        EarlierRevision(each, *_shown_between(session, began, each.replaced_at))
        for each, began in zip(revisions, since, strict=False)
        if each.number >= each.oldest
    ][::-1]


def _shown_between(session: Session, since: dt.datetime, until: dt.datetime) -> tuple[Q, Q]:
    """Seats whose people may have been shown the session as it was between these times.

    Returns those, and those who may have been shown its agenda.
    Their email was claimed before and sent after. One that was not sent may still have arrived
    while it is claimed: its lease ends at `due_at`.
    """
    mails = OutgoingMail.objects.filter(
        Q(sent_at__gte=since) | Q(sent_at=None, due_at__gte=since),
        Q(kind__in=SHOW_ALL) | Q(kind__in=SHOW_THEIR_SESSION, session=session),
        claimed_at__lt=until + COMMIT_MARGIN,
    )
    with_agenda = mails.filter(kind__in=SHOW_AGENDA)
    return (
        Q(registration__in=mails.values("registration")),
        Q(registration__in=with_agenda.values("registration")),
    )


def _with_differences(
    seats: QuerySet[Seat], session: Session, history: list[EarlierRevision]
) -> Any:
    """Compare what people know with what is current.

    Annotates `changed_from`, the newest revision they know that differs in what a notice is for,
    and `has_news`, whether there is no such revision but something new in the schedule.
    """
    changed, news = [], []
    for state, each in itertools.product(Seat.State, history):
        before, current = (visible_snapshot(one, state) for one in (each.revision, session))
        if readers := languages_where(is_change, before, current):
            known = each.known_to & Q(state=state, registration__language__in=readers)
            changed.append(When(known, then=Value(each.revision.number)))
        if readers := languages_where(is_schedule_update, before, current):
            is_about_joining = before.joining != current.joining
            known = each.known_to if is_about_joining else each.agenda_known_to
            their = Q(state=state, registration__language__in=readers)
            news.append(When(known & their, then=True))
    changed_from = Case(*changed, default=None, output_field=IntegerField())
    has_news = Case(
        When(changed_from__isnull=False, then=False),
        *news,
        default=False,
        output_field=BooleanField(),
    )
    return seats.annotate(changed_from=changed_from).annotate(has_news=has_news)


def _queue_notice(
    session: Session,
    earlier: EarlierRevision,
    seats: QuerySet[Seat],
    state: Seat.State,
    now: dt.datetime,
) -> None:
    """Queue a notice of what changed since the earlier revision, replacing any unsent notice.

    Readers of an unsent notice still know what was before that, unless another email showed them
    the earlier revision. A notice that a worker has claimed is sent. All seats are in this state.
    """
    if _is_past(session, earlier, now):
        return
    kind = MailKind.CHANGED if session.takes_place else MailKind.CANCELED
    key = f"{kind}/{session.pk}.{session.revision}"
    people = people_in(seats)
    unsent = OutgoingMail.objects.filter(
        ~Q(claimed_at__isnull=False, due_at__gt=Now()),
        kind__in=NOTICES,
        session=session,
        state=OutgoingMail.State.WAITING,
        registration__in=people,
    ).exclude(key__startswith=f"{key}/")
    # From now on no worker claims them.
    list(unsent.select_for_update().values_list("pk"))
    told = [(earlier.revision, people.exclude(pk__in=unsent.values("registration")))]
    for before in session.revisions.filter(pk__in=unsent.values("old_revision")):
        readers = people.filter(mails__in=unsent.filter(old_revision=before))
        versions = (visible_snapshot(each, state) for each in (before, session))
        if found := languages_where(is_change, *versions):
            told.append((before, readers.filter(language__in=found)))
        readers = readers.exclude(language__in=found)
        told.append((earlier.revision, readers & people_in(seats.filter(earlier.shown))))
    for before, group in told:
        mail_queue.queue_all(group, key=key, kind=kind, session=session, old_revision=before)
    unsent.update(state=OutgoingMail.State.DROPPED)


def _is_past(session: Session, earlier: EarlierRevision, now: dt.datetime) -> bool:
    """Whether the session is over, and was to be over before it was edited."""
    return max(session.ends_at, earlier.revision.ends_at) <= now


def _queue_schedule_update(event: Event, seats: QuerySet[Seat]) -> None:
    """Queue one email per person, however many of their sessions have news."""
    people = _readers_of_update(seats)
    revisions = sorted(set(seats.values_list("session", "session__revision")))
    stamp = "".join(f"{_mark(pk)}{revision}" for pk, revision in revisions)
    key = f"{MailKind.SCHEDULE_UPDATE}/{event.pk}/{stamp}"[:150]
    mail_queue.queue_all(people, key=key, kind=MailKind.SCHEDULE_UPDATE)
    for pk, revision in revisions:
        seats.filter(session=pk).update(notified_revision=revision)


def _readers_of_update(seats: QuerySet[Seat]) -> RegistrationQuerySet:
    """The people in these seats, but not those whose last schedule hasn't been sent yet.

    That one will show them what's new, unless it's on hold for another session.
    """
    unsent = OutgoingMail.objects.filter(
        ~Q(claimed_at__isnull=False, due_at__gt=Now()),
        kind__in=[MailKind.SCHEDULE, MailKind.SCHEDULE_UPDATE],
        state=OutgoingMail.State.WAITING,
        registration__isnull=False,
    )
    for held in Session.objects.filter(notices_held_at__isnull=False).values_list("pk", flat=True):
        unsent = unsent.exclude(kind=MailKind.SCHEDULE_UPDATE, key__contains=_mark(held))
    return people_in(seats).exclude(pk__in=unsent.values("registration"))


def people_in(seats: QuerySet[Seat]) -> RegistrationQuerySet:
    """The people in these seats who may get emails about their sessions."""
    return Registration.objects.admitted().filter(pk__in=seats.values("registration"))


def visible_snapshot(version: Session | Revision, state: str) -> SessionSnapshot:
    """What people whose seats are in this state may know of the session."""
    snapshot = version.snapshot()
    # Without a seat: no way to join, and no agenda.
    return snapshot if state == Seat.State.SEATED else snapshot._replace(joining="", agenda=())


# Whether there is something new, between two snapshots, for those who read in this language.
IsNews = Callable[[SessionSnapshot, SessionSnapshot, str], bool]


def is_change(before: SessionSnapshot, now: SessionSnapshot, language: str) -> bool:
    """Whether someone who knows the old snapshot needs a change notice."""
    if not now.takes_place:
        return before.takes_place
    times = [(each.starts_at, each.ends_at) for each in (before, now)]
    joining_changed = before.joining not in ("", now.joining)
    return (
        not before.takes_place
        or times[0] != times[1]
        or joining_changed
        or languages.reads_differently(before.title, now.title, language)
    )


def is_schedule_update(before: SessionSnapshot, now: SessionSnapshot, language: str) -> bool:
    """Whether the detailed schedule has something new."""
    return now.takes_place and (
        before.joining != now.joining
        or agenda_reads_differently(before.agenda, now.agenda, language)
    )


def languages_where(is_news: IsNews, before: SessionSnapshot, now: SessionSnapshot) -> list[str]:
    """The languages whose readers have something new."""
    return [code for code in languages.codes() if is_news(before, now, code)]
