"""The reason of a cancellation is where the session is shown as canceled, in each language."""

from email import message_from_bytes
from email.policy import default

import pytest
from django.core.cache import caches
from django.utils.translation import override
from icalendar import Calendar

from events.models import Session
from events.schedule import cancel_session, edit_session, restore_session
from registrations import tasks
from registrations.mail import writer
from registrations.models import OutgoingMail, Registration
from tests.people import in_english, sign_up

pytestmark = pytest.mark.django_db

BOTH = {"en": "Our speaker is ill.", "es": "Nuestra ponente está enferma."}
HTML = "<script>alert(1)</script> & <b>https://evil.example</b>"


@pytest.fixture(autouse=True)
def _english():
    """Requests leave their language behind."""
    with override("en"):
        yield


@pytest.fixture
def readers(week) -> dict[str, Registration]:
    """Alice reads in English, Benita in Spanish."""
    week.settle_minutes = 0
    week.save()
    return {
        "en": sign_up(week, "Alice Adams", language="en"),
        "es": sign_up(week, "Benita B", language="es"),
    }


def emails(week) -> dict[str, tuple[str, ...]]:
    """By language, the text, the HTML and the calendar of the email about the cancellation."""
    tasks.queue_due_mails()
    mails = list(OutgoingMail.objects.filter(kind="canceled").select_related("registration"))
    found = {}
    for mail in mails:
        written = writer.writer_for([mail])(mail)
        written.extra_headers |= {"Message-ID": "<1@localhost>"}
        message = message_from_bytes(written.message().as_bytes(), policy=default)
        parts = {part.get_content_type(): part for part in message.walk()}
        found[mail.registration.language] = tuple(
            parts[kind].get_content() for kind in ("text/plain", "text/html", "text/calendar")
        )
    return found


def description(calendar: bytes | str, session: Session) -> str:
    events = Calendar.from_ical(calendar).events
    (found,) = [each for each in events if str(each["UID"]).startswith(str(session.uid))]
    return str(found.get("DESCRIPTION", ""))


def test_email_has_the_reason_in_the_readers_language(week, opening, readers):
    cancel_session(session=opening, reason=BOTH)
    for language, (text, html, calendar) in emails(week).items():
        other = BOTH["es" if language == "en" else "en"]
        assert (language, BOTH[language] in text, other in text) == (language, True, False)
        assert (language, BOTH[language] in html, other in html) == (language, True, False)
        assert BOTH[language] in description(calendar, opening)


def test_email_marks_a_reason_in_another_language(week, opening, readers):
    cancel_session(session=opening, reason={"en": "Our speaker is ill."})
    text, html, _calendar = emails(week)["es"]
    assert "Our speaker is ill." in text
    assert '<p dir="auto" lang="en"' in html


def test_email_without_a_reason(week, opening, readers):
    cancel_session(session=opening)
    for _text, _html, calendar in emails(week).values():
        assert not description(calendar, opening).startswith("Cancel")


def test_reason_changed_before_the_email_is_in_it(week, opening, readers):
    """What is rendered once for many isn't kept for the next reason."""
    cancel_session(session=opening, reason={"en": "First"})
    assert "First" in emails(week)["en"][0]
    Session.objects.filter(pk=opening.pk).update(**in_english(cancel_reason="Second"))
    text, html, calendar = emails(week)["en"]
    assert ["First" in part for part in (text, html, calendar)] == [False] * 3
    assert ["Second" in part for part in (text, html, calendar)] == [True] * 3


def test_changed_reason_sends_no_second_email(week, opening, readers):
    cancel_session(session=opening, reason={"en": "First"})
    assert len(emails(week)) == 2
    with edit_session(opening.pk) as current:
        current.cancel_reason = "Second"
        current.save()
    tasks.queue_due_mails()
    kinds = OutgoingMail.objects.filter(kind__in=["canceled", "changed"])
    assert kinds.count() == 2
    assert Session.objects.get(pk=opening.pk).revision == 1


def test_html_in_a_reason_is_shown_as_text(client, week, opening, readers):
    cancel_session(session=opening, reason={"en": HTML})
    text, html, _calendar = emails(week)["en"]
    assert HTML in " ".join(text.split())
    escaped = "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &lt;b&gt;https://evil.example&lt;/b&gt;"
    assert escaped in " ".join(html.split())
    assert escaped in client.get(opening.get_absolute_url()).content.decode()
    assert 'href="https://evil.example' not in html


def test_reason_of_500_characters(client, week, opening, readers):
    longest = "ñ" * 498 + "\nz"
    cancel_session(session=opening, reason={"en": longest})
    text, html, calendar = emails(week)["en"]
    assert text.count("ñ") == 498
    assert html.count("ñ") >= 498
    assert longest in description(calendar, opening)
    page = client.get(opening.get_absolute_url()).content.decode()
    assert "ñ" * 498 + "<br>z" in page


def pages(client, session: Session, person: Registration, language: str) -> list[str]:
    me = person.get_absolute_url()
    urls = [session.get_absolute_url(), me, f"{me}schedule/"]
    urls.append(f"/join/{person.token}/{session.slug}/")
    headers = {"accept-language": language}
    return [client.get(url, headers=headers).content.decode() for url in urls]


@pytest.mark.parametrize("language", ["en", "es"])
def test_pages_have_the_reason_while_the_session_is_canceled(
    client, week, opening, readers, language
):
    person = readers[language]
    cancel_session(session=opening, reason=BOTH)
    other = BOTH["es" if language == "en" else "en"]
    for page in pages(client, opening, person, language):
        assert (BOTH[language] in page, other in page) == (True, False)
    restore_session(session=opening)
    # Public pages are kept for a few seconds.
    caches["pages"].clear()
    for page in pages(client, opening, person, language):
        assert BOTH[language] not in page


def test_page_of_someone_who_waits_for_approval_has_the_reason(client, week, opening):
    week.requires_approval = True
    week.save()
    cancel_session(session=opening, reason=BOTH)
    sessions = list(week.sessions.all())
    person = sign_up(week, sessions=sessions)
    assert BOTH["en"] in client.get(person.get_absolute_url()).content.decode()


def test_calendars_have_the_reason(client, week, opening, readers):
    cancel_session(session=opening, reason=BOTH)
    url = f"/{week.slug}/calendar.ics"
    public = client.get(url, headers={"accept-language": "en"}).content
    assert description(public, opening).startswith(f"Canceled: {BOTH['en']}")
    person = readers["es"]
    page = client.get(person.get_absolute_url()).content.decode()
    feed = page.split('href="webcal://')[1].split('"')[0].partition("/")[2]
    own = description(client.get(f"/{feed}").content, opening)
    assert BOTH["es"] in own
    assert BOTH["en"] not in own
