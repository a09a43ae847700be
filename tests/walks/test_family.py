"""A family of three shares a mailbox, in Spanish, on a small phone without JavaScript."""

import re
from email.message import EmailMessage
from typing import Any

import pytest
from playwright.sync_api import expect

from events.models import Event, Meeting
from events.zoom import sync
from registrations.mail import writer
from registrations.models import OutgoingMail, PersonalLink, Registration
from registrations.outbox import delivery
from registrations.zoom import personal_links
from tests.browser import overflow, unfold
from tests.fake_zoom import FakeZoom
from tests.services.mail import SmtpSink

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(120)]

NAMES = ("Ana Núñez", "Beto Núñez", "Abuela Carmen")


@pytest.fixture
def personal(week: Event, zoom_account: FakeZoom) -> Event:
    """The week, with meetings at Zoom in which each person has their own link."""
    week.zoom_mode, week.zoom_captions = Event.ZoomMode.PERSONAL, False
    week.save()
    sync.sync_meetings()
    return week


def emails_to(name: str, smtp: SmtpSink) -> list[EmailMessage]:
    messages = [received.message for received in smtp.messages]
    return [each for each in messages if f"Hola, {name}:" in text_of(each)]


def text_of(message: EmailMessage) -> str:
    body = message.get_body(("plain",))
    return body.get_content() if body else ""


def admitted(zoom: FakeZoom, event: Event) -> set[tuple[str, str]]:
    """The names and addresses that Zoom lets into each of the meetings."""
    meetings = [
        zoom.meetings[each.zoom_id] for each in Meeting.objects.filter(session__event=event)
    ]
    (first, *others) = [
        {
            (each.first_name, each.email)
            for each in meeting.registrants.values()
            if each.status == "approved"
        }
        for meeting in meetings
    ]
    assert others == [first] * len(others)
    return first


def test_family_of_three_at_one_mailbox(
    new_page: Any,
    live_server: Any,
    settings: Any,
    personal: Event,
    zoom_account: FakeZoom,
    smtp: SmtpSink,
) -> None:
    settings.SITE_URL = live_server.url
    page = new_page(
        locale="es-MX", java_script_enabled=False, viewport={"width": 320, "height": 568}
    )
    page.goto(f"/{personal.slug}/register/")
    page.get_by_label("Nombre", exact=True).fill(NAMES[0])
    page.get_by_role("textbox", name="Correo electrónico").fill("familia@example.org")
    page.get_by_text("Agregar a alguien que usa este mismo correo").press("Enter")
    page.get_by_label("Nombre de la persona 2").fill(NAMES[1])
    page.get_by_label("Nombre de la persona 3").fill(NAMES[2])
    page.get_by_label("Zona horaria").select_option("Este (Nueva York)")
    assert overflow(page) == 0
    page.get_by_role("button", name="Inscribirme").click()
    expect(page.get_by_text(", ".join(NAMES))).to_be_visible()
    assert overflow(page) == 0

    assert sorted(Registration.objects.values_list("name", flat=True)) == sorted(NAMES)
    personal_links.sync_links()
    delivery.deliver_due(writer.writer_for)
    links, pages, zoom_links = set(), {}, set()
    for name in NAMES:
        first, _schedule = emails_to(name, smtp)
        assert first["To"] == "familia@example.org"
        links.add(frozenset(re.findall(r"http\S+/join/[\w-]+/", text_of(first))))
        pages[name] = re.search(r"http\S+/me/[\w-]+/(?=\s)", text_of(first))[0]
        zoom_links.add(
            frozenset(
                PersonalLink.objects.filter(seat__registration__name=name).values_list(
                    "join_url", flat=True
                )
            )
        )
    assert (len(links), len(set(pages.values())), len(zoom_links)) == (3, 3, 3)
    assert len(frozenset.union(*zoom_links)) == 3 * personal.sessions.count()
    assert len(admitted(zoom_account, personal)) == 3

    page.goto(pages[NAMES[1]])
    unfold(page, "Cambiar o cancelar")
    page.get_by_role("link", name="Cancelar mi inscripción").click()
    page.get_by_role("button", name="Cancelar").click()
    PersonalLink.objects.update(due_at=Registration.objects.earliest("pk").created_at)
    personal_links.sync_links()
    assert {email for _name, email in admitted(zoom_account, personal)} == set(
        Registration.objects.active().values_list("zoom_email", flat=True)
    )
    for name in (NAMES[0], NAMES[2]):
        page.goto(pages[name])
        expect(page.get_by_role("heading", name="Tus sesiones")).to_be_visible()
    assert (
        OutgoingMail.objects.filter(kind="left").exclude(registration__name=NAMES[1]).count() == 0
    )
