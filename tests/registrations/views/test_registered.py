"""The page after registering: it thanks, shows what was chosen, and tells nothing else."""

import datetime as dt
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.core import signing
from django.test import Client
from django.utils import timezone
from icalendar import Calendar
from playwright.sync_api import expect

from registrations import signup
from registrations.models import OutgoingMail, Registration
from tests.browser import overflow
from tests.people import filled_form, in_spanish, published_event, sign_up, without_token

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def registered(client: Client, week, **changes) -> str:
    answer = client.post(f"/{week.slug}/register/", filled_form(week, **changes), follow=True)
    assert answer.redirect_chain == [(f"/{week.slug}/register/done/", 302)]
    assert answer.status_code == 200
    return without_token(answer)


def test_thanks_by_name_and_shows_what_was_chosen_in_the_persons_time(client, week):
    first, second, *_others = week.sessions.all()
    text = registered(
        client, week, name="O'Brien & Co", sessions=[first.pk], time_zone="America/New_York"
    )
    assert "Thank you, O&#x27;Brien &amp; Co." in text
    assert first.title in text
    assert second.title not in text
    # Hers first, then the week's.
    assert text.index("12:00 PM to 4:00 PM E") < text.index("9:00 AM to 1:00 PM P")


def test_loading_it_again_registers_no_one_again(client, week):
    text = registered(client, week)
    again = client.get(f"/{week.slug}/register/done/")
    assert without_token(again) == text
    assert Registration.objects.count() == 1
    assert "no-store" in again["Cache-Control"]
    # With no-referrer browsers send "Origin: null" with its form, which the check for CSRF refuses.
    assert again["Referrer-Policy"] == "same-origin"


def test_is_the_same_for_an_address_that_is_registered(client, week):
    new = registered(client, week, name="Bob B", email="alice@example.org")
    person = Registration.objects.get()
    signup.cancel(registration=person, by_organizer=True)
    sign_up(week, "Alice Adams", sessions=[week.sessions.last()])
    assert registered(Client(), week, name="Bob B", email="alice@example.org") == new


def test_is_only_for_who_registered_and_for_half_an_hour(client, week):
    page = f"/{week.slug}/register/done/"
    blank = f"/{week.slug}/register/"
    assert client.get(page)["Location"] == blank
    with time_machine.travel(timezone.now(), tick=False) as clock:
        registered(client, week)
        assert Client().get(page)["Location"] == blank
        clock.shift(dt.timedelta(minutes=31))
        assert client.get(page)["Location"] == blank


@pytest.mark.parametrize("cookie", ["", "x", "a:b:c", "x" * 4000, '{"event": 1}'])
def test_cookie_that_we_did_not_sign_shows_nothing(client, week, cookie):
    client.cookies["registered"] = cookie
    answer = client.get(f"/{week.slug}/register/done/")
    assert answer["Location"] == f"/{week.slug}/register/"


def test_cookie_of_another_event_shows_nothing(client, week):
    registered(client, week)
    published_event(name="Other", slug="other")
    client.cookies["registered"]["path"] = "/"
    assert client.get("/other/register/done/")["Location"] == "/other/register/"


def test_language_switch_stays_on_the_page(client, week):
    registered(client, week, name="Alicia A")
    answer = client.get(f"/{week.slug}/register/done/?language=es", follow=True)
    assert "Gracias, Alicia A." in answer.content.decode()


def test_session_that_was_deleted_meanwhile_is_left_out(client, week):
    first, *others = week.sessions.all()
    registered(client, week)
    type(first).objects.filter(pk=first.pk).update(status="draft")
    text = client.get(f"/{week.slug}/register/done/").content.decode()
    assert first.title not in text
    assert others[0].title in text


@pytest.mark.parametrize("count", [1, 3])
def test_page_takes_the_same_queries_for_1_session_as_for_3(
    client, week, count, django_assert_num_queries
):
    registered(client, week, sessions=[each.pk for each in week.sessions.all()[:count]])
    # The event and its sessions.
    with django_assert_num_queries(2):
        client.get(f"/{week.slug}/register/done/")


def test_session_goes_into_any_calendar(client, week):
    session = week.sessions.first()
    type(session).objects.filter(pk=session.pk).update(**in_spanish(title="Sesión & más"))
    client.cookies["django_language"] = "es"
    text = registered(client, week, sessions=[session.pk]).replace("&amp;", "&")
    links = {urlsplit(each).hostname: each for each in text.split('"') if each.startswith("https:")}
    google = parse_qs(urlsplit(links["calendar.google.com"]).query)
    starts, ends = google["dates"][0].split("/")
    assert dt.datetime.strptime(starts, "%Y%m%dT%H%M%S%z") == session.starts_at
    assert dt.datetime.strptime(ends, "%Y%m%dT%H%M%S%z") == session.ends_at
    assert google["text"] == ["Sesión & más"]
    outlook = parse_qs(urlsplit(links["outlook.live.com"]).query)
    assert dt.datetime.fromisoformat(outlook["startdt"][0]) == session.starts_at
    assert outlook["subject"] == ["Sesión & más"]
    file = client.get(f"{session.get_absolute_url()}calendar.ics?in=es")
    (entry,) = Calendar.from_ical(file.content).events
    assert entry["SUMMARY"] == "Sesión & más"
    # The same entry as in the emails: it is replaced there by the one with the link.
    assert entry["UID"] == f"{session.uid}@strategyweek"
    assert "zoom.example" not in file.content.decode()


@pytest.mark.django_db(transaction=True)
def test_fits_a_small_phone_without_javascript(browser, live_server, week):
    context = browser.new_context(
        viewport={"width": 320, "height": 640}, java_script_enabled=False, locale="es-US"
    )
    page = context.new_page()
    page.goto(f"{live_server.url}/{week.slug}/register/")
    page.locator("#id_name").fill("Ana")
    page.locator("#id_email").fill("ana@example.org")
    page.locator("select[name=time_zone]").select_option("America/Chicago")
    page.get_by_role("button", name="Inscribirme").click()
    expect(page.get_by_role("heading", name="Gracias, Ana.")).to_be_visible()
    assert overflow(page) == 0
    page.get_by_text("Agregar al calendario").first.click()
    expect(page.get_by_role("link", name="Google").first).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Gracias, Ana.")).to_be_visible()
    assert Registration.objects.count() == 1
    context.close()


# A mistyped address


def correct(client: Client, week, email: str):
    return client.post(f"/{week.slug}/register/done/", {"email": email}, follow=True)


def people() -> list[tuple[str, bool]]:
    """The address of each registration, and whether it is active."""
    rows = Registration.objects.order_by("pk").values_list("email", "canceled_at")
    return [(email, canceled_at is None) for email, canceled_at in rows]


def test_corrected_address_keeps_the_last_spot(client, week):
    session = week.sessions.first()
    type(session).objects.filter(pk=session.pk).update(capacity=1)
    registered(client, week, email="ana@gmial.com", sessions=[session.pk])
    before = Registration.objects.get()
    answer = correct(client, week, "ana@gmail.com")
    assert "ana@gmail.com" in answer.content.decode()
    assert "ana@gmial.com" not in answer.content.decode()
    after = Registration.objects.get()
    assert (after.pk, after.email) == (before.pk, "ana@gmail.com")
    assert after.seats.get().state == "seated"
    # What was sent to a stranger opens nothing.
    assert after.token != before.token
    assert [mail.state for mail in after.mails.filter(kind="links").order_by("pk")] == [
        "dropped",
        "waiting",
    ]


def test_correcting_to_an_address_that_is_registered_frees_the_mistyped_spots(client, week):
    sign_up(week, "Ana A", email="ana@gmail.com", sessions=[week.sessions.last()])
    registered(client, week, name="Ana A", email="ana@gmial.com")
    correct(client, week, "ana@gmail.com")
    assert people() == [("ana@gmail.com", True), ("ana@gmial.com", False)]
    assert Registration.objects.active().get().seats.count() == 1


def test_someone_else_whose_address_was_typed_loses_nothing(client, week):
    sign_up(week, "Alice Adams", sessions=[week.sessions.last()])
    alice = Registration.objects.get()
    session = week.sessions.first()
    fields = {"needs": ["asl"], "needs_other": "A chair", "sessions": [session.pk]}
    registered(client, week, name="Ana A", email="alice@example.org", **fields)
    answer = correct(client, week, "ana@example.org")
    assert "ana@example.org" in answer.content.decode()
    alice.refresh_from_db()
    assert (alice.email, alice.canceled_at) == ("alice@example.org", None)
    ana = Registration.objects.exclude(pk=alice.pk).get()
    assert (ana.name, ana.email, ana.needs) == ("Ana A", "ana@example.org", ["asl"])
    assert ana.needs_other == "A chair"
    assert [seat.session for seat in ana.seats.all()] == [session]


def test_address_that_was_used_is_not_moved(client, week):
    registered(client, week, email="ana@example.org")
    Registration.objects.update(verified_at=timezone.now())
    correct(client, week, "else@example.org")
    assert people() == [("ana@example.org", True), ("else@example.org", True)]


def test_wrong_correction_says_what_is_wrong_and_changes_nothing(client, week):
    registered(client, week, email="ana@example.org")
    answer = client.post(f"/{week.slug}/register/done/", {"email": "ana"})
    assert "Enter an email address, such as maria@example.org." in answer.content.decode()
    assert people() == [("ana@example.org", True)]
    assert Client().post(f"/{week.slug}/register/done/", {"email": "x@y.org"}).status_code == 302
    assert people() == [("ana@example.org", True)]


def test_the_same_address_again_sends_nothing(client, week):
    registered(client, week, email="ana@example.org")
    correct(client, week, "ana@example.org")
    assert Registration.objects.get().mails.filter(kind="links").count() == 1


def test_corrections_count_toward_the_limits(client, week, settings):
    settings.ACCOUNT_RATE_LIMITS = {**settings.ACCOUNT_RATE_LIMITS, "register": "2/m/ip"}
    registered(client, week, email="ana@example.org")
    assert correct(client, week, "ana1@example.org").status_code == 200
    answer = client.post(f"/{week.slug}/register/done/", {"email": "ana2@example.org"})
    assert answer.status_code == 429
    assert "Not changed yet" in answer.content.decode()
    assert people() == [("ana1@example.org", True)]


def readable(client: Client) -> dict:
    """What a visitor can read in their cookie: it's signed, but not encrypted."""
    return signing.loads(client.cookies["registered"].value, salt="registered")


def test_cookie_does_not_tell_whether_someone_is_registered(week):
    new, known = Client(), Client()
    registered(new, week)
    registered(known, week)
    assert Registration.objects.count() == 1
    assert readable(new) == readable(known)


def test_two_presses_of_the_button_keep_the_spot_when_the_address_is_corrected(client, week):
    registered(client, week, email="ana@gmial.com")
    (before,) = Registration.objects.all()
    registered(client, week, email="ana@gmial.com")
    for _press in range(2):
        correct(client, week, "ana@gmail.com")
    assert people() == [("ana@gmail.com", True)]
    assert Registration.objects.get().pk == before.pk


def test_person_added_afterwards_is_corrected_too(client, week):
    registered(client, week, name="Ana", email="ana@gmial.com")
    registered(client, week, name="Ben", email="ana@gmial.com")
    correct(client, week, "ana@gmail.com")
    assert people() == [("ana@gmail.com", True), ("ana@gmail.com", True)]


def test_address_corrected_twice_leaves_no_one_behind(client, week):
    registered(Client(), week, email="known@example.org")
    registered(client, week, email="known@example.org")
    correct(client, week, "ana@gmial.com")
    correct(client, week, "ana@gmail.com")
    assert people() == [("known@example.org", True), ("ana@gmail.com", True)]


def test_correction_tells_a_stranger_nothing_about_the_right_address(client, week):
    sign_up(week, "Alice Adams", email="alice@example.org")
    registered(client, week, email="stranger@example.org")
    token = Registration.objects.get(email="stranger@example.org").token
    correct(client, week, "alice@example.org")
    assert client.get(f"/me/{token}/").status_code == 404
    waiting = OutgoingMail.objects.filter(registration__email="stranger@example.org")
    assert set(waiting.values_list("state", flat=True)) == {"dropped"}


def test_no_one_is_added_once_registration_has_closed(client, week):
    """Not even with the page of someone whose address was registered before."""
    sign_up(week, "Ana A", email="alice@example.org")
    registered(client, week, name="Ana A", email="alice@example.org")
    type(week).objects.update(registration_closes_at=timezone.now())
    answer = correct(client, week, "ana@example.org")
    assert "Registration has closed" in answer.content.decode()
    assert people() == [("alice@example.org", True)]


def test_page_is_shown_even_after_very_long_answers(client, week):
    week.questions.create(kind="long", text="Why?", is_asked=True)
    name = f"question_{week.questions.get().pk}"
    text = "".join(chr(0x4E00 + number) for number in range(2000))
    assert "Thank you, " in registered(client, week, **{name: text})


def test_correcting_requires_a_csrf_token(week):
    strict = Client(enforce_csrf_checks=True)
    assert strict.post(f"/{week.slug}/register/done/", {"email": "x@y.org"}).status_code == 403
