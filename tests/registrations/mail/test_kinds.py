"""What the emails say, and that everyone gets their own."""

import datetime as dt
import email.policy
import html
import re
from email import message_from_bytes
from typing import Any

import pytest
import time_machine
from django.template.loader import get_template
from django.utils.translation import override
from icalendar import Calendar
from linkify_it import LinkifyIt  # type: ignore[import-untyped]

from events.models import AgendaItem, Meeting, Session
from events.schedule import cancel_session
from registrations import access_needs, signup
from registrations.mail import kinds, merge, previews, writer
from registrations.mail_kinds import MailKind
from registrations.models import AccessNeed, MailText, OutgoingMail, Registration
from registrations.outbox import delivery
from tests.people import sign_up

pytestmark = pytest.mark.django_db


def written(registration):
    """The email as it is sent, parsed again."""
    mail = OutgoingMail.objects.get(registration=registration)
    message = writer.writer_for([mail])(mail)
    return message_from_bytes(message.message().as_bytes(), policy=email.policy.default)


def parts(message) -> tuple[str, str, Calendar]:
    (attachment,) = message.iter_attachments()
    return (
        " ".join(message.get_body(("plain",)).get_content().split()),
        message.get_body(("html",)).get_content(),
        Calendar.from_ical(attachment.get_content()),
    )


def test_links_email_has_everything_needed_to_join_each_session(week):
    alice = sign_up(week)
    text, html, _calendar = parts(written(alice))
    for session in week.sessions.with_details():
        for needed in (
            f"http://localhost/join/{alice.token}/{session.slug}/",
            session.meeting.meeting_id,
            session.meeting.passcode,
            "+1 669 900 6833 (San Jose)",
            "+1 646 558 8656 (New York)",
        ):
            assert needed in text
            assert needed in html
        # The Zoom link itself stays behind our own, which never goes stale.
        assert session.meeting.join_url not in text + html


GERMAN = "+49 69 7104 9922 Germany"
AMERICAN = [f"+1 669 900 683{digit}" for digit in range(3, 7)]


def test_phone_links_dial_meeting_id_and_passcode(week):
    Meeting.objects.update(passcode="123456")
    text, html, calendar = parts(written(sign_up(week)))
    dialed = "+16699006833,,81234567891#,,,,*123456#"
    assert f'href="tel:{dialed.replace("#", "%23")}"' in html
    # Phones find it in a calendar entry.
    assert f"Call with one tap: {dialed}" in str(calendar.events[0]["DESCRIPTION"])
    for shown in (text, html, str(calendar.events[0]["DESCRIPTION"])):
        assert shown.count("On the phone, press *6 to unmute, *9 to raise your hand.") == 1


def test_reminder_explains_how_to_call(week):
    Meeting.objects.update(dial_in="\n".join([GERMAN, *AMERICAN]), passcode="aB3")
    message: Any = previews.sample(MailKind.HOUR, week)
    for body in (message.body, message.alternatives[0][0]):
        shown = " ".join(html.unescape(body).split())
        assert "On the phone, press *6 to unmute, *9 to raise your hand." in shown
        assert "The passcode has letters, which a phone can't dial. Ask us" in shown
        assert "There are more numbers on your page." in shown
        assert GERMAN not in shown
        assert shown.count(" +1 669 900 683") + shown.count(">+1 669 900 683") == 3


def test_passcode_for_phones_is_in_emails_and_calendars(week):
    Meeting.objects.update(passcode="aB3", phone_passcode="4711")
    text, html, calendar = parts(written(sign_up(week)))
    for shown in (text, html, str(calendar.events[0]["DESCRIPTION"])):
        assert "Passcode for phones: 4711" in shown
    assert "%23,,,,*4711%23" in html


@pytest.mark.parametrize(
    ("zone", "first"), [("America/New_York", "+1 669 900 6833"), ("Europe/Berlin", GERMAN)]
)
def test_email_shows_the_numbers_of_ones_own_country(week, zone, first):
    Meeting.objects.update(dial_in="\n".join(["+52 554 169 6926 Mexico", GERMAN, *AMERICAN]))
    for shown in parts(written(sign_up(week, time_zone=zone)))[:2]:
        assert first in shown
        assert "Mexico" not in shown
        assert (GERMAN in shown) == (first == GERMAN)


def test_email_shows_times_in_both_zones(week):
    text, html, _calendar = parts(written(sign_up(week, time_zone="America/New_York")))
    for body in (text, html):
        assert "12:00 PM to 4:00 PM E" in body
        assert "9:00 AM to 1:00 PM P" in body


def test_email_does_not_repeat_the_same_zone(week):
    text, _html, _calendar = parts(written(sign_up(week, time_zone="America/Los_Angeles")))
    assert text.count("9:00 AM to 1:00 PM P") == 1
    assert "Week's time zone" not in text


def test_email_links_to_the_persons_own_page(week):
    alice = sign_up(week)
    for body in parts(written(alice))[:2]:
        assert f"http://localhost/me/{alice.token}/" in body


def test_names_are_plain_in_text_and_escaped_in_html(week):
    text, html, _calendar = parts(written(sign_up(week, name="Siobhán O'Brien & Co")))
    assert "Siobhán O'Brien & Co" in text
    assert "Siobhán O&#x27;Brien &amp; Co" in html


LINKS = [
    *("t.co/x", "x.ai", "www.evil.example", "//evil.example/x", "http://evil.example"),
    *("a@evil.example", "evil。com", "evil．com", "Ana (t.me/x)", "J.Smith"),
]


@pytest.mark.parametrize("typed", LINKS)
def test_nothing_that_people_typed_becomes_a_link(week, opening, typed):
    """Also what the form rejects today. linkify-it finds links as mail programs do."""
    alice = sign_up(week, needs_other=typed, sessions=[opening])
    Registration.objects.update(name=typed)
    access_needs.arrange(needs=AccessNeed.objects.all())
    access_needs.confirm(needs=AccessNeed.objects.all())
    for mail in alice.mails.all():
        message: Any = writer.writer_for([mail])(mail)
        visible = [
            message.subject,
            message.body,
            re.sub("<[^>]+>", " ", message.alternatives[0][0]),
        ]
        for text in visible:
            text = html.unescape(text).replace("http://localhost/", " ")
            domains = "".join(link.text for link in LinkifyIt().match(text) or [])
            assert "evil" not in domains
            assert not re.search(r"t\.co|x\.ai|t\.me|J\.S", domains)
            assert typed not in text
    assert {mail.kind for mail in alice.mails.all()} == {"links", "access"}


def test_organizers_texts_are_plain_in_text_and_escaped_in_html(week):
    week.sessions.filter(slug="opening").update(title="Q&A: <what's> next")
    text, html, calendar = parts(written(sign_up(week)))
    assert "Q&A: <what's> next" in text
    assert "Q&amp;A: &lt;what&#x27;s&gt; next" in html
    assert "Q&A: <what's> next" in [str(event["SUMMARY"]) for event in calendar.events]


def test_no_merge_field_is_left_and_no_one_gets_someone_elses_links(week, smtp):
    people = [
        sign_up(week, name, time_zone=zone)
        for name, zone in [("Alice A", "UTC"), ("Bob B", "UTC"), ("Charlie C", "Asia/Tokyo")]
    ]
    delivery.deliver_due(writer.writer_for)
    for person, received in zip(people, smtp.messages, strict=True):
        assert received.recipients == [person.email]
        raw = "".join(map(str, parts(received.message)[:2])) + str(
            parts(received.message)[2].to_ical()
        ).replace("\\r\\n ", "")
        assert person.token in raw
        assert not [
            merge_field
            for merge_field in (merge.NAME, merge.TOKEN, *(p.token for p in people if p != person))
            if merge_field in raw
        ]


def test_email_shows_only_the_persons_sessions(week):
    first, second, *others = week.sessions.all()
    text, html, calendar = parts(written(sign_up(week, sessions=[first, second])))
    assert len(calendar.events) == 2
    assert [s.slug for s in others if s.title in text or s.title in html] == []


def test_calendar_has_every_session_with_link_and_alarms(week):
    alice = sign_up(week)
    _text, _html, calendar = parts(written(alice))
    assert str(calendar["METHOD"]) == "PUBLISH"
    for entry, session in zip(calendar.events, week.sessions.all(), strict=True):
        link = f"http://localhost/join/{alice.token}/{session.slug}/"
        assert (entry.start, entry.end) == (session.starts_at, session.ends_at)
        assert str(entry["URL"]) == str(entry["LOCATION"]) == link
        assert link in str(entry["DESCRIPTION"])
        assert [str(alarm["TRIGGER"].to_ical()) for alarm in entry.walk("VALARM")] == [
            "b'-P1D'",
            "b'-PT15M'",
        ]


def test_calendar_part_names_its_method_and_file(week):
    (attachment,) = written(sign_up(week)).iter_attachments()
    assert attachment.get_content_type() == "text/calendar"
    assert attachment.get_param("method") == "PUBLISH"
    assert attachment.get_filename() == "strategy-week.ics"


def test_canceled_session_is_marked_and_has_no_link(week):
    alice = sign_up(week)
    cancel_session(session=week.sessions.get(slug="das"))
    text, html, calendar = parts(written(alice))
    for body in (text, html):
        assert f"/join/{alice.token}/das/" not in body
        assert "canceled" in body.lower()
    assert str(calendar.events[4]["STATUS"]) == "CANCELLED"


def test_session_without_zoom_details_still_has_its_link(week):
    Meeting.objects.all().delete()
    alice = sign_up(week)
    text, _html, _calendar = parts(written(alice))
    assert f"/join/{alice.token}/opening/" in text


def test_meeting_deleted_at_zoom_is_shown_nowhere(client, week, opening):
    """Its ID and passcode let no one in any more."""
    alice = sign_up(week)
    type(week).objects.update(zoom_mode="shared")
    Meeting.objects.filter(session=opening).update(
        state="gone", zoom_id=1, meeting_id="111 2222 3333", passcode="dead-code"
    )
    text, html, calendar = parts(written(alice))
    page = client.get(f"/me/{alice.token}/").content.decode()
    for shown in (text, html, calendar.to_ical().decode(), page):
        assert "dead-code" not in shown
        assert "111 2222 3333" not in shown
    assert "Zoom details are coming." in text


def is_dropped_at(moment: dt.datetime, mail: OutgoingMail) -> bool:
    with time_machine.travel(moment, tick=False):
        return writer.writer_for([mail])(mail) is None


def test_links_that_waited_until_the_last_session_ended_are_dropped(week):
    early, late = week.sessions.first(), week.sessions.last()
    Session.objects.filter(pk=late.pk).update(capacity=1)
    sign_up(week, sessions=[late])
    bob = sign_up(week, "Bob B", sessions=[early, week.sessions.get(pk=late.pk)])
    mail = bob.mails.get()
    assert not is_dropped_at(late.ends_at - dt.timedelta(minutes=1), mail)
    assert is_dropped_at(late.ends_at, mail)
    assert not is_dropped_at(late.ends_at, sign_up(week, "Charlie C", sessions=[]).mails.get())


def test_links_requested_after_the_last_session_are_sent(week):
    alice = sign_up(week)
    afterwards = week.sessions.last().ends_at + dt.timedelta(days=1)
    with time_machine.travel(afterwards, tick=False):
        OutgoingMail.objects.update(state="sent", sent_at=afterwards)
        signup.resend_lost_links(event=week, email=alice.email)
    assert not is_dropped_at(afterwards, alice.mails.get(state="waiting"))


def test_schedule_update_is_dropped_when_no_session_is_left(week):
    das = week.sessions.get(slug="das")
    mail = sign_up(week, sessions=[das]).mails.get()
    mail.kind = "schedule_update"
    assert not is_dropped_at(das.ends_at - dt.timedelta(minutes=1), mail)
    assert is_dropped_at(das.ends_at, mail)
    cancel_session(session=das)
    assert is_dropped_at(das.starts_at, mail)


@pytest.mark.parametrize(
    ("titles", "expected"),
    [
        ({}, "Legislation and Policy on"),
        ({"short_title_en": None}, "Legislation and Policy (discussion and … on"),
        ({"short_title_en": "x" * 50}, "x" * 39 + "… on"),
    ],
)
def test_subject_has_the_short_title_and_the_email_the_full_one(week, titles, expected):
    later = week.sessions.all()[1]
    type(later).objects.filter(pk=later.pk).update(**{"short_title_es": None} | titles)
    alice = sign_up(week)
    alice.mails.update(kind="promoted", session=later)
    message = written(alice)
    assert f": {expected} " in message["Subject"]
    text = " ".join(message.get_body(("plain",)).get_content().split())
    assert "Legislation and Policy (discussion and brainstorming)" in text


def test_replies_go_to_the_hosts(week):
    week.contact_email = "hosts@example.org"
    week.save()
    assert written(sign_up(week))["Reply-To"] == "hosts@example.org"


def test_without_a_contact_the_email_does_not_invite_replies(week):
    alice = sign_up(week)
    # Only a draft can lack one.
    type(week).objects.update(status="draft", contact_email="")
    message = written(alice)
    assert message["Reply-To"] is None
    for text in parts(message)[:2]:
        assert "We may not see replies to this email." in text
        assert "Reply to this email" not in text


def test_email_asks_for_no_automatic_replies(week):
    message = written(sign_up(week))
    headers = (message["Auto-Submitted"], message["X-Auto-Response-Suppress"])
    assert headers == ("auto-generated", "All")


def test_each_language_has_its_own_texts_however_often_they_alternate(week):
    alice = sign_up(week)
    for language in ("en", "es", "en"):
        signup.switch_language(registration=alice, language=language)
        alice.refresh_from_db()
        message = written(alice)
        text, html, calendar = parts(message)
        joins = {str(entry["DESCRIPTION"])[:5] for entry in calendar.events}
        expected = {
            "en": (
                "Your Zoom links for",
                "Your time zone:",
                "Join on Zoom:",
                'lang="en"',
                {"Join:"},
            ),
            "es": (
                "Tus enlaces de Zoom, ",
                "Tu zona horaria:",
                "Entrar a Zoom:",
                'lang="es"',
                {"Para "},
            ),
        }[language]
        assert message["Subject"].startswith(expected[0])
        assert [each for each in expected[1:3] if each not in text] == []
        assert expected[3] in html
        assert joins == expected[4]


@pytest.mark.parametrize("kind", kinds.COMPOSERS)
@pytest.mark.parametrize("on_waitlist", [False, True])
def test_spanish_email_has_no_english_of_ours(week, kind, on_waitlist):
    AgendaItem.objects.all().delete()
    week.sessions.update(title="Sesión")
    with override("es"):
        try:
            message = previews.sample(kind, week, on_waitlist=on_waitlist)
        except LookupError:
            return
    english = re.compile(
        r"\b(you|your|this|email|waitlist|questions|hello|on|at|tomorrow)\b", re.IGNORECASE
    )
    assert english.findall(f"{message.subject}\n{message.body}") == []


def test_html_stays_small_enough_for_gmail_and_its_lines_short(week):
    message = written(sign_up(week))
    html = message.get_body(("html",)).get_content()
    assert len(html.encode()) < 90_000
    assert max(map(len, html.splitlines())) < 998


@pytest.mark.parametrize(
    ("model", "field"),
    [
        ("event", "name"),
        ("event", "host"),
        ("event", "contact_email"),
        ("session", "title"),
        ("meeting", "passcode"),
    ],
)
def test_cached_blocks_are_not_used_after_an_edit(week, model, field):
    alice = sign_up(week)
    new = "new@example.org"
    assert all(new not in text for text in parts(written(alice))[:2])
    opening = week.sessions.get(slug="opening")
    thing = {"event": week, "session": opening, "meeting": opening.meeting}[model]
    type(thing).objects.filter(pk=thing.pk).update(**{field: new})
    assert all(new in text for text in parts(written(alice))[:2])


def test_writing_a_batch_takes_the_same_queries_for_3_people_as_for_30(
    week, django_assert_num_queries
):
    for count in (3, 30):
        for number in range(count):
            sign_up(week, f"P{count}x{number} X")
        claimed = list(OutgoingMail.objects.select_related("registration"))
        with django_assert_num_queries(7):
            write = writer.writer_for(claimed)
            for mail in claimed:
                write(mail)


@pytest.mark.once
@pytest.mark.parametrize("kind", MailKind)
def test_kind_is_complete_in_four_files(week, kind):
    """mail_kinds.py and mail/kinds.py, and two templates. There is no other table of kinds."""
    assert MailKind(kind.value) is kind
    assert OutgoingMail(kind=kind).get_kind_display() == kind.spec.label
    if kind.spec.is_stored:
        assert kind not in kinds.COMPOSERS
        return
    for extension in ("txt", "html"):
        get_template(f"mails/{kind}.{extension}")
    assert callable(kinds.COMPOSERS[kind])
    assert previews.sample(kind, week).subject


@pytest.mark.once
@pytest.mark.parametrize("model", [OutgoingMail, MailText])
def test_new_kind_needs_no_migration(model):
    _name, _path, _args, options = model._meta.get_field("kind").deconstruct()
    assert callable(options["choices"])


@pytest.mark.parametrize("kind", kinds.COMPOSERS)
def test_preview_uses_every_variable_of_the_email(week, kind):
    message = previews.sample(kind, week)
    texts = (" ".join(message.body.split()), str(message.alternatives[0][0]))
    about_a_session = kind != "announcement"
    for text in texts:
        assert week.host in text
        assert (previews.SAMPLE_TOKEN in text) == about_a_session
        assert (Session.objects.first().title in text) == about_a_session
        assert ("/unsubscribe/" in text) != about_a_session
    assert "Siobhán O'Brien & Co" in texts[0]


@pytest.mark.parametrize("kind", [MailKind.CHANGED, MailKind.CANCELED, MailKind.RECEIVED])
def test_preview_for_the_waiting_list_has_no_link(week, kind):
    message = previews.sample(kind, week, on_waitlist=True)
    opening = week.sessions.get(slug="opening")
    for text in (message.body, str(message.alternatives[0][0])):
        assert "waitlist" in text
        assert f"/{previews.SAMPLE_TOKEN}/{opening.slug}/" not in text
        assert opening.meeting.passcode not in text
