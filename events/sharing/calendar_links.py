"""Links that add a session to a calendar on the web, without a Zoom link."""

import datetime as dt
from functools import lru_cache
from urllib.parse import quote, urlencode

from django.utils.translation import gettext as _

from events.links import in_current_language
from events.models import Event, Session


def add_session(session: Session) -> dict[str, str]:
    """The links by calendar. `file` is for all others, also on phones."""
    path = session.get_absolute_url()
    page = in_current_language(path)
    details = "\n\n".join(filter(None, (session.summary, page)))
    google = {
        "action": "TEMPLATE",
        "text": session.title,
        "dates": f"{_utc(session.starts_at)}/{_utc(session.ends_at)}",
        "details": details,
        "location": _("Online, on Zoom"),
    }
    outlook = {
        "path": "/calendar/action/compose",
        "rru": "addevent",
        "subject": session.title,
        "startdt": session.starts_at.astimezone(dt.UTC).isoformat(),
        "enddt": session.ends_at.astimezone(dt.UTC).isoformat(),
        "body": details,
        "location": _("Online, on Zoom"),
    }
    return {
        "google": f"https://calendar.google.com/calendar/render?{_query(*google.items())}",
        "outlook": f"https://outlook.live.com/calendar/0/deeplink/compose?{_query(*outlook.items())}",
        "file": in_current_language(f"{path}calendar.ics"),
    }


def add_week(event: Event) -> dict[str, str]:
    """Links that subscribe to the week, which a calendar then keeps up to date, and its `file`."""
    file = in_current_language(f"{event.get_absolute_url()}calendar.ics")
    # This scheme opens the device's own calendar. Google accepts no other for a feed.
    webcal = f"webcal://{file.partition('://')[2]}"
    return {
        "device": webcal,
        "google": f"https://calendar.google.com/calendar/render?{urlencode({'cid': webcal})}",
        "file": file,
    }


def _utc(moment: dt.datetime) -> str:
    """20211016T160000Z"""
    return f"{moment.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}"


# Quoting a summary takes a while.
@lru_cache(maxsize=200)
def _query(*values: tuple[str, str]) -> str:
    return urlencode(values, quote_via=quote)
