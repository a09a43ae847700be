"""The page of an event's pending notices, where they are held, released, sent now or undone."""

import datetime as dt
from collections.abc import Callable, Iterator
from typing import NamedTuple

from django.contrib import messages
from django.core.exceptions import BadRequest, PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from events import schedule
from events.admin.history.recording import HistoryAdmin
from events.admin.notified import explain_emails
from events.admin.shared import by_id_or_404
from events.forecasts import forecasts, last_told, maybe_announced
from events.models import Event, Revision, Session
from events.templatetags.times import day, hours
from events.text import parsing

# Presses a button for a session at this revision. Returns what to say, or "" if nothing was done.
Button = Callable[[Session, int], str]


class Pending(NamedTuple):
    """An edited session: what changed, how many people will get an email, and when."""

    session: Session
    changes: list[str]
    people: int
    due_at: dt.datetime
    can_undo: bool
    # What `schedule.undo_edit` can't set back.
    left: list[str]
    keeps_address: bool
    # Whether it was restored, so that undoing cancels it.
    undo_cancels: bool


def urls(model_admin: HistoryAdmin) -> list[URLPattern]:
    @require_http_methods(["GET", "HEAD", "POST"])
    def view(request: HttpRequest, event_id: str) -> HttpResponse:
        if not model_admin.has_view_permission(request):
            raise PermissionDenied
        event: Event = by_id_or_404(Event.objects.all(), pk=event_id)
        if request.method == "POST":
            press(model_admin, request, event)
            return redirect("admin:events_session_notices", event.pk)
        return pending_page(model_admin, request, event)

    checked = model_admin.admin_site.admin_view(view)
    return [path("notices/<str:event_id>/", checked, name="events_session_notices")]


def pending_page(model_admin: HistoryAdmin, request: HttpRequest, event: Event) -> HttpResponse:
    now = timezone.now()
    context = {
        **model_admin.admin_site.each_context(request),
        "opts": model_admin.opts,
        "title": _("Pending notices"),
        "event": event,
        "pending": pending(event, now),
        "now": now,
        "may_change": model_admin.has_change_permission(request),
        "may_see_emails": request.user.has_perm("registrations.view_outgoingmail"),
    }
    return TemplateResponse(request, "admin/events/session/notices.html", context)


def pending(event: Event, now: dt.datetime) -> list[Pending]:
    """The sessions whose edits people will get emails about, and those that are held."""
    found = []
    for session in maybe_announced(event.sessions.all()).with_details():
        foreseen = forecasts(session, now)
        if not foreseen and not session.notices_held_at:
            continue
        told = last_told(session)
        entry = Pending(
            session=session,
            changes=list(changes(told, session)) if told else [],
            people=len({pk for each in foreseen for pk in each.people}),
            due_at=min((each.due_at for each in foreseen), default=now),
            can_undo=told is not None and schedule.can_undo(session, told),
            left=left_by_undo(told, session) if told else [],
            keeps_address=told is not None and schedule.is_address_kept(session, told),
            undo_cancels=told is not None and cancels(told, session),
        )
        found.append(entry)
    return sorted(found, key=lambda each: (each.session.notices_held_at is not None, each.due_at))


def changes(told: Revision, session: Session) -> Iterator[str]:
    """What differs from what people were last told, in words."""
    before, now, zone = told.snapshot(), session.snapshot(), session.event.zone
    if before.takes_place != now.takes_place:
        yield _("It was canceled.") if before.takes_place else _("It's back on.")
    if before.title != now.title:
        yield _("The title was “%(title)s”.") % {"title": told.title}
    if (before.starts_at, before.ends_at) != (now.starts_at, now.ends_at):
        values = {"day": day(before.starts_at, zone), "hours": hours(told, zone)}
        yield _("It was on %(day)s, %(hours)s.") % values
    if before.summary != now.summary:
        yield _("The summary was changed.")
    if before.slug != now.slug:
        yield _("The address was “%(address)s”.") % {"address": before.slug}
    yield from left_by_undo(told, session)


def cancels(told: Revision, session: Session) -> bool:
    return session.takes_place and not told.takes_place


def left_by_undo(told: Revision, session: Session) -> list[str]:
    before, now = told.snapshot(), session.snapshot()
    found = []
    if before.agenda != now.agenda:
        found.append(_("The agenda was changed."))
    if before.joining != now.joining:
        found.append(_("The meeting ID, passcode or phone numbers were changed."))
    if schedule.is_address_kept(session, told):
        text = _("Another session has the address “%(address)s” now.")
        found.append(text % {"address": told.slug})
    return found


def press(model_admin: HistoryAdmin, request: HttpRequest, event: Event) -> None:
    """Do what the button says, unless someone edited the session after the page was opened."""
    if not model_admin.has_change_permission(request):
        raise PermissionDenied
    button = BUTTONS.get(request.POST.get("do", ""))
    if button is None:
        raise BadRequest
    session: Session = by_id_or_404(event.sessions.all(), pk=request.POST.get("session"))
    model_admin.remember(request, session)
    try:
        done = button(session, parsing.integer(request.POST.get("revision"), -1))
    except schedule.EditedMeanwhile:
        text = _("“%(session)s” was just edited, so nothing was done. Please check it again.")
        messages.warning(request, text % {"session": session})
        return
    except schedule.SessionIsOver:
        text = _(
            "The change to “%(session)s” can't be undone: the time that people were told has "
            "passed. Nothing was changed."
        )
        messages.error(request, text % {"session": session})
        return
    if not done:
        text = _("Nothing was done: someone may have beaten you to it. Here's how it is now.")
        messages.warning(request, text)
        return
    model_admin.log_change(request, session, done)
    messages.success(request, f"{Session.objects.get(pk=session.pk)}: {done}")
    explain_emails(request, [session])


def _hold(session: Session, _revision: int) -> str:
    done = schedule.hold_notices(session=session)
    return _("Emails about changes are on hold.") if done else ""


def _release(session: Session, revision: int) -> str:
    done = schedule.release_notices(session=session, revision=revision)
    return _("Emails about changes are no longer on hold.") if done else ""


def _send_now(session: Session, revision: int) -> str:
    done = schedule.release_notices(session=session, now=True, revision=revision)
    return _("Emails about the last change are going out now.") if done else ""


def _undo(session: Session, revision: int) -> str:
    told = last_told(session)
    is_canceled_again = told is not None and cancels(told, session)
    if not schedule.undo_edit(session=session, revision=revision):
        return ""
    now = Session.objects.with_details().get(pk=session.pk)
    if told and schedule.is_address_kept(now, told):
        texts = [_("The title, time, summary and status are what people were last told.")]
    else:
        texts = [_("The title, time, summary, address and status are what people were last told.")]
    if is_canceled_again:
        texts.append(_("It's canceled without a reason: enter it again on the session's page."))
    if left := left_by_undo(told, now) if told else []:
        texts += [_("Undo doesn't cover this:"), *left]
    return " ".join(texts)


BUTTONS: dict[str, Button] = {"hold": _hold, "release": _release, "now": _send_now, "undo": _undo}
