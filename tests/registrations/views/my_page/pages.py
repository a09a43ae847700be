"""A person's own pages: their addresses, what they say, and what a browser would post."""

import datetime as dt
import re
from collections import defaultdict
from html import unescape

import time_machine
from django.test import Client
from django.utils import timezone

from events.models import Session
from registrations.models import Registration

SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)

NEEDS = ["captions", "asl", "dial-in"]


def own(person: Registration, path: str = "") -> str:
    return f"/me/{person.token}/{path}"


def words(answer) -> str:
    """A page's text, without markup."""
    bare = re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", answer.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(bare).split())


def sent(person: Registration) -> None:
    """Mark the person's emails as sent."""
    person.mails.update(state="sent", sent_at=timezone.now())


def titles(person: Registration) -> list[str]:
    return [session.slug for session in person.sessions.order_by("starts_at")]


def said(answer) -> tuple[str, str]:
    """Where the answer to a form leads, and the notice that is shown there."""
    return answer["Location"], answer.cookies["notice"].value


def row_at(client: Client, person: Registration, moment: dt.datetime, session: Session) -> str:
    """The text about a session on the page at one moment."""
    with time_machine.travel(moment, tick=False):
        page = client.get(own(person)).content.decode()
    (seat,) = person.seats.filter(session=session)
    pattern = rf'<(?:section|li) [^>]*data-part="{seat.pk}".*?\n</(?:section|li)>'
    (part,) = re.findall(pattern, page, re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", part)).split())


def week_session(opening: Session, number: int) -> Session:
    return list(opening.event.sessions.all())[number]


def form_of(client: Client, person: Registration) -> dict:
    """What a browser would post from the untouched form."""
    return posted_of(client.get(own(person, "change/")).content.decode())


def posted_of(page: str) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = defaultdict(list)
    for tag in re.findall(r"<input [^>]*>", page):
        given = dict(re.findall(r'([\w-]+)="([^"]*)"', tag))
        is_box = given.get("type") in ("checkbox", "radio")
        if is_box and not tag.rstrip(">").endswith("checked"):
            continue
        fields[given["name"]].append(unescape(given.get("value", "on" if is_box else "")))
    for name, options in re.findall(
        r'<select [^>]*name="(\w+)".*?>(.*?)</select>', page, re.DOTALL
    ):
        fields[name] = re.findall(r'value="([^"]*)" selected', options)
    areas = r'<textarea [^>]*name="(\w+)"[^>]*>\n(.*?)</textarea>'
    for name, text in re.findall(areas, page, re.DOTALL):
        fields[name] = [unescape(text).replace("\n", "\r\n")]
    return fields


def offered(client: Client, person: Registration) -> list[str]:
    page = client.get(own(person, "change/")).content.decode()
    return re.findall(r'name="sessions" value="(\d+)"', page)


def save(client: Client, person: Registration, form: dict, **changes):
    return client.post(own(person, "change/"), {**form, **changes})


def without(form: dict, *sessions: Session) -> list[str]:
    return [pk for pk in form["sessions"] if pk not in {str(each.pk) for each in sessions}]


def over(session: Session) -> None:
    now = timezone.now()
    Session.objects.filter(pk=session.pk).update(starts_at=now - 3 * HOUR, ends_at=now - HOUR)
