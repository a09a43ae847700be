"""The card for someone who joins by phone, on their own page and for organizers."""

import re

import pytest
import time_machine
from django.contrib.auth.models import Permission
from playwright.sync_api import expect

from events.models import Event, Meeting, Session
from events.schedule import cancel_session
from registrations import signup
from registrations.models import Registration
from tests.admin_pages import path
from tests.browser import overflow
from tests.people import sign_up
from tests.registrations.views.my_page.pages import own, words

pytestmark = [pytest.mark.django_db, pytest.mark.once]


@pytest.fixture(autouse=True)
def with_contact(week):
    Event.objects.update(contact_email="week@example.org", contact_phone="+1 415 555 2671")
    Meeting.objects.update(passcode="123456")


def organizers_card(person: Registration) -> str:
    return path(person).replace("change/", "phone/")


def test_card_says_when_what_to_dial_what_to_press_and_whom_to_ask(client, week):
    opening = week.sessions.first()
    alice = sign_up(week, sessions=[opening], time_zone="America/New_York")
    card = words(client.get(own(alice, "phone/")))
    starts = opening.starts_at
    assert f"{starts:%A, %B} {starts.day}, 12:00 PM to 4:00 PM E" in card
    assert opening.brief_title in card
    for said in (
        "Drop LWOP Strategy Week , Alice Adams",
        "Dial 1 (669) 900-6833 Meeting ID 812 3456 7891 Passcode 123456",
        "If the line is busy, dial 1 (646) 558-8656 .",
        "*6 turns your microphone on or off. *9 raises your hand.",
        "Questions? Call +1 415 555 2671 or write to week@example.org.",
    ):
        assert said in card


def test_card_is_in_the_readers_language_time_zone_and_for_their_country(client, week):
    Meeting.objects.update(dial_in="+1 669 900 6833\n+49 69 7104 9922 Germany")
    opening = week.sessions.first()
    maria = sign_up(week, "María", sessions=[opening], language="es", time_zone="Europe/Berlin")
    card = words(client.get(own(maria, "phone/")))
    assert "6:00 p. m. a 10:00 p. m. hora de Berlín" in card
    assert "Marca 069 71049922 ID de la reunión 812 3456 7891" in card
    assert "Si está ocupado, marca el 00 1 669-900-6833 ." in card
    assert "*6 enciende o apaga tu micrófono. *9 levanta la mano." in card
    assert "¿Preguntas? Llama al +1 415 555 2671 o escribe a week@example.org." in card


def test_card_has_only_sessions_that_the_person_can_still_join(client, week):
    Session.objects.filter(slug="commutations").update(capacity=1)
    over, canceled, full, _dropped, *rest = week.sessions.all()
    sign_up(week, "Bob B", sessions=[full])
    alice = sign_up(week, sessions=[over, canceled, full, *rest])
    cancel_session(session=canceled)
    with time_machine.travel(over.ends_at, tick=False):
        card = words(client.get(own(alice, "phone/")))
    assert [each.slug for each in week.sessions.all() if each.brief_title in card] == [
        each.slug for each in rest
    ]
    with time_machine.travel(rest[-1].ends_at, tick=False):
        assert "You have no sessions right now." in words(client.get(own(alice, "phone/")))
        assert own(alice, "phone/") not in client.get(own(alice)).content.decode()


@pytest.mark.parametrize(
    ("meeting", "said"),
    [
        (
            {"passcode": "aB3"},
            "Passcode It has letters, which a phone can't dial. Ask us for one that's all numbers.",
        ),
        ({"passcode": "aB3", "phone_passcode": "4711"}, "Passcode 4711"),
        ({"dial_in": ""}, "We don't have the number yet. Ask us the day before."),
        ({"dial_in": "Ask Maria"}, "Dial Ask Maria Meeting ID 812 3456 7891"),
    ],
)
def test_card_without_a_detail_says_what_to_do(client, week, meeting, said):
    Meeting.objects.update(**meeting)
    card = words(client.get(own(sign_up(week), "phone/")))
    assert said in card
    assert "aB3" not in card


def test_other_number_is_only_named_if_all_sessions_have_it(client, week):
    alice = sign_up(week)
    Meeting.objects.filter(session=week.sessions.first()).update(dial_in="+1 669 900 6833")
    assert "If the line is busy" not in words(client.get(own(alice, "phone/")))
    Meeting.objects.filter(session=week.sessions.first()).update(dial_in="")
    assert "If the line is busy" in words(client.get(own(alice, "phone/")))


def test_card_of_a_week_with_personal_links_has_no_number(client, week):
    Event.objects.update(zoom_mode="personal")
    card = words(client.get(own(sign_up(week), "phone/")))
    assert "Ask us how you can join by phone." in card
    assert "Questions? Call +1 415 555 2671" in card
    assert not re.search(r"669|812 3456|Passcode|\*6", card)


@pytest.mark.parametrize(
    ("contacts", "said"),
    [
        ({"contact_phone": ""}, "Questions? Write to week@example.org."),
        ({"contact_email": "", "status": "draft"}, "Questions? Call +1 415 555 2671 ."),
    ],
)
def test_card_names_whom_to_ask(client, week, contacts, said):
    alice = sign_up(week)
    Event.objects.update(**contacts)
    page = client.get(own(alice, "phone/")).content.decode()
    card = re.sub(r"<[^>]+>", " ", page[page.index("<main") : page.index("</main")])
    card = " ".join(card.split())
    assert said in card


def test_own_page_links_to_the_card_which_is_as_private(client, alice):
    assert f'href="{own(alice, "phone/")}"' in client.get(own(alice)).content.decode()
    answer = client.get(own(alice, "phone/"))
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["X-Robots-Tag"] == "noindex"


def test_people_who_are_not_admitted_get_no_card(client, week):
    alice, bob = sign_up(week), sign_up(week, "Bob B")
    Event.objects.update(requires_approval=True)
    charlie = sign_up(Event.objects.get(), "Charlie C")
    signup.cancel(registration=alice)
    signup.decline(registrations=[bob])
    # Declining someone renews their secret link.
    bob.refresh_from_db()
    for person in (alice, bob, charlie):
        assert client.get(own(person, "phone/")).url == own(person)


def test_organizers_print_the_same_card_without_secret_links(admin_client, client, week):
    maria = sign_up(week, "María", language="es", time_zone="Europe/Berlin")
    assert organizers_card(maria) in admin_client.get(path(maria)).content.decode()
    answer = admin_client.get(organizers_card(maria))
    assert "no-store" in answer["Cache-Control"]
    page = answer.content.decode()
    assert maria.token not in page
    card = re.compile(r'<div class="phone-card">.*</main>', re.DOTALL)
    own_page = client.get(own(maria, "phone/")).content.decode()
    assert card.search(page)[0] == card.search(own_page)[0]
    # In the person's language, whatever the organizer's.
    assert '<html lang="es"' in page


def test_only_people_who_may_change_registrations_see_the_card(client, django_user_model, alice):
    looker = django_user_model.objects.create_user("looker", "l@example.org", "x", is_staff=True)
    client.force_login(looker)
    looker.user_permissions.add(Permission.objects.get(codename="view_registration"))
    assert organizers_card(alice) not in client.get(path(alice)).content.decode()
    assert client.get(organizers_card(alice)).status_code == 403
    looker.user_permissions.add(Permission.objects.get(codename="change_registration"))
    assert client.get(organizers_card(alice)).status_code == 200


def test_organizers_get_no_card_of_someone_who_is_not_coming(admin_client, alice):
    signup.cancel(registration=alice)
    assert organizers_card(alice) not in admin_client.get(path(alice)).content.decode()
    answer = admin_client.get(organizers_card(alice), follow=True)
    assert "There&#x27;s no card: this person isn&#x27;t coming." in answer.content.decode()
    for unknown in ("0", "x", "9" * 30):
        url = path(alice).replace(f"/{alice.pk}/change/", f"/{unknown}/phone/")
        assert admin_client.get(url).status_code == 404


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("language", ["en", "es"])
def test_six_sessions_fit_on_a_page_of_letter_paper(new_page, live_server, week, language):
    alice = sign_up(week, language=language)
    page = new_page(viewport={"width": 320, "height": 800})
    page.goto(own(alice, "phone/"))
    assert overflow(page) == 0
    paper = page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", paper)) == 1
    # Letter paper, in points.
    assert re.search(rb"/MediaBox\s*\[0 0 612 792\]", paper)
    page.emulate_media(media="print")
    # Nothing that only a screen needs, and digits that are easy to read: 22 points.
    expect(page.locator(".crumb")).to_be_hidden()
    expect(page.locator(".site-header")).to_be_hidden()
    number = page.locator("dd").first
    assert number.evaluate("dd => parseFloat(getComputedStyle(dd).fontSize)") == pytest.approx(
        22 * 96 / 72, 0.001
    )
