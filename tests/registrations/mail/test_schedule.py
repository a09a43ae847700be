"""The detailed schedule: an email after the links, and a page."""

import datetime as dt
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from events.models import AgendaItem, Event, Session
from registrations import seats, signup
from registrations.mail import writer
from registrations.models import OutgoingMail, Registration, Seat
from registrations.outbox import delivery
from registrations.privacy import erasure
from tests.people import filled_form, sign_up

pytestmark = pytest.mark.django_db

SOON = dt.timedelta(minutes=11)


def kinds(person: Registration) -> list[str]:
    """The kinds of their emails that wait or were sent, in order."""
    mails = person.mails.exclude(state="dropped").order_by("pk")
    return list(mails.values_list("kind", flat=True))


def message(person: Registration, kind: str = "schedule") -> Any:
    mail = person.mails.filter(kind=kind).latest("pk")
    return writer.writer_for([mail])(mail)


def texts(person: Registration, kind: str = "schedule") -> tuple[str, str]:
    written = message(person, kind)
    return " ".join(written.body.split()), str(written.alternatives[0][0])


@pytest.fixture
def alice(week) -> Registration:
    return sign_up(week, with_schedule=True)


def page_of(client, person: Registration) -> str:
    return client.get(f"/me/{person.token}/schedule/").content.decode()


# The email


def test_schedule_is_emailed_right_after_the_links(client, week, smtp):
    client.post(f"/{week.slug}/register/", filled_form(week))
    person = Registration.objects.get()
    assert kinds(person) == ["links", "schedule"]
    delivery.deliver_due(writer.writer_for)
    subjects = [received.message["Subject"].partition(" for ")[0] for received in smtp.messages]
    assert subjects == ["Your Zoom links", "Detailed schedule"]


def test_agenda_is_in_the_schedule_and_not_in_the_links(week, alice):
    AgendaItem.objects.filter(session__slug="opening").update(title="A talk on hope")
    assert all("A talk on hope" in text for text in texts(alice))
    assert not any("A talk on hope" in text for text in texts(alice, "links"))
    for item in AgendaItem.objects.all():
        assert item.title in texts(alice)[0]
    for text in texts(alice, "links") + texts(alice):
        assert f"http://localhost/me/{alice.token}/schedule/" in text


def test_schedule_stays_small_enough_for_gmail(alice):
    html = str(message(alice).alternatives[0][0])
    assert len(html.encode()) < 90_000
    assert max(map(len, html.splitlines())) < 998


def test_event_without_agenda_sends_no_schedule(week):
    AgendaItem.objects.all().delete()
    alice = sign_up(week, with_schedule=True)
    assert kinds(alice) == ["links"]
    assert "schedule/" not in texts(alice, "links")[0]


def test_schedule_shows_only_sessions_with_a_spot(week, opening, later):
    week.sessions.filter(pk=opening.pk).update(capacity=0)
    opening.refresh_from_db()
    assert kinds(sign_up(week, "Bob B", sessions=[opening], with_schedule=True)) == ["links"]
    alice = sign_up(week, sessions=[opening, later], with_schedule=True)
    for text in texts(alice):
        assert later.title in text
        assert opening.title not in text


def test_schedule_is_dropped_without_a_session_to_come_or_an_agenda(week, alice):
    mail = alice.mails.get(kind="schedule")
    with time_machine.travel(week.sessions.last().ends_at, tick=False):
        assert writer.writer_for([mail])(mail) is None
    AgendaItem.objects.all().delete()
    assert writer.writer_for([mail])(mail) is None


def send_all() -> None:
    now = timezone.now()
    OutgoingMail.objects.filter(state="waiting").update(state="sent", sent_at=now, claimed_at=now)


def test_links_that_are_asked_for_again_come_without_the_schedule(week, alice):
    send_all()
    with time_machine.travel(timezone.now() + SOON):
        signup.resend_links(registrations=[alice])
    with time_machine.travel(timezone.now() + 2 * SOON):
        OutgoingMail.objects.filter(state="waiting").delete()
        signup.resend_lost_links(event=week, email=alice.email)
    signup.renew_links(registrations=[alice])
    assert set(kinds(alice)[2:]) == {"links"}


def test_approved_people_get_the_schedule_with_their_links(week):
    Event.objects.update(requires_approval=True)
    week.refresh_from_db()
    alice = sign_up(week, with_schedule=True)
    assert kinds(alice) == ["received"]
    signup.approve(registrations=[alice])
    assert kinds(alice) == ["received", "links", "schedule"]


def change(person: Registration, offered: list[Session], sessions: list[Session]) -> None:
    signup.change(registration=person, offered=offered, sessions=sessions)


def test_schedule_is_emailed_again_only_for_added_sessions_with_an_agenda(week, opening, later):
    alice = sign_up(week, sessions=[opening, later], with_schedule=True)
    send_all()
    change(alice, [opening, later], [later])
    assert kinds(alice)[2:] == ["left", "links"]
    send_all()
    change(alice, [opening], [opening])
    assert kinds(alice)[4:] == ["links", "schedule"]
    send_all()
    das = week.sessions.get(slug="das")
    das.agenda.all().delete()
    change(alice, [das], [das])
    assert kinds(alice)[6:] == ["links"]


@pytest.mark.parametrize("has_agenda", [True, False])
def test_unsent_schedule_is_replaced_and_never_lost(week, opening, later, has_agenda):
    if not has_agenda:
        later.agenda.all().delete()
    alice = sign_up(week, sessions=[opening], with_schedule=True)
    change(alice, [later], [later])
    assert kinds(alice) == ["links", "schedule"]
    assert all(opening.title in text and later.title in text for text in texts(alice))


def test_unsent_schedule_stays_when_a_session_is_dropped(week, opening, later):
    alice = sign_up(week, sessions=[opening, later], with_schedule=True)
    change(alice, [later], [])
    assert sorted(kinds(alice)) == ["links", "schedule"]
    assert all(later.title not in text for text in texts(alice))


def test_promotion_shows_the_agenda_and_needs_no_schedule(week, opening):
    week.sessions.filter(pk=opening.pk).update(capacity=0)
    opening.refresh_from_db()
    alice = sign_up(week, sessions=[opening], with_schedule=True)
    seats.promote(seat=Seat.objects.get())
    assert kinds(alice) == ["links", "promoted"]
    assert all(opening.agenda.first().title in text for text in texts(alice, "promoted"))


@pytest.mark.parametrize("is_waiting", [True, False])
def test_person_who_returns_gets_the_schedule_once_more(alice, is_waiting):
    if not is_waiting:
        send_all()
    signup.cancel(registration=alice)
    signup.restore(registration=alice)
    assert [kind for kind in kinds(alice) if kind in ("links", "schedule")] == (
        ["links", "schedule"] * (1 if is_waiting else 2)
    )


# The language


def test_email_is_in_the_language_at_sending(client, alice, smtp):
    client.post(f"/me/{alice.token}/language/", {"language": "es"})
    delivery.deliver_due(writer.writer_for)
    links, schedule = smtp.to(alice.email)
    assert links["Subject"].startswith("Tus enlaces de Zoom, ")
    assert schedule["Subject"].startswith("Programa detallado, ")
    for sent, said in ((links, "Tu zona horaria:"), (schedule, "en tu zona horaria")):
        for body in ("plain", "html"):
            assert said in " ".join(sent.get_body((body,)).get_content().split())


# The page


def test_page_shows_the_agenda_of_sessions_with_a_spot(client, week, opening, later):
    week.sessions.filter(pk=later.pk).update(capacity=0)
    later.refresh_from_db()
    alice = sign_up(week, sessions=[opening, later])
    page = page_of(client, alice)
    assert opening.title in page
    assert [item.title for item in opening.agenda.all() if item.title not in page] == []
    assert later.title not in page
    assert (
        f'href="/me/{alice.token}/schedule/"' in client.get(f"/me/{alice.token}/").content.decode()
    )


def test_page_is_linked_only_if_there_is_an_agenda(client, week, opening):
    opening.agenda.all().delete()
    alice = sign_up(week, sessions=[opening])
    assert "/schedule/" not in client.get(f"/me/{alice.token}/").content.decode()
    assert "The details are still to come." in page_of(client, alice)


def test_page_leads_to_the_meeting_until_the_session_is_over(client, week, opening):
    opening.agenda.all().delete()
    alice = sign_up(week, sessions=[opening])
    join = f'href="/join/{alice.token}/opening/"'
    assert join in page_of(client, alice)
    with time_machine.travel(opening.ends_at, tick=False):
        page = page_of(client, alice)
    assert (join in page, "The details are still to come." in page) == (False, False)


def test_page_of_someone_who_only_waits_says_so(client, week, opening):
    alice = sign_up(week, sessions=[])
    assert "You have no sessions right now." in page_of(client, alice)
    week.sessions.filter(pk=opening.pk).update(capacity=0)
    bob = sign_up(week, "Bob B", sessions=week.sessions.filter(pk=opening.pk))
    assert "Once you get a spot, you'll see your schedule here." in page_of(client, bob)


def test_canceled_session_is_marked_and_has_no_agenda(client, week, opening):
    alice = sign_up(week, sessions=[opening])
    week.sessions.filter(pk=opening.pk).update(canceled_at=timezone.now())
    page = page_of(client, alice)
    assert "Canceled" in page
    assert opening.agenda.first().title not in page


def test_page_is_kept_out_of_caches_and_referers(client, alice):
    answer = client.get(f"/me/{alice.token}/schedule/")
    headers = [answer[name] for name in ("Cache-Control", "Referrer-Policy", "X-Robots-Tag")]
    assert headers == ["no-store", "no-referrer", "noindex"]
    assert client.post(f"/me/{alice.token}/schedule/").status_code == 405


@pytest.mark.parametrize("status", ["pending", "declined", "canceled"])
def test_page_is_only_for_people_who_are_admitted(client, alice, status):
    if status == "pending":
        Registration.objects.update(approval="pending")
    elif status == "declined":
        signup.decline(registrations=[alice])
        alice.refresh_from_db()
    else:
        signup.cancel(registration=alice)
    answer = client.get(f"/me/{alice.token}/schedule/")
    assert (answer.status_code, answer["Location"]) == (302, f"/me/{alice.token}/")


def test_page_of_an_unknown_or_erased_person_is_not_found(client, alice):
    assert client.get("/me/unknown/schedule/").status_code == 404
    erasure.erase(registration=alice)
    assert client.get(f"/me/{alice.token}/schedule/").status_code == 404
