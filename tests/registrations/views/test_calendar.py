"""The calendar that people subscribe to, read by an independent parser."""

import datetime as dt
import zoneinfo
from html.parser import HTMLParser
from typing import NamedTuple
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
import vobject  # type: ignore[import-untyped]
from django.db import connection
from django.template.loader import render_to_string
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.calendar.entries import ALARMS
from events.load_week import load_strategy_week
from events.models import Event, Session
from events.schedule import cancel_session, edit_session
from registrations import seats, signup, tasks
from registrations.mail import writer
from registrations.models import OutgoingMail, Registration, new_token
from tests.people import sign_up

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)


class Read(NamedTuple):
    """The part of an entry that must be the same everywhere."""

    uid: str
    sequence: int
    stamp: dt.datetime
    status: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    title: str
    description: str
    url: str
    organizer: str
    alarms: tuple[dt.timedelta, ...]


def read(content: bytes) -> list[Read]:
    """The entries of a calendar, by their start."""
    calendar = vobject.readOne(content.decode())
    entries = [
        Read(
            uid=each.uid.value,
            sequence=int(each.sequence.value),
            stamp=each.dtstamp.value,
            status=each.status.value,
            starts_at=each.dtstart.value,
            ends_at=each.dtend.value,
            title=each.summary.value,
            description=each.description.value,
            url=each.url.value,
            organizer=each.organizer.value,
            alarms=tuple(-alarm.trigger.value for alarm in each.contents.get("valarm", [])),
        )
        for each in calendar.contents.get("vevent", [])
    ]
    return sorted(entries, key=lambda entry: (entry.starts_at, entry.uid))


def address(registration: Registration) -> str:
    return f"/calendar/{registration.token}.ics"


def fetched(client, registration: Registration) -> bytes:
    answer = client.get(address(registration))
    assert answer.status_code == 200
    return answer.content


def mailed(kind: str) -> bytes:
    """The calendar in the newest email of this kind."""
    mail = OutgoingMail.objects.filter(kind=kind).latest("pk")
    (attached,) = writer.writer_for([mail])(mail).attachments
    return attached[1].encode()


def move(session: Session, **by: float) -> None:
    with edit_session(session.pk) as current:
        current.starts_at += dt.timedelta(**by)
        current.ends_at += dt.timedelta(**by)
        current.save()


def tell_of_changes() -> None:
    with time_machine.travel(timezone.now() + HOUR, tick=False):
        tasks.queue_due_mails()


@pytest.fixture
def alice(week) -> Registration:
    return sign_up(week)


@pytest.fixture
def waiting(week, opening) -> Registration:
    """Bob, first on the opening session's waitlist."""
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    sign_up(week, sessions=week.sessions.filter(pk=opening.pk))
    return sign_up(week, "Bob Brown", sessions=week.sessions.filter(pk=opening.pk))


# The entries


def test_feed_email_and_download_have_the_same_entries(client, week, alice):
    feed = read(fetched(client, alice))
    assert [each.uid for each in feed] == [
        f"{each.uid}@strategyweek" for each in week.sessions.all()
    ]
    assert [each.starts_at for each in feed] == [each.starts_at for each in week.sessions.all()]
    assert [each.url for each in feed] == [
        f"http://localhost/join/{alice.token}/{each.slug}/" for each in week.sessions.all()
    ]
    assert {(each.sequence, each.status, each.alarms) for each in feed} == {
        (0, "CONFIRMED", ALARMS)
    }
    assert feed == read(mailed("links"))
    assert feed == read(client.get(f"/me/{alice.token}/calendar.ics").content)


def test_change_notice_has_the_same_entry_as_the_feed(client, alice, opening):
    before = read(fetched(client, alice))
    move(opening, hours=2)
    tell_of_changes()
    after = read(fetched(client, alice))
    assert read(mailed("changed")) == after[:1]
    assert (after[0].uid, after[0].sequence) == (before[0].uid, 1)
    assert after[0].starts_at == before[0].starts_at + 2 * HOUR
    assert after[1:] == before[1:]


def test_canceled_session_stays_in_the_feed_as_canceled(client, alice, opening):
    cancel_session(session=opening)
    tell_of_changes()
    feed = read(fetched(client, alice))
    assert len(feed) == 6
    assert (feed[0].status, feed[0].sequence, feed[0].alarms) == ("CANCELLED", 1, ())
    assert read(mailed("canceled")) == feed[:1]


def test_session_that_was_left_is_not_in_the_feed(client, week, alice, opening):
    seats.release(seats=alice.seats.filter(session=opening))
    assert f"{opening.uid}@strategyweek" not in [each.uid for each in read(fetched(client, alice))]
    assert len(read(fetched(client, alice))) == 5


def test_draft_is_not_in_the_feed(client, alice, opening):
    Session.objects.filter(pk=opening.pk).update(status=Session.Status.DRAFT)
    assert len(read(fetched(client, alice))) == 5


def test_feed_is_identical_on_every_fetch(client, alice):
    first = fetched(client, alice)
    with time_machine.travel(timezone.now() + 100 * 24 * HOUR):
        assert fetched(client, alice) == first


def test_zoom_link_pasted_later_changes_no_entry(client, week, alice, opening):
    before = fetched(client, alice)
    opening.meeting.join_url = "https://zoom.example/j/another"
    with edit_session(opening.pk):
        opening.meeting.save()
    assert fetched(client, alice) == before


def test_changed_dial_in_makes_a_newer_entry(client, alice, opening):
    opening.meeting.passcode = "another"
    with edit_session(opening.pk):
        opening.meeting.save()
    (entry, *_others) = read(fetched(client, alice))
    assert "Passcode: another" in entry.description
    assert entry.sequence == 1


@pytest.mark.once
def test_entry_has_a_few_phone_numbers_and_what_one_tap_dials(client, alice, opening):
    opening.meeting.dial_in = "\n".join(
        ["+52 554 169 6926", *(f"+1 669 900 683{n}" for n in range(9))]
    )
    opening.meeting.passcode = "123456"
    opening.meeting.save()
    (entry, *_others) = read(fetched(client, alice))
    assert entry.description.splitlines()[1:] == [
        "Zoom meeting ID: 812 3456 7891",
        "Passcode: 123456",
        *(f"By phone: +1 669 900 683{n}" for n in range(3)),
        "Call with one tap: +16699006830,,81234567891#,,,,*123456#",
        "On the phone, press *6 to unmute, *9 to raise your hand.",
    ]


@pytest.mark.once
def test_feed_has_a_name_and_a_refresh_interval(client, week, alice):
    Event.objects.filter(pk=week.pk).update(name="The week;\vat last, 🎉")
    content = fetched(client, alice)
    calendar = vobject.readOne(content.decode())
    assert calendar.contents["name"][0].value == "The week; at last, 🎉"
    assert calendar.contents["x-wr-calname"][0].value == "The week; at last, 🎉"
    assert b"\r\nREFRESH-INTERVAL;VALUE=DURATION:PT1H\r\n" in content
    assert b"\r\nX-PUBLISHED-TTL:PT1H\r\n" in content


@pytest.mark.once
def test_feed_has_no_itip_method(client, alice):
    assert b"\r\nMETHOD:" not in fetched(client, alice)
    assert b"\r\nMETHOD:PUBLISH\r\n" in mailed("links")


# The waiting list


def test_waitlisted_session_is_tentative_without_link_and_alarm(client, opening, waiting):
    content = fetched(client, waiting)
    (entry,) = read(content)
    assert (entry.status, entry.title) == ("TENTATIVE", f"Waitlist: {opening.title}")
    assert entry.url == f"http://localhost/me/{waiting.token}/"
    assert entry.alarms == ()
    assert b"/join/" not in content.replace(b"\r\n ", b"")
    assert b"Passcode" not in content
    assert b"\r\nTRANSP:TRANSPARENT\r\n" in content


def test_promotion_from_the_waitlist_replaces_the_tentative_entry(client, opening, waiting):
    (before,) = read(fetched(client, waiting))
    read_at = modified(fetched(client, waiting))
    with time_machine.travel(timezone.now() + HOUR):
        seats.promote(seat=waiting.seats.get())
        (after,) = read(fetched(client, waiting))
        (promoted,) = read(mailed("promoted"))
        # Of the entry that was mailed while they waited it is the newer one (RFC 5546, 2.1.5).
        assert promoted._replace(stamp=after.stamp) == after
        assert (promoted.sequence, promoted.stamp) > (before.sequence, before.stamp)
    assert (after.uid, after.status, after.title) == (before.uid, "CONFIRMED", opening.title)
    assert after.url == f"http://localhost/join/{waiting.token}/opening/"
    # The session is as it was, so these alone tell a program that the entry is not.
    assert modified(fetched(client, waiting)) > read_at


def modified(content: bytes) -> dt.datetime:
    calendar = vobject.readOne(content.decode())
    return calendar.vevent.last_modified.value


def test_canceled_session_is_canceled_for_the_waitlist_too(client, opening, waiting):
    cancel_session(session=opening)
    (entry,) = read(fetched(client, waiting))
    assert entry.status == "CANCELLED"


# Odd words


ODD = {
    "Commas, semicolons; colons: and \\n backslashes \\": None,
    "Two lines\r\nBEGIN:VALARM\nand\rmore": "Two lines\nBEGIN:VALARM\nand\nmore",
    "Pasted\vfrom\fa\u2028text\x85with\x1codd\x07": "Pasted\nfrom\na\ntext\nwith\nodd",
    "👩🏽‍⚖️ ünïcödé 🎉 " * 12: ("👩🏽‍⚖️ ünïcödé 🎉 " * 12)[:200],
    "جلسة عن العفو (עברית) \u202eabc\u202c": None,
    "é" * 200: None,
}


@pytest.fixture
def odd(week, alice) -> Registration:
    week.host = week.name = 'The "odd"; one,\r\nß 🎉 مريم'
    week.save()
    for session, title in zip(week.sessions.all(), ODD, strict=True):
        Session.objects.filter(pk=session.pk).update(title=title[:200])
    return alice


@pytest.mark.once
def test_unusual_titles_are_preserved(client, odd):
    expected = [as_read or title for title, as_read in ODD.items()]
    assert [each.title for each in read(fetched(client, odd))] == expected
    assert [each.title for each in read(mailed("links"))] == expected


@pytest.mark.once
def test_lines_are_folded_at_75_octets_between_characters(client, odd):
    content = fetched(client, odd)
    lines = content.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert all(line.decode() for line in lines[:-1])
    assert not set(content) & (set(range(32)) - {10, 13})


@pytest.mark.once
@pytest.mark.parametrize("saturday", [dt.date(2026, 10, 31), dt.date(2027, 3, 13)])
def test_local_times_stay_the_same_across_daylight_saving(client, saturday):
    event = load_strategy_week(starting=saturday).event
    with time_machine.travel(dt.datetime(2026, 10, 1, tzinfo=dt.UTC)):
        feed = read(fetched(client, sign_up(event)))
    local = [each.starts_at.astimezone(zoneinfo.ZoneInfo(event.time_zone)) for each in feed]
    assert [moment.hour for moment in local] == [9, 18, 18, 18, 18, 9]
    assert len({moment.utcoffset() for moment in local}) == 2


# How it is fetched


@pytest.mark.once
def test_feed_headers_keep_the_token_private_and_allow_revalidation(client, week, alice):
    answer = client.get(address(alice))
    assert answer["Content-Type"] == "text/calendar; charset=utf-8"
    assert answer["Cache-Control"] == "private, no-cache"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["X-Robots-Tag"] == "noindex"
    assert answer["ETag"].startswith('"')
    assert "Set-Cookie" not in answer


@pytest.mark.once
def test_unchanged_feed_is_answered_with_304(client, alice):
    first = client.get(address(alice))
    for form in ("{}", "W/{}", '"other", {}', '"a,b", W/{}, "c"', "*"):
        condition = {"If-None-Match": form.format(first["ETag"])}
        for method in (client.get, client.head):
            answer = method(address(alice), headers=condition)
            assert (form, answer.status_code, answer.content) == (form, 304, b"")
            assert answer["ETag"] == first["ETag"]
            assert answer["Cache-Control"] == first["Cache-Control"]


@pytest.mark.once
def test_other_conditional_requests_are_answered_in_full(client, alice):
    for condition in ('"other"', 'W/"other"', '""', "other", "a, b", ","):
        answer = client.get(address(alice), headers={"If-None-Match": condition})
        assert (condition, answer.status_code) == (condition, 200)
        assert len(read(answer.content)) == 6


def test_changed_feed_has_another_etag(client, alice, opening):
    before = client.get(address(alice))["ETag"]
    move(opening, hours=1)
    answer = client.get(address(alice), headers={"If-None-Match": before})
    assert answer.status_code == 200
    assert answer["ETag"] != before


@pytest.mark.once
def test_head_is_answered_like_get_without_the_body(client, alice):
    full, head = client.get(address(alice)), client.head(address(alice))
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers == full.headers


@pytest.mark.once
def test_feed_rejects_post(client, alice):
    assert client.post(address(alice)).status_code == 405


@pytest.mark.parametrize("count", [1, 3])
def test_feed_takes_two_queries_and_only_writes_that_it_is_used(client, week, count):
    token = sign_up(week, sessions=week.sessions.all()[:count]).token
    for condition, write in (({}, ["UPDATE"]), ({}, []), ({"If-None-Match": "*"}, [])):
        with CaptureQueriesContext(connection) as asked:
            client.get(f"/calendar/{token}.ics", headers=condition)
        assert [each["sql"].split()[0] for each in asked] == ["SELECT", *write, "SELECT"]


# Revoked


def erase(registration: Registration) -> None:
    now = timezone.now()
    nobody = {"name": "", "email": "", "organization": "", "us_state": ""}
    nobody |= dict.fromkeys(["search_key", "organization_search_key", "name_key", "zoom_email"], "")
    erased = {"canceled_at": now, "erased_at": now, **nobody}
    Registration.objects.filter(pk=registration.pk).update(**erased)


def stay_pending(registration: Registration) -> None:
    Registration.objects.filter(pk=registration.pk).update(approval="pending")


REVOKED = {
    "renewed": lambda alice: signup.renew_links(registrations=[alice]),
    "canceled": lambda alice: signup.cancel(registration=alice),
    "declined": lambda alice: signup.decline(registrations=[alice]),
    "erased": erase,
    "pending": stay_pending,
}


@pytest.mark.parametrize("how", REVOKED)
def test_revoked_feed_looks_like_an_unknown_one(client, alice, how):
    etag = client.get(address(alice))["ETag"]
    REVOKED[how](alice)
    unknown = client.get(f"/calendar/{new_token()}.ics")
    for condition in (etag, "*"):
        answer = client.get(address(alice), headers={"If-None-Match": condition})
        assert (answer.status_code, unknown.status_code) == (404, 404)
        assert answer.content == unknown.content
        assert "ETag" not in answer
        assert answer["Cache-Control"] == "no-store"
        assert answer["Referrer-Policy"] == "no-referrer"


def test_renewed_token_makes_a_feed_with_new_links(client, alice):
    signup.renew_links(registrations=[alice])
    old, new = alice.token, Registration.objects.get(pk=alice.pk).token
    content = client.get(f"/calendar/{new}.ics").content.replace(b"\r\n ", b"")
    assert new.encode() in content
    assert old.encode() not in content


@pytest.mark.once
def test_malformed_token_is_not_found(client):
    for token in ("x", "-", "A" * 500, "ünï", "a.ics/b", ""):
        assert client.get(f"/calendar/{token}.ics").status_code == 404
    assert client.get("/calendar/%00.ics").status_code == 400


# The buttons


class Links(HTMLParser):
    """Where a page links to, and what it loads."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.words = ""

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        for name, value in attributes:
            if tag == "a" and name == "href":
                self.links.append(value)
            elif name in {"src", "srcset", "href", "action"}:
                self.loaded.append(value)

    def handle_data(self, data: str) -> None:
        self.words += data


@pytest.mark.once
def test_buttons_give_each_calendar_the_address_of_the_feed(client, settings, alice):
    settings.SITE_URL = "https://week.example.org"
    alice.event.name = "Ways & means, 100% 🎉"
    context = {"registration": alice, "event": alice.event}
    page = Links()
    page.feed(render_to_string("registrations/subscribe.html", context))
    feed = f"https://week.example.org/calendar/{alice.token}.ics"
    device, google, outlook, office, download = map(urlsplit, page.links)
    assert device.geturl() == f"webcal://week.example.org/calendar/{alice.token}.ics"
    assert google.hostname == "calendar.google.com"
    assert parse_qs(google.query) == {"cid": [device.geturl()]}
    assert (outlook.hostname, office.hostname) == ("outlook.live.com", "outlook.office.com")
    for each in (outlook, office):
        assert parse_qs(each.query) == {"url": [feed], "name": ["Ways & means, 100% 🎉"]}
        # Microsoft shows a plus as a plus.
        assert "+" not in each.query
    assert download.path == f"/me/{alice.token}/calendar.ics"
    assert page.loaded == []
    assert feed in page.words
