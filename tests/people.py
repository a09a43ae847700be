"""The small world of the tests: one week, and who comes to it."""

import datetime as dt
from typing import Any

from django.utils import timezone

from events.models import Event, Meeting
from events.week import load_strategy_week
from registrations import signup
from registrations.models import Registration

DIAL_IN = "+1 669 900 6833 (San Jose)\n+1 646 558 8656 (New York)"


def coming_week() -> Event:
    """The Strategy Week, a few weeks ahead, with the Zoom side of every session pasted in."""
    saturday = timezone.localdate() + dt.timedelta(days=21)
    saturday += dt.timedelta(days=(5 - saturday.weekday()) % 7)
    return with_links(load_strategy_week(starting=saturday).event)


def with_links(event: Event) -> Event:
    for number, session in enumerate(event.sessions.all(), start=1):
        Meeting.objects.update_or_create(
            session=session,
            defaults={
                "join_url": f"https://zoom.example/j/{number}?pwd=secret{number}",
                "meeting_id": f"812 3456 789{number}",
                "passcode": f"code-{number}",
                "dial_in": DIAL_IN,
            },
        )
    return event


def sign_up(event: Event, name: str = "Alice Adams", **details: Any) -> Registration:
    """Register someone for every session, as the form would."""
    details.setdefault("email", f"{name.split()[0].lower()}@example.org")
    details.setdefault("time_zone", "America/New_York")
    details.setdefault("sessions", list(event.sessions.all()))
    return signup.register(event=event, name=name, **details)


def filled_form(event: Event, **changes: Any) -> dict[str, Any]:
    """What a browser posts when someone fills in the register page."""
    return {
        "name": "Alice Adams",
        "email": "alice@example.org",
        "time_zone": "America/New_York",
        "sessions": [session.pk for session in event.sessions.all()],
        **changes,
    }
