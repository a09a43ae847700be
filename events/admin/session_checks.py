"""What the form of a session asks about its event and its times."""

import datetime as dt
import zoneinfo
from collections.abc import Iterable

from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from events.admin.questions import AskingForm
from events.admin.shared import day_and_year
from events.models import Event, Session
from events.templatetags.times import at_clock, hours, long_dates, zone_name

LONGEST = dt.timedelta(hours=12)
# From the event's other sessions.
FARTHEST = dt.timedelta(days=14)
# A question names this many sessions.
NAMED_AT_MOST = 3


class TimesForm(AskingForm):
    """A form that asks about a session's times."""

    # The event's other sessions, if the page changes them, too: as they are to be saved.
    others: list[Session] | None = None

    def others_of(self, event: Event) -> list[Session]:
        if self.others is not None:
            return self.others
        return list(event.sessions.exclude(pk=self.instance.pk))


def ask_about_event(form: AskingForm, event: Event) -> None:
    """Ask if another event was chosen than the one whose time zone and choices the page had."""
    if form.data.get("shown_event", str(event.pk)) == str(event.pk):
        return
    usual = _(
        "You chose another event. Times are now %(zone)s, and you see the strategies and hosts of "
        "this event. Please check them."
    )
    # Not in the event's own words: those on the page were the other event's.
    own = _(
        "You chose another event. Times are now %(zone)s, and the choices on this page are from"
        " this event. Please check them."
    )
    text = own if event.renames_tracks else usual
    form.ask("event", "other_event", text % {"zone": zone_name(event.zone)}, event.pk)


def ask_about_times(form: TimesForm, event: Event) -> None:
    """Ask about times that are probably a mistake, if they were just entered."""
    about = {"event", "starts_at", "ends_at"}
    if form.cleaned_data.get("status") == Session.Status.PUBLISHED:
        about.add("status")
    if about.isdisjoint(form.changed_data):
        return
    starts_at = form.cleaned_data["starts_at"]
    ends_at = _moved_end(form, starts_at, form.cleaned_data["ends_at"])
    if ends_at <= starts_at:
        # That's an error.
        return
    _ask_about_past(form, starts_at, ends_at, event.zone)
    if ends_at - starts_at > LONGEST:
        count = round((ends_at - starts_at) / dt.timedelta(hours=1))
        text = ngettext(
            "This session would be %(count)s hour long.",
            "This session would be %(count)s hours long.",
            count,
        )
        form.ask("ends_at", "long", text % {"count": count}, starts_at, ends_at)
    others = form.others_of(event)
    _ask_about_week(form, starts_at, ends_at, others, event.zone)
    if not form.instance.is_canceled:
        _ask_about_overlap(form, starts_at, ends_at, others, event.zone)


def _moved_end(form: AskingForm, starts_at: dt.datetime, ends_at: dt.datetime) -> dt.datetime:
    """Return the end, which moves along with the start if nobody objects."""
    before = form.initial.get("starts_at")
    if not form.instance.pk or "starts_at" not in form.changed_data or not before:
        return ends_at
    if "ends_at" in form.changed_data:
        return ends_at
    moved = ends_at + (starts_at - before)
    zone = timezone.get_current_timezone()
    values = {"day": day_and_year(moved, zone), "at_time": at_clock(moved, zone)}
    kept = {"day": day_and_year(ends_at, zone), "at_time": at_clock(ends_at, zone)}
    choices = {
        "move": _("Move the end, too: it ends %(day)s %(at_time)s") % values,
        "keep": _("Keep the end: %(day)s %(at_time)s") % kept,
    }
    text = _("You moved the start, but not the end.")
    answer = form.ask("starts_at", "end_moves", text, starts_at, ends_at, choices=choices)
    if answer == "move":
        form.cleaned_data["ends_at"] = moved
        form.changed_data.append("ends_at")
    return ends_at if answer == "keep" else moved


def _ask_about_past(
    form: AskingForm, starts_at: dt.datetime, ends_at: dt.datetime, zone: zoneinfo.ZoneInfo
) -> None:
    now, is_new = timezone.now(), "starts_at" in form.changed_data
    if starts_at <= now and (is_new or ends_at <= now):
        field, moment = ("starts_at", starts_at) if is_new else ("ends_at", ends_at)
        text = _("This is in the past: %(day)s %(at_time)s.")
        values = {"day": day_and_year(moment, zone), "at_time": at_clock(moment, zone)}
        form.ask(field, "past", text % values, starts_at, ends_at)


def _ask_about_week(
    form: AskingForm,
    starts_at: dt.datetime,
    ends_at: dt.datetime,
    others: list[Session],
    zone: zoneinfo.ZoneInfo,
) -> None:
    """Ask about another year than the other sessions', or else about a day far from them."""
    if not others:
        return
    years = {each.starts_at.astimezone(zone).year for each in others}
    first, last = min(each.starts_at for each in others), max(each.ends_at for each in others)
    year, values = starts_at.astimezone(zone).year, {"days": long_dates(first, last, zone)}
    if year not in years:
        text = _("This session is in %(year)s, and the event's other sessions are %(days)s.")
        form.ask("starts_at", "year", text % (values | {"year": year}), starts_at, first, last)
    elif starts_at > last + FARTHEST or ends_at < first - FARTHEST:
        text = _("This is more than 14 days from the event's other sessions, %(days)s.")
        form.ask("starts_at", "week", text % values, starts_at, first, last)


def _ask_about_overlap(
    form: AskingForm,
    starts_at: dt.datetime,
    ends_at: dt.datetime,
    others: Iterable[Session],
    zone: zoneinfo.ZoneInfo,
) -> None:
    held = [
        each
        for each in others
        if each.takes_place and each.starts_at < ends_at and each.ends_at > starts_at
    ]
    if not held:
        return
    named = [
        _("“%(session)s” (%(day)s, %(hours)s)")
        % {"session": each, "day": day_and_year(each.starts_at, zone), "hours": hours(each, zone)}
        for each in held[:NAMED_AT_MOST]
    ]
    text = ngettext(
        "Another session is at the same time: %(sessions)s.",
        "%(count)s other sessions are at the same time: %(sessions)s.",
        len(held),
    )
    text %= {"count": len(held), "sessions": "; ".join(named)}
    form.ask("starts_at", "overlap", text, starts_at, ends_at, *(each.pk for each in held))
