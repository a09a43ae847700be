"""Odd names and texts arrive as they are in every email that shows them."""

import pytest
from django.utils.html import escape
from icalendar import Calendar

from events.schedule import edit_session
from registrations.mail import writer
from registrations.models import Announcement, OutgoingMail
from registrations.outbox import delivery, mail_queue
from tests.people import sign_up

pytestmark = pytest.mark.django_db

TITLES = [
    "He said \"no\" & <b>left</b>; \\n 'so', they say: {name} %s",
    "Pasted\x0bBcc: everyone@example.org\x0cfrom\u2028a text\x85with\x1cbreaks",
    "Pasted\x0bBcc: everyone@example.org",
    "Two lines\r\nBcc: everyone@example.org",
    "👩🏽\u200d⚖️ ünïcödé 🎉",
    "جلسة عن العفو \u202e(עברית)",
    "x" * 200,
    "é" * 200,
]
NAME = 'Siobhán "Shi" O\'Brien & Söhne 👩🏽\u200d⚖️ مريم'
PASTED = "One: \x0bsoft\r\n\r\nTwo\rThree\u2028Four\n.\n..\nFrom here\x85on"


def squeezed(text: str) -> str:
    """Without spaces, because an email may wrap its lines between any two words."""
    return "".join(text.split())


@pytest.mark.once
@pytest.mark.parametrize("title", TITLES)
def test_odd_names_and_titles_arrive_as_they_are(week, smtp, title):
    (session,) = sessions = week.sessions.all()[:1]
    session.agenda.update(title=title, description=PASTED)
    alice = sign_up(week, NAME, sessions=sessions, email="alice@example.org", with_schedule=True)
    with edit_session(session.pk) as edited:
        edited.title, edited.short_title, edited.summary = title, "", PASTED
        edited.save()
    announcement = Announcement.objects.create(event=week, subject=title[:150], body=PASTED)
    announcement.subject = announcement.subject.replace("{name} %s", "")
    announcement.save()
    more = {"registration": alice, "session": session, "old_revision": session.revisions.get()}
    mail_queue.queue(
        [
            OutgoingMail(key="1", kind="changed", **more),
            OutgoingMail(key="2", kind="promoted", **more),
            OutgoingMail(
                key="3", kind="announcement", registration=alice, announcement=announcement
            ),
        ]
    )
    delivery.deliver_due(writer.writer_for)
    received = {str(mail["Subject"]): mail for mail in smtp.to("alice@example.org")}
    said = " ".join(announcement.subject.split())
    start = " ".join(title.split())[:20]
    about = sorted(subject for subject in received if subject != said)
    assert [len(about), said in received] == [4, True]
    begins = (
        f"Changed: {start}",
        "Detailed schedule for ",
        f"You have a spot: {start}",
        "Your Zoom links for ",
    )
    assert [a.startswith(b) for a, b in zip(about, begins, strict=True)] == [True] * 4
    for mail in received.values():
        assert [part.defects for part in mail.walk() if part.defects] == []
        assert mail["To"] == "alice@example.org"
        assert "Bcc" not in mail
        assert len(set(mail.keys())) == len(mail.keys())
        text = mail.get_body(("plain",)).get_content()
        html = mail.get_body(("html",)).get_content()
        # The links are the only one without the agenda.
        assert (squeezed(PASTED) in squeezed(text)) != mail["Subject"].startswith(begins[-1])
        assert "<b>left" not in html
        if mail["Subject"] == said:
            continue
        assert squeezed(title) in squeezed(text)
        assert squeezed(escape(title)) in squeezed(html)
        assert squeezed(NAME) in squeezed(text)
        assert squeezed(escape(NAME)) in squeezed(html)
        calendars = [
            Calendar.from_ical(part.get_content())
            for part in mail.walk()
            if part.get_content_type() == "text/calendar"
        ]
        titles = {squeezed(str(each["SUMMARY"])) for file in calendars for each in file.events}
        has_calendar = not mail["Subject"].startswith(begins[1])
        assert titles == ({squeezed(title)} if has_calendar else set())
