"""Subject and opening: the default, the organizers' own, and their placeholders."""

import datetime as dt

import pytest
import time_machine
from django.core.exceptions import ValidationError
from django.utils.translation import override

from events.load_week import load_strategy_week
from registrations.mail import default_texts, kinds, previews, writer
from registrations.mail_kinds import MailKind
from registrations.models import MailText, OutgoingMail
from tests.people import sign_up, with_links

pytestmark = pytest.mark.django_db


def written(registration):
    mail = OutgoingMail.objects.get(registration=registration)
    return writer.writer_for([mail])(mail)


def test_organizers_texts_replace_the_default(week):
    MailText.objects.create(
        event=week, kind="links", subject="Welcome, {name}", opening="{host} & you.\r\n\r\nCome!"
    )
    message = written(sign_up(week, "Siobhán O'Brien"))
    assert message.subject == "Welcome, Siobhán O'Brien"
    html = str(message.alternatives[0][0])
    assert f"{week.host} & you." in message.body
    assert f"{week.host} &amp; you." in html
    assert "Come!</p>" in html
    assert "\r" not in message.body
    assert "Come!" in message.body
    assert "You're registered for" not in message.body + html


def test_text_changed_a_moment_ago_is_in_the_next_email(week):
    alice = sign_up(week)
    text = MailText(event=week, kind="links")
    for subject in ("Welcome", "Hello"):
        text.subject = subject
        text.save()
        assert written(alice).subject == subject
    text.delete()
    assert written(alice).subject.startswith("Your Zoom links for ")


def test_when_is_by_the_day_that_the_email_is_sent(week):
    alice = sign_up(week)
    MailText.objects.create(event=week, kind="links", subject="It starts {when}")
    starts_at = week.sessions.first().starts_at
    for days, when in ((1, "tomorrow"), (0, "today")):
        with time_machine.travel(starts_at - dt.timedelta(days=days, hours=1), tick=False):
            assert written(alice).subject.startswith(f"It starts {when} at 12:00 PM E")


@pytest.mark.once
def test_default_is_used_where_organizers_wrote_nothing(week):
    MailText.objects.create(event=week, kind="links", subject="Welcome")
    message = written(sign_up(week))
    assert message.subject == "Welcome"
    assert "You're registered for" in message.body


def test_texts_of_another_kind_or_event_are_not_used(week):
    from events.models import Event

    other = Event.objects.create(name="Other", slug="other", host="Us")
    MailText.objects.create(event=week, kind="day", subject="Day")
    MailText.objects.create(event=other, kind="links", subject="Other")
    assert written(sign_up(week)).subject.startswith("Your Zoom links for ")


def test_organizers_texts_are_not_used_when_everything_is_full(week):
    MailText.objects.create(event=week, kind="links", subject="You are in!", opening="Welcome!")
    week.sessions.update(capacity=1)
    assert written(sign_up(week)).subject == "You are in!"
    message = written(sign_up(week, "Bob B"))
    assert message.subject.startswith("You're on the waitlist for ")
    assert "Welcome!" not in message.body


@pytest.mark.once
@pytest.mark.parametrize(
    ("text", "kind", "beginning"),
    [
        ("{nme}", "links", "There's no placeholder {nme} here."),
        ("{session}", "links", "There's no placeholder {session} here."),
        ("{name", "links", "There's a { without a }, or a } without a {."),
        ("}", "links", "There's a { without a }, or a } without a {."),
        ("{}", "links", "There's no placeholder {} here."),
        ("{name.__class__}", "links", "There's no placeholder {name.__class__} here."),
        ("{name!r}", "links", "Write {name} with nothing else between its braces."),
        ("{name:>99999999}", "links", "Write {name} with nothing else between its braces."),
        ("{when}", "announcement", "There's no placeholder {when} here."),
    ],
)
def test_unknown_placeholder_is_rejected(text, kind, beginning):
    with pytest.raises(ValidationError) as refusal:
        default_texts.validate_placeholders(text, kind)
    (message,) = refusal.value.messages
    assert message.startswith(beginning)
    assert message.endswith(("{host}, {dates}, {when}.", "{host}.", "braces."))


@pytest.mark.once
@pytest.mark.parametrize("kind", kinds.COMPOSERS)
def test_every_placeholder_of_a_kind_can_be_filled(week, kind):
    text = " ".join(f"{{{name}}}" for name in kind.spec.placeholders) + " {{"
    default_texts.validate_placeholders(text, kind)
    if kind != "announcement":
        message = previews.sample(
            kind, week, MailText(event=week, kind=kind, subject=text, opening=text)
        )
        assert message.subject.startswith("Siobhán O'Brien & Co ")
        assert message.subject.endswith(" {")


@pytest.mark.once
@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize("kind", MailKind)
def test_default_texts_use_only_their_placeholders(kind, language):
    with override(language):
        for text in kind.spec.texts:
            default_texts.validate_placeholders(str(text), kind)


@pytest.mark.once
@pytest.mark.parametrize("language", ["en", "es"])
@pytest.mark.parametrize(
    ("texts", "kind"),
    [
        (default_texts.RESTORED, "changed"),
        (default_texts.CHANGED_ON_WAITLIST, "changed"),
        (default_texts.RESTORED_ON_WAITLIST, "changed"),
        (default_texts.CANCELED_ON_WAITLIST, "canceled"),
        (default_texts.ALL_ON_WAITLIST, "links"),
        (default_texts.NO_SESSION, "links"),
    ],
)
def test_special_texts_use_only_their_placeholders(texts, kind, language):
    with override(language):
        for text in texts:
            default_texts.validate_placeholders(str(text), kind)


@pytest.mark.parametrize(
    ("zone", "language", "subject"),
    [
        ("America/New_York", "en", "Your Zoom links for Oct 16–23: Drop LWOP Strategy Week"),
        ("Asia/Tokyo", "en", "Your Zoom links for Oct 17–24: Drop LWOP Strategy Week"),
        (
            "America/New_York",
            "es",
            "Tus enlaces de Zoom, del 16 al 23 de octubre: Semana de Estrategia Drop LWOP",
        ),
    ],
)
def test_subject_says_what_and_when_in_the_readers_zone(db, zone, language, subject):
    week = with_links(load_strategy_week(starting=dt.date(2027, 10, 16)).event)
    alice = sign_up(week, time_zone=zone, language=language)
    assert written(alice).subject == subject


def test_dates_in_a_subject_are_those_of_the_persons_sessions(db):
    week = load_strategy_week(starting=dt.date(2027, 10, 30)).event
    first, second, *_others, last = week.sessions.all()
    for name, sessions, dates in (
        ("Alice A", [first], "Oct 30"),
        ("Bob B", [first, second], "Oct 30–Nov 1"),
        ("Charlie C", [second, last], "Nov 1–6"),
    ):
        subject = written(sign_up(week, name, sessions=sessions)).subject
        assert subject == f"Your Zoom links for {dates}: {week.name}"


def test_links_say_nothing_of_when_while_no_session_is_on_the_schedule(week):
    alice = sign_up(week)
    week.sessions.update(status="draft")
    message = written(alice)
    assert message.subject == f"You're registered for {week.name}"
    assert "None of your sessions are on the schedule right now." in message.body
