"""Lines of the publishing checklist that need more than the week: email, languages, people."""

import datetime as dt
import functools
import zoneinfo
from typing import cast

from django.contrib import messages
from django.contrib.auth.models import User
from django.db.models import Count
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.text import get_text_list
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _

from events import languages, site_settings
from events.admin.links import change_url
from events.admin.publishing import Draft, Line, Link, checks
from events.admin.shared import counted, day_and_year
from events.admin.weeks.creating import when
from events.models import Event, Session
from events.templatetags.times import at_clock, hours, short_day
from events.timezones import known_zone, time_label
from registrations.admin.missing_texts import missing_texts
from registrations.mail import test_emails
from registrations.models import Registration, TestEmail

# Shown when no one has registered yet: the coasts are three hours apart.
US_COASTS = ("America/New_York", "America/Los_Angeles")
# The checklist shows times in this many zones besides the event's.
MOST_OTHER_ZONES = 2


def send_test(request: HttpRequest, *, explain_error: bool = True) -> None:
    """Send one to the person's own address, and say so."""
    user = cast(User, request.user)
    test = test_emails.send_test_email(user=user, language=get_language() or "")
    if test.error and explain_error:
        messages.error(request, test.error)
    elif not test.error:
        text = _("We sent a test email to %(address)s. Open its link to confirm that it arrived.")
        messages.success(request, text % {"address": test.address})


# The line itself says what went wrong.
@checks(
    "test",
    gettext_lazy("a test email that arrived"),
    press=functools.partial(send_test, explain_error=False),
)
def test_email_arrived(draft: Draft) -> Line:
    user = cast(User, draft.request.user)
    if arrived := test_emails.latest_arrived():
        values = {"when": _when(arrived.arrived_at or draft.now, draft.event)}
        return Line(True, _("A test email arrived on %(when)s.") % values)
    latest = test_emails.latest_to(user)
    button = _("Send another test email") if latest else _("Send me a test email")
    return Line(False, _test_text(latest, user, draft.event), button=button)


def _test_text(latest: TestEmail | None, user: User, event: Event) -> str:
    if latest is None:
        values = {"address": user.email, "sender": site_settings.sender_address()}
        if not user.email:
            return _("No test email has arrived lately. Add an email to your account to get one.")
        text = _(
            "No test email from %(sender)s has arrived in the last 30 days. We'll send one to "
            "%(address)s. Open its link to confirm."
        )
        return text % values
    values = {"address": latest.address, "when": _when(latest.sent_at, event)}
    if latest.error:
        return _("We couldn't send the test email. %(error)s") % {"error": latest.error}
    text = _(
        "We sent one to %(address)s on %(when)s. Open its link to confirm that it arrived, on any "
        "device, then reload this page. If it isn't there, check your spam folder."
    )
    return text % values


def _when(moment: dt.datetime, event: Event) -> str:
    """Saturday, October 2 at 4:14 PM PDT"""
    zone = event.zone
    return f"{day_and_year(moment, zone)} {at_clock(moment, zone, time_label(moment, zone))}"


@checks("people", gettext_lazy("who gets an email"))
def people_are_registered(draft: Draft) -> Line:
    """Nothing to do, but good to know: a week that was public before may have people."""
    count = draft.event.registrations.admitted().count()
    if not count:
        text = _("No one is registered yet, so no one gets an email.")
        return Line(True, text, is_note=True)
    text = counted(
        count,
        "%(count)s person is registered already. Once the week is published, they get reminders, "
        "and emails about what changes.",
        "%(count)s people are registered already. Once the week is published, they get reminders, "
        "and emails about what changes.",
    )
    return Line(True, text, is_note=True)


@checks("languages", gettext_lazy("texts in each language"))
def texts_are_in_each_language(draft: Draft) -> Line:
    """Where a week has texts in Spanish, or says that someone interprets, all should be there."""
    event = draft.event
    missing = list(missing_texts(event, draft.upcoming))
    if missing:
        links = [
            Link(f"{place.row}: {place.fields} ({each.language})", type(place.row), place.url)
            for each in missing
            for place in each.places
        ]
        text = _(
            "Some texts aren't in %(languages)s yet. People see them in another language, with a "
            "note."
        )
        names = get_text_list([each.language for each in missing], _("and"))
        return Line(False, text % {"languages": names}, links)
    if event.has_interpretation and "es" not in dict(languages.written(event, "summary")):
        text = _("You promise Spanish interpretation, but the week's page isn't in Spanish yet.")
        return Line(False, text, [Link(_("Add the Spanish texts"), Event, change_url(event))])
    return Line(True, _("Each text is in every language that your week uses."))


@checks("times", gettext_lazy("times"))
def times_are_checked(draft: Draft) -> Line:
    """Someone looks at each session's time in the event's zone and in others that people use."""
    if not draft.upcoming:
        return Line(True, _("There are no times to check yet."))
    zones = other_zones(draft.event, draft.upcoming[0])
    times = [
        (
            session,
            when(session, draft.event.zone),
            [f"{short_day(session.starts_at, each)}, {hours(session, each)}" for each in zones],
        )
        for session in draft.upcoming
    ]
    more = render_to_string("admin/events/event/publish_times.html", {"times": times})
    text = _("Check the days and times below, as people in these time zones will see them.")
    return Line(False, text, more=more, confirm=_("I checked them"))


def other_zones(event: Event, session: Session) -> list[zoneinfo.ZoneInfo]:
    """Zones that people use and whose clocks differ from the event's: the most used first."""
    rows = Registration.objects.filter(erased_at=None).values("time_zone")
    used = rows.annotate(people=Count("pk")).order_by("-people", "time_zone")
    offsets = {session.starts_at.astimezone(event.zone).utcoffset()}
    found: list[zoneinfo.ZoneInfo] = []
    for name in (*used.values_list("time_zone", flat=True), *US_COASTS):
        zone = known_zone(name)
        offset = session.starts_at.astimezone(zone).utcoffset() if zone else None
        if zone and offset not in offsets and len(found) < MOST_OTHER_ZONES:
            found.append(zone)
            offsets.add(offset)
    return found
