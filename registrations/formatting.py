"""Numbers and times as text for organizers."""

import datetime as dt
import zoneinfo

from django.utils.translation import gettext as _
from django.utils.translation import ngettext, ngettext_lazy

from events.models import Event
from events.templatetags import times

# Nov 22, 2026, 4:51 AM PST
moment = times.moment

# By a unit's seconds.
AGO = {
    86400: ngettext_lazy("%(count)d day ago", "%(count)d days ago", "count"),
    3600: ngettext_lazy("%(count)d hour ago", "%(count)d hours ago", "count"),
    60: ngettext_lazy("%(count)d minute ago", "%(count)d minutes ago", "count"),
    1: ngettext_lazy("%(count)d second ago", "%(count)d seconds ago", "count"),
}


def current_zone(now: dt.datetime) -> zoneinfo.ZoneInfo:
    """Return the zone for times that belong to no event: the current event's."""
    return (Event.objects.current(now) or Event()).zone


def people(count: int) -> str:
    return ngettext("%(count)s person", "%(count)s people", count) % {"count": f"{count:,}"}


def emails(count: int) -> str:
    return ngettext("%(count)s email", "%(count)s emails", count) % {"count": f"{count:,}"}


def ago(when: dt.datetime, now: dt.datetime) -> str:
    """7 seconds ago; 2 days ago"""
    seconds = int((now - when).total_seconds())
    for size, text in AGO.items():
        if seconds >= size:
            return str(text % {"count": seconds // size})
    return _("just now")


def ago_and_when(when: dt.datetime | None, now: dt.datetime, zone: zoneinfo.ZoneInfo) -> str:
    """3 minutes ago (Nov 22, 2026, 4:51 AM PST); never"""
    return f"{ago(when, now)} ({moment(when, zone)})" if when else _("never")


def time_left(left: dt.timedelta) -> str:
    """about 3 minutes left; a moment left"""
    minutes = round(left.total_seconds() / 60)
    if minutes < 1:
        return _("a moment left")
    if minutes < 90:
        text = ngettext("about %(count)d minute left", "about %(count)d minutes left", minutes)
        return text % {"count": minutes}
    hours = round(minutes / 60)
    text = ngettext("about %(count)d hour left", "about %(count)d hours left", hours)
    return text % {"count": hours}
