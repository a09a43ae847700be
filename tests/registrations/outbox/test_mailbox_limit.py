"""How many emails strangers can cause to one mailbox, whatever they press."""

import datetime as dt
import itertools
import os
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.models import Session
from registrations import tasks
from registrations.models import MailboxUse, OutgoingMail, Registration
from registrations.outbox import mailbox_limit
from registrations.privacy import erasure
from tests.conftest import database_url
from tests.people import filled_form, sign_up
from tests.services.process import Process

pytestmark = pytest.mark.django_db

VICTIM = "victim@example.org"
HOURLY, DAILY = 45, 90
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
EXPLANATION = "gotten a lot of email from us in a short time, so we've stopped for now"
numbers = itertools.count(1)


def stranger() -> Client:
    """A visitor whom no one has seen before."""
    number = next(numbers)
    return Client(REMOTE_ADDR=f"192.0.{number // 250}.{number % 250}")


def register(week, email: str = VICTIM, **changes: Any) -> Any:
    fields = filled_form(week, email=email, **changes)
    return stranger().post(f"/{week.slug}/register/", fields, follow=True)


def use_up(email: str = VICTIM) -> None:
    """Reach the limit of an hour."""
    for _number in range(HOURLY):
        mailbox_limit.allow(email)


def own(person: Registration, path: str = "") -> str:
    return f"/me/{person.token}/{path}"


def press(person: Registration, path: str, **fields: Any) -> Any:
    return stranger().post(own(person, path), fields, follow=True)


def choose(person: Registration, *sessions: Session) -> Any:
    """Have exactly these sessions."""
    had = person.seats.values_list("session", flat=True)
    chosen = [session.pk for session in sessions]
    details = {"name": person.name, "time_zone": person.time_zone}
    return press(person, "change/", had=list(had), sessions=chosen, **details)


@pytest.fixture
def victim(week) -> Registration:
    """Their emails were sent, and a while ago."""
    with time_machine.travel(timezone.now() - HOUR):
        person = sign_up(week, "Victim V", email=VICTIM)
        person.mails.update(state="sent", sent_at=timezone.now(), claimed_at=timezone.now())
    return person


@pytest.fixture(autouse=True)
def _no_visitor_limits(settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = False


def text_of(page: Any) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page.content.decode()).split()).replace("&#x27;", "'")


# Strangers


def test_many_registrations_at_one_mailbox_send_emails_up_to_the_limit(week):
    began = timezone.now()
    with time_machine.travel(began, tick=False):
        pages = [register(week, f"victim+{number}@example.org") for number in range(30)]
    statuses = [page.status_code for page in pages]
    # Links and a schedule each. The last one begins just below the limit.
    assert statuses == [200] * 23 + [429] * 7
    assert OutgoingMail.objects.count() == 2 * Registration.objects.count() == HOURLY + 1
    with time_machine.travel(began + HOUR, tick=False):
        for number in range(200, 230):
            register(week, f"victim+{number}@example.org")
    assert OutgoingMail.objects.count() == DAILY
    with time_machine.travel(began + 23 * HOUR, tick=False):
        assert register(week).status_code == 429
    with time_machine.travel(began + 24 * HOUR, tick=False):
        assert register(week).status_code == 200


def test_registering_at_the_limit_explains_and_keeps_what_was_entered(week):
    use_up()
    entered: dict[str, Any] = {"organization": "Families", "sessions": [week.sessions.first().pk]}
    page = register(week, **entered)
    html = page.content.decode()
    assert page.status_code == 429
    assert "<title>Error: " in html
    assert "Not registered yet" in html
    assert EXPLANATION in text_of(page)
    assert 'value="victim@example.org"' in html
    assert 'value="Families"' in html
    assert len(re.findall(r'name="sessions" value="\d+" checked', html)) == 1
    assert not Registration.objects.exists()


def test_answer_at_the_limit_does_not_reveal_who_is_registered(week, victim):
    use_up()
    pages = [register(week, email) for email in (VICTIM, "victim+new@example.org")]
    texts = {re.sub(r'value="(\w{64}|victim[^"]*)"', "", page.content.decode()) for page in pages}
    assert ([page.status_code for page in pages], len(texts)) == ([429, 429], 1)


def find(week, email: str = VICTIM) -> Any:
    return stranger().post(f"/{week.slug}/find/", {"email": email})


def test_finding_links_counts_the_same_for_every_address(week, victim):
    with CaptureQueriesContext(connection) as first:
        find(week, "nobody@example.org")
    with CaptureQueriesContext(connection) as second:
        find(week, "nobody@example.org")
    assert len(first) == len(second)
    for email in (VICTIM, "no-one+1@example.org"):
        for _number in range(HOURLY - 1):
            mailbox_limit.allow(email)
        find(week, email)
        assert register(week, email).status_code == 429


def request_code(_week: Any) -> Any:
    return stranger().post("/accounts/login/code/", {"email": VICTIM}, follow=True)


def reset_password(_week: Any) -> Any:
    return stranger().post("/accounts/password/reset/", {"email": VICTIM}, follow=True)


@pytest.mark.parametrize("ask", [find, request_code, reset_password])
def test_pages_for_strangers_answer_the_same_at_the_limit_and_send_nothing(week, victim, ask):
    User.objects.create_user("victim", VICTIM, "correct horse")
    before, expected = OutgoingMail.objects.count(), text_of(ask(week))
    assert OutgoingMail.objects.count() == before + 1
    OutgoingMail.objects.update(state="sent", sent_at=timezone.now())
    use_up()
    with time_machine.travel(timezone.now() + 11 * MINUTE):
        page = ask(week)
    assert (page.status_code, text_of(page)) == (200, expected)
    assert "Try again in an hour, or tomorrow" in expected
    assert OutgoingMail.objects.count() == before + 1


# People with a link


def test_own_page_explains_at_the_limit_and_changes_nothing(week, victim):
    use_up()
    token, before = victim.token, OutgoingMail.objects.count()
    for path in ("resend/", "renew/"):
        assert EXPLANATION in text_of(press(victim, path))
    victim.refresh_from_db()
    assert (victim.token, OutgoingMail.objects.count()) == (token, before)


def test_change_of_sessions_at_the_limit_explains_and_keeps_what_was_entered(week, victim):
    use_up()
    before = OutgoingMail.objects.count()
    page = choose(victim, week.sessions.first())
    html = page.content.decode()
    assert page.status_code == 429
    assert "<title>Error: " in html
    assert "Not saved yet" in html
    assert EXPLANATION in text_of(page)
    assert len(re.findall(r'name="sessions" value="\d+" checked', html)) == 1
    assert (victim.seats.count(), OutgoingMail.objects.count()) == (6, before)


def test_details_can_be_changed_at_the_limit_because_that_sends_no_email(week, victim):
    use_up()
    victim.name = "Vera Victim"
    assert "Your changes are saved" in text_of(choose(victim, *week.sessions.all()))
    victim.refresh_from_db()
    assert victim.name == "Vera Victim"


def test_canceling_is_always_possible_but_coming_back_is_not(week, victim):
    use_up()
    assert "Your registration is canceled" in text_of(press(victim, "cancel/"))
    assert EXPLANATION in text_of(press(victim, "return/"))
    victim.refresh_from_db()
    assert victim.canceled_at is not None


def test_canceling_and_coming_back_in_turns_is_limited(week, victim):
    """An email about each of six sessions, and one to come back."""
    before, began = OutgoingMail.objects.count(), timezone.now()
    for turn in range(20):
        with time_machine.travel(began + turn * MINUTE):
            press(victim, "cancel/")
            press(victim, "return/")
            OutgoingMail.objects.update(claimed_at=timezone.now())
    sent = OutgoingMail.objects.count() - before
    assert HOURLY <= sent < HOURLY + 2 * week.sessions.count()


def test_leaving_and_joining_sessions_in_turns_is_limited(week, victim):
    """An email about all sessions, and one about each that was left."""
    before, began = OutgoingMail.objects.count(), timezone.now()
    sessions = list(week.sessions.all())
    for turn in range(20):
        with time_machine.travel(began + turn * MINUTE):
            choose(victim, *(sessions if turn % 2 else sessions[:1]))
            OutgoingMail.objects.update(claimed_at=timezone.now())
    sent = OutgoingMail.objects.count() - before
    assert HOURLY <= sent < HOURLY + len(sessions)


def test_all_kinds_share_one_limit(week, victim):
    User.objects.create_user("victim", VICTIM, "correct horse")
    before, began = OutgoingMail.objects.count(), timezone.now()
    sessions = list(week.sessions.all())
    for turn in range(5):
        with time_machine.travel(began + turn * 11 * MINUTE):
            pages = [register(week, f"Victim+{turn}-{each}@example.org") for each in range(5)]
            for ask in (find, request_code, reset_password):
                ask(week)
            OutgoingMail.objects.update(claimed_at=timezone.now())
            for path in ("resend/", "renew/"):
                press(victim, path)
                victim.refresh_from_db()
            choose(victim, *sessions[(turn + 1) % 2 :])
    assert {page.status_code for page in pages} == {429}
    assert {*OutgoingMail.objects.values_list("kind", flat=True)} == {
        *("links", "schedule", "account", "left")
    }
    # The last one allowed may have caused two emails.
    assert HOURLY / 2 < OutgoingMail.objects.count() - before <= HOURLY + 1


def test_family_sharing_a_mailbox_never_meets_the_limit(week):
    """Six people register, register again, and change their sessions, in the same hour."""
    email, pages = "family@example.org", []
    for name in ("Ana", "Beto", "Carla", "Dora", "Eva", "Fidel"):
        pages += [register(week, email, name=name), register(week, email, name=name)]
        person = Registration.objects.get(name=name)
        pages.append(choose(person, *week.sessions.all()[1:]))
    pages.append(find(week, email))
    assert {page.status_code for page in pages} == {200}
    assert Registration.objects.filter(seats__isnull=False).distinct().count() == 6
    assert not any(EXPLANATION in text_of(page) for page in pages)


def test_person_who_changes_their_sessions_often_never_meets_the_limit(week, victim):
    sessions = list(week.sessions.all())
    pages = [choose(victim, *sessions[turn % 2 :]) for turn in range(16)]
    assert ["Your changes are saved" in text_of(page) for page in pages] == [True] * 16


# Never limited


def test_emails_of_organizers_and_of_the_schedule_are_not_limited(week, victim, organizer):
    use_up()
    pressed = {"action": "send_links_again", "_selected_action": [victim.pk]}
    organizer.post("/admin/registrations/registration/", pressed)
    assert victim.mails.filter(state="waiting").count() == 1
    first = week.sessions.first()
    with time_machine.travel(first.starts_at - HOUR):
        use_up()
        tasks.queue_due_mails()
    assert victim.mails.filter(kind="hour").count() == 1


def test_notice_of_a_changed_password_is_not_limited(organizer):
    user = User.objects.get()
    use_up(user.email)
    form = {"old_password": "password", "new_password1": "a-good-one-42"}
    form["new_password2"] = form["new_password1"]
    organizer.post("/admin/password_change/", form)
    assert OutgoingMail.objects.get().message["recipient"] == user.email


# How it counts


@pytest.mark.parametrize(
    ("email", "is_same"),
    [
        ("victim+1+2@example.org", True),
        (" VICTIM@Example.ORG ", True),
        ("victim@example.com", False),
        ("victims@example.org", False),
        ("vic.tim@example.org", False),
    ],
)
def test_addresses_of_one_mailbox_count_together(email, is_same):
    use_up()
    assert mailbox_limit.allow(email) is not is_same


def test_international_domain_counts_in_both_spellings():
    use_up("victim@faß.example")
    assert not mailbox_limit.allow("victim+1@xn--fa-hia.example")


@pytest.mark.django_db(transaction=True)
def test_simultaneous_requests_do_not_pass_the_limit():
    def ask(_number: int) -> bool:
        try:
            return mailbox_limit.allow(VICTIM)
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        allowed = sum(pool.map(ask, range(2 * HOURLY)))
    # Of the last few, which all see each other, none may be allowed.
    assert HOURLY - 8 < allowed <= HOURLY


ASK = """
import django
django.setup()
from registrations.outbox import mailbox_limit
print("allowed" if mailbox_limit.allow("victim+1@example.org") else "refused")
"""


@pytest.mark.django_db(transaction=True)
def test_limit_holds_in_a_process_that_has_just_started(tmp_path):
    use_up()
    variables = {"DATABASE_URL": database_url(), "DJANGO_SETTINGS_MODULE": "strategyweek.settings"}
    log = tmp_path / "log"
    process = Process(sys.executable, "-c", ASK, log=log, environment={**os.environ, **variables})
    assert (process.wait(), log.read_text()) == (0, "refused\n")


def test_no_address_is_stored_and_everything_is_deleted_after_a_day():
    use_up()
    uses = MailboxUse.objects.all()
    assert {use.mailbox for use in uses} == {uses[0].mailbox}
    assert re.fullmatch(r"[0-9a-f]{64}", uses[0].mailbox)
    assert sum(use.emails for use in uses) == HOURLY
    erasure.erase_expired(timezone.now() + 23 * HOUR)
    assert MailboxUse.objects.count() == HOURLY
    erasure.erase_expired(timezone.now() + 25 * HOUR)
    assert MailboxUse.objects.count() == 0
