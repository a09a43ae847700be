"""What mails bring, imported into a real CalDAV server: one object for each session, always."""

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
from tests.services import Process, SmtpSink, free_port

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


class Kept(NamedTuple):
    """An object on the server."""

    href: str
    etag: str
    entry: Read


class CalDav:
    """Someone's calendar on a CalDAV server (RFC 4791), as their program keeps it."""

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

    def objects(self) -> list[Kept]:
        answer = self.request("REPORT", self.path, ALL_EVENTS, Depth="1")
        assert answer.status_code == 207
        found = []
        # The server is ours.
        multistatus = ElementTree.fromstring(answer.content)  # noqa: S314
        for each in multistatus.iter("{DAV:}response"):
            (entry,) = read(each.findtext(f".//{CALDAV}calendar-data").encode())
            found.append(
                Kept(each.findtext("{DAV:}href"), each.findtext(".//{DAV:}getetag"), entry)
            )
        return sorted(found, key=lambda kept: (kept.entry.starts_at, kept.entry.uid))

    def entries(self) -> list[Read]:
        return [kept.entry for kept in self.objects()]

    def bring(self, calendar: bytes) -> None:
        """Import a calendar: what is there by its UID is replaced unless it is newer.

        An object holds one entry and no METHOD (RFC 4791, 4.1); newer is what RFC 5546, 2.1.5
        says.
        """
        there = {kept.entry.uid: kept for kept in self.objects()}
        for component in vobject.readOne(calendar.decode()).vevent_list:
            stored = vobject.iCalendar()
            stored.add(component)
            body = stored.serialize()
            (entry,) = read(body.encode())
            kept = there.get(entry.uid)
            if kept is None:
                answer = self.put(f"{self.path}{uuid.uuid4()}.ics", body, If_None_Match="*")
            elif (entry.sequence, entry.stamp) >= (kept.entry.sequence, kept.entry.stamp):
                answer = self.put(kept.href, body, If_Match=kept.etag)
            else:
                continue
            assert answer.status_code in {201, 204}, answer.text

    def put(self, path: str, body: str, **condition: str) -> requests.Response:
        return self.request("PUT", path, body, Content_Type="text/calendar", **condition)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Radicale that keeps its calendars in a folder of its own, and lets in any name."""
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
    """Let edits settle, send what is owed, and give the calendars that came to someone since."""
    taken: dict[str, int] = {}

    def delivered(person: Registration) -> list[bytes]:
        clock.shift(dt.timedelta(minutes=11))
        tasks.queue_due_mails()
        delivery.deliver_due(writer.writer_for)
        received = smtp.to(person.email)
        new = received[taken.get(person.email, 0) :]
        taken[person.email] = len(received)
        files = (file for mail in new for file in mail.iter_attachments())
        return [str(file.get_content()).encode() for file in files]

    return delivered


def feed(client, person: Registration) -> bytes:
    return client.get(address(person)).content


def test_calendar_follows_a_week_and_never_holds_a_session_twice(
    client, week, opening, caldav, delivered
):
    alice = sign_up(week, sessions=week.sessions.all()[:3])

    def step(status: str, sequence: int, starts_at: dt.datetime) -> None:
        """Bring what was mailed, and see that it is what the feed says, each entry once."""
        (calendar,) = delivered(alice)
        caldav.bring(calendar)
        kept = caldav.entries()
        assert len({each.uid for each in kept}) == len(kept) == 3
        entry = next(each for each in kept if each.uid == f"{opening.uid}@strategyweek")
        assert (entry.status, entry.sequence) == (status, sequence)
        assert entry.starts_at == starts_at
        assert kept == read(feed(client, alice))
        # Brought again, by the mail or from the feed, nothing is new.
        caldav.bring(calendar)
        caldav.bring(feed(client, alice))
        assert caldav.entries() == kept

    first, later = opening.starts_at, opening.starts_at + dt.timedelta(hours=2)
    step("CONFIRMED", 0, first)
    move(opening, hours=2)
    step("CONFIRMED", 1, later)
    cancel_session(session=opening)
    step("CANCELLED", 2, later)
    restore_session(session=opening)
    step("CONFIRMED", 3, later)


def test_mail_that_arrives_late_does_not_undo_a_change(client, week, opening, caldav, delivered):
    alice = sign_up(week, sessions=week.sessions.all()[:2])
    (links,) = delivered(alice)
    move(opening, hours=2)
    (changed,) = delivered(alice)
    caldav.bring(changed)
    caldav.bring(links)
    assert caldav.entries() == read(feed(client, alice))
    assert [each.sequence for each in caldav.entries()] == [1, 0]


def test_place_from_the_waiting_list_replaces_what_the_feed_said(
    client, week, opening, caldav, delivered
):
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    alone = week.sessions.filter(pk=opening.pk)
    alice, bob = (sign_up(week, name, sessions=alone) for name in ("Alice Adams", "Bob Brown"))
    caldav.bring(feed(client, bob))
    assert [each.status for each in caldav.entries()] == ["TENTATIVE"]
    delivered(bob)
    seats.release(seats=alice.seats.all())
    (promoted,) = delivered(bob)
    caldav.bring(promoted)
    (told,), (fed,) = caldav.entries(), read(feed(client, bob))
    assert told.status == "CONFIRMED"
    assert told._replace(stamp=fed.stamp) == fed


def test_server_itself_knows_the_entries_of_mail_and_feed_as_one(
    client, week, opening, caldav, delivered
):
    alice = sign_up(week, sessions=week.sessions.filter(pk=opening.pk))
    (links,) = delivered(alice)
    caldav.bring(links)
    refused = caldav.put(f"{caldav.path}second.ics", feed(client, alice).decode())
    assert refused.status_code == 409
    assert "no-uid-conflict" in refused.text
