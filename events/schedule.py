"""Editing, canceling and restoring sessions, and when people are emailed about it.

These functions only record facts; `registrations` queries for what to send.
"""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils import timezone
from django.utils.translation import get_language

from events import forecasts, languages
from events.background import wake_workers
from events.clock import database_time
from events.models import AgendaItem, Event, Meeting, Revision, Session, Speaker
from events.timezones import moment_of


class SessionIsOver(Exception):
    """A session whose time has passed can't be restored."""


class EditedMeanwhile(Exception):
    """Someone else edited the session after the organizer saw it."""


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
            session.notify_at = None
            session.save(update_fields=["revision", "revised_at", "notify_at", "updated_at"])
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


def speaker_named(*, event: Event, name: str, affiliation: str = "") -> Speaker:
    """The event's speaker of this name; a new one if there is none, in the current language."""
    for speaker in event.speakers.all():
        names = (text or "" for text in languages.texts(speaker, "name"))
        if name.casefold() in map(str.casefold, names):
            return speaker
    written = {"name": name, "affiliation": affiliation}
    code = get_language()
    return event.speakers.create(
        **{languages.column(each, code): text for each, text in written.items()}
    )


def order_agenda(*, items: Iterable[AgendaItem]) -> None:
    """Number the items of an agenda in this order: 1, 2, 3. Call it in `edit_session`."""
    for position, item in enumerate(items, start=1):
        AgendaItem.objects.filter(pk=item.pk).exclude(position=position).update(position=position)


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


def hold_notices(*, session: Session) -> bool:
    """Email no one about the session's edits until they are released. False if it was held."""
    with _locked(session) as current:
        if current.notices_held_at:
            return False
        current.notices_held_at = database_time()
        current.save(update_fields=["notices_held_at", "updated_at"])
    return True


def release_notices(*, session: Session, now: bool = False, revision: int | None = None) -> bool:
    """Let people be emailed about the last edits: after they've settled once more, or `now`.

    `revision` is the one that the organizer saw. Returns False if there was nothing to release.
    Raises EditedMeanwhile.
    """
    with _locked(session) as current:
        _require_seen(current, revision)
        if current.revised_at is None or not (now or current.notices_held_at):
            return False
        wait = dt.timedelta() if now else current.event.settle_time
        current.notices_held_at, current.notify_at = None, database_time() + wait
        current.save(update_fields=["notices_held_at", "notify_at", "updated_at"])
    return True


@contextmanager
def _locked(session: Session) -> Iterator[Session]:
    with transaction.atomic():
        yield Session.objects.select_for_update(no_key=True).get(pk=session.pk)


def _require_seen(session: Session, revision: int | None) -> None:
    if revision not in (None, session.revision):
        raise EditedMeanwhile


def undo_edit(*, session: Session, revision: int | None = None) -> bool:
    """Set the session back to what people were last told, except its agenda and its meeting.

    Its address stays if another session has the old one now, and a reason for canceling isn't set
    back. If nothing differs then, its notices aren't held any more. `revision` is the one that the
    organizer saw. Returns False if there is nothing to set back. Raises SessionIsOver and
    EditedMeanwhile.
    """
    with edit_session(session.pk) as current:
        _require_seen(current, revision)
        told = forecasts.last_told(current)
        if told is None or not can_undo(_with_details(session.pk), told):
            return False
        if told.ends_at <= timezone.now():
            raise SessionIsOver
        _set_back(current, told)
        if _with_details(session.pk).snapshot() == told.snapshot():
            current.notices_held_at = None
            current.save(update_fields=["notices_held_at"])
    return True


def can_undo(session: Session, told: Revision) -> bool:
    """Whether there's anything that `undo_edit` sets back. Fetch the session `with_details()`."""
    before, now = told.snapshot(), session.snapshot()
    slug = now.slug if is_address_kept(session, told) else before.slug
    return now._replace(agenda=before.agenda, joining=before.joining) != before._replace(slug=slug)


def is_address_kept(session: Session, told: Revision) -> bool:
    """Whether `undo_edit` can't set the address back: another session has the old one now."""
    others = Session.objects.filter(event=session.event_id).exclude(pk=session.pk)
    return session.slug != told.slug and others.filter(slug=told.slug).exists()


def _set_back(session: Session, told: Revision) -> None:
    then = told.snapshot()
    for name in ("title", "summary"):
        written = dict(getattr(then, name))
        for code in languages.codes():
            setattr(session, languages.column(name, code), written.get(code))
    session.starts_at, session.ends_at = then.starts_at, then.ends_at
    if not is_address_kept(session, told):
        session.slug = then.slug
    texts = languages.columns("title", "summary")
    session.save(update_fields=[*texts, "starts_at", "ends_at", "slug", "updated_at"])
    if then.takes_place and not session.takes_place:
        session.status, session.canceled_at = Session.Status.PUBLISHED, None
        session.save(update_fields=["status"])
        _save_canceled(session, {})
    elif session.takes_place and not then.takes_place:
        session.canceled_at = timezone.now()
        _save_canceled(session, {})
