"""Calendars from emails, imported into a real CalDAV server: one object for each session."""

import datetime as dt
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

import pytest
import requests
import time_machine
import vobject  # type: ignore[import-untyped]

from events.models import Session
from events.schedule import cancel_session, restore_session
from registrations import seats, tasks
from registrations.mail import writer
from registrations.models import Registration
from registrations.outbox import delivery
from tests.people import sign_up
from tests.registrations.views.test_calendar import Read, address, move, read
from tests.services.mail import SmtpSink
from tests.services.process import Process, free_port

pytestmark = [pytest.mark.django_db, pytest.mark.once]

NOW = dt.datetime(2026, 9, 1, 12, tzinfo=dt.UTC)
CALDAV = "{urn:ietf:params:xml:ns:caldav}"
ALL_EVENTS = """
<C:calendar-query xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">
  <D:prop><D:getetag/><C:calendar-data/></D:prop>
  <C:filter>
    <C:comp-filter name="VCALENDAR"><C:comp-filter name="VEVENT"/></C:comp-filter>
  </C:filter>
</C:calendar-query>
"""


class StoredEntry(NamedTuple):
    """An object on the server."""

    href: str
    etag: str
    entry: Read


class CalDav:
    """A person's calendar on a CalDAV server (RFC 4791), as a calendar program would use it."""

    def __init__(self, server: str) -> None:
        self.server, self.http = server, requests.Session()
        self.path = f"/alice/{uuid.uuid4()}/"
        assert self.request("MKCALENDAR", self.path).status_code == 201

    def request(self, method: str, path: str, body: str = "", **headers: str) -> requests.Response:
        return self.http.request(
            method,
            f"{self.server}{path}",
            data=body.encode(),
            headers={name.replace("_", "-"): value for name, value in headers.items()},
            auth=("alice", ""),
            timeout=5,
        )

    def objects(self) -> list[StoredEntry]:
        response = self.request("REPORT", self.path, ALL_EVENTS, Depth="1")
        assert response.status_code == 207
        found = []
        # Safe to parse: the server is ours.
        multistatus = ElementTree.fromstring(response.content)  # noqa: S314
        for each in multistatus.iter("{DAV:}response"):
            (entry,) = read(each.findtext(f".//{CALDAV}calendar-data").encode())
            found.append(
                StoredEntry(each.findtext("{DAV:}href"), each.findtext(".//{DAV:}getetag"), entry)
            )
        return sorted(found, key=lambda stored: (stored.entry.starts_at, stored.entry.uid))

    def entries(self) -> list[Read]:
        return [stored.entry for stored in self.objects()]

    def import_calendar(self, calendar: bytes) -> None:
        """Import entries. An entry with the same UID is replaced unless it is newer.

        An object has one entry and no METHOD (RFC 4791, 4.1). RFC 5546, 2.1.5, defines newer.
        """
        by_uid = {stored.entry.uid: stored for stored in self.objects()}
        for component in vobject.readOne(calendar.decode()).vevent_list:
            file = vobject.iCalendar()
            file.add(component)
            body = file.serialize()
            (entry,) = read(body.encode())
            stored = by_uid.get(entry.uid)
            if stored is None:
                response = self.put(f"{self.path}{uuid.uuid4()}.ics", body, If_None_Match="*")
            elif (entry.sequence, entry.stamp) >= (stored.entry.sequence, stored.entry.stamp):
                response = self.put(stored.href, body, If_Match=stored.etag)
            else:
                continue
            assert response.status_code in {201, 204}, response.text

    def put(self, path: str, body: str, **condition: str) -> requests.Response:
        return self.request("PUT", path, body, Content_Type="text/calendar", **condition)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Radicale server with its own folder that accepts any user name."""
    folder, port = tmp_path_factory.mktemp("caldav"), free_port()
    url = f"http://127.0.0.1:{port}"
    process = Process(
        *(sys.executable, "-m", "radicale", "--config", ""),
        *("--hosts", f"127.0.0.1:{port}", "--auth-type", "none", "--web-type", "none"),
        *("--storage-filesystem-folder", str(folder)),
        *("--logging-level", "warning"),
        log=Path(folder) / "radicale.log",
    )

    def answers() -> bool:
        with suppress(requests.ConnectionError):
            return requests.options(url, auth=("alice", ""), timeout=1).ok
        return False

    try:
        process.ready_when(answers)
        yield url
    finally:
        process.stop()


@pytest.fixture
def caldav(server: str) -> CalDav:
    return CalDav(server)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def delivered(clock, smtp: SmtpSink) -> Callable[[Registration], list[bytes]]:
    """A function: let edits settle, send what is due, and return a person's new calendars."""
    seen: dict[str, int] = {}

    def delivered(person: Registration) -> list[bytes]:
        clock.shift(dt.timedelta(minutes=11))
        tasks.queue_due_mails()
        delivery.deliver_due(writer.writer_for)
        received = smtp.to(person.email)
        new = received[seen.get(person.email, 0) :]
        seen[person.email] = len(received)
        files = (file for mail in new for file in mail.iter_attachments())
        return [str(file.get_content()).encode() for file in files]

    return delivered


def feed(client, person: Registration) -> bytes:
    return client.get(address(person)).content


def test_calendar_follows_every_change_and_has_each_session_once(
    client, week, opening, caldav, delivered
):
    alice = sign_up(week, sessions=week.sessions.all()[:3])

    def step(status: str, sequence: int, starts_at: dt.datetime) -> None:
        """Import the emailed calendar: it must equal the feed, with each entry once."""
        (calendar,) = delivered(alice)
        caldav.import_calendar(calendar)
        entries = caldav.entries()
        assert len({each.uid for each in entries}) == len(entries) == 3
        entry = next(each for each in entries if each.uid == f"{opening.uid}@strategyweek")
        assert (entry.status, entry.sequence) == (status, sequence)
        assert entry.starts_at == starts_at
        assert entries == read(feed(client, alice))
        # Importing the email or the feed again changes nothing.
        caldav.import_calendar(calendar)
        caldav.import_calendar(feed(client, alice))
        assert caldav.entries() == entries

    first, later = opening.starts_at, opening.starts_at + dt.timedelta(hours=2)
    step("CONFIRMED", 0, first)
    move(opening, hours=2)
    step("CONFIRMED", 1, later)
    cancel_session(session=opening)
    step("CANCELLED", 2, later)
    restore_session(session=opening)
    step("CONFIRMED", 3, later)


def test_late_email_does_not_undo_a_change(client, week, opening, caldav, delivered):
    alice = sign_up(week, sessions=week.sessions.all()[:2])
    (links,) = delivered(alice)
    move(opening, hours=2)
    (changed,) = delivered(alice)
    caldav.import_calendar(changed)
    caldav.import_calendar(links)
    assert caldav.entries() == read(feed(client, alice))
    assert [each.sequence for each in caldav.entries()] == [1, 0]


def test_promotion_from_the_waitlist_replaces_the_feeds_entry(
    client, week, opening, caldav, delivered
):
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    alone = week.sessions.filter(pk=opening.pk)
    alice, bob = (sign_up(week, name, sessions=alone) for name in ("Alice Adams", "Bob Brown"))
    caldav.import_calendar(feed(client, bob))
    assert [each.status for each in caldav.entries()] == ["TENTATIVE"]
    delivered(bob)
    seats.release(seats=alice.seats.all())
    (promoted,) = delivered(bob)
    caldav.import_calendar(promoted)
    (emailed,), (fed,) = caldav.entries(), read(feed(client, bob))
    assert emailed.status == "CONFIRMED"
    assert emailed._replace(stamp=fed.stamp) == fed


def test_server_treats_entries_of_email_and_feed_as_one(client, week, opening, caldav, delivered):
    alice = sign_up(week, sessions=week.sessions.filter(pk=opening.pk))
    (links,) = delivered(alice)
    caldav.import_calendar(links)
    response = caldav.put(f"{caldav.path}second.ics", feed(client, alice).decode())
    assert response.status_code == 409
    assert "no-uid-conflict" in response.text
