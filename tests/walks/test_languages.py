"""From the front page to the email, the calendar and the join page: in Spanish on a small phone
without JavaScript, and in English in New York.

Emails go to a real mail server. The time stands still in September 2030.
"""

import datetime as dt
import re
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import time_machine
from icalendar import Calendar
from playwright.sync_api import Locator, Page, expect

from events.models import Event
from registrations.mail import writer
from registrations.outbox import delivery
from tests.browser import overflow, unfold
from tests.people import coming_week
from tests.services.mail import SmtpSink

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180), pytest.mark.once]

# A Friday. The week starts on Saturday, October 12.
NOW = dt.datetime(2030, 9, 20, 18, tzinfo=dt.UTC)
TITLE = "Opening session: ways to reduce and end LWOP, opportunities and obstacles, efforts"


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


@pytest.fixture
def week(clock: Any) -> Event:
    return coming_week()


@pytest.fixture
def mailed(smtp: SmtpSink, settings: Any, live_server: Any) -> Callable[[], EmailMessage]:
    """Send what is due, and return the first of the emails: the schedule comes after the links."""
    settings.SITE_URL = live_server.url

    def newest() -> EmailMessage:
        before = len(smtp.messages)
        delivery.deliver_due(writer.writer_for)
        return smtp.wait_for(before + 1)[before].message

    return newest


def words(text: str) -> str:
    """A text without its line breaks and tags."""
    return " ".join(re.sub(r"<[^>]+>", " ", text).split())


def bodies(email: EmailMessage) -> tuple[str, str]:
    """The text and the HTML, as they are read."""
    parts = (email.get_body((kind,)) for kind in ("plain", "html"))
    text, html = (part.get_content() for part in parts if part)
    return text, html


def entries(ical: str | bytes) -> list[Any]:
    return Calendar.from_ical(ical).walk("VEVENT")


def attached(email: EmailMessage) -> list[Any]:
    """The entries of the calendar that an email has."""
    (file,) = [part for part in email.iter_attachments() if part.get_filename()]
    return entries(file.get_content())


def says(place: Page | Locator, *texts: str) -> None:
    for text in texts:
        expect(place.get_by_text(text).first).to_be_visible()


def first_time(page: Page) -> str:
    """The first time on the page, with the lines below it."""
    time = page.locator("time.when").first
    below = time.locator("xpath=following-sibling::span")
    lines = [line.inner_text() for line in (time, *below.all()) if line.is_visible()]
    return "\n".join(" ".join(line.split()) for line in lines if line.strip())


def own_feed(page: Page, token: str) -> str:
    return page.request.get(f"/calendar/{token}.ics").text()


def test_spanish_on_a_small_phone_without_javascript(new_page, clock, week, mailed):
    page = new_page(
        locale="es-MX", java_script_enabled=False, viewport={"width": 320, "height": 568}
    )
    page.goto("/")
    expect(page.locator("html")).to_have_attribute("lang", "es")
    assert first_time(page) == (
        "Sábado 12 de octubre, 9:00 a. m. a 1:00 p. m. hora del Pacífico\n"
        "9:00 a. m. Pacífico · 10 Montaña · 11 Centro · 12:00 p. m. Este"
    )
    page.get_by_role("link", name="Inscribirme").first.click()
    page.get_by_label("Nombre", exact=True).fill("María José Ñúñez")
    page.get_by_role("textbox", name="Correo electrónico").fill("maria@example.org")
    page.get_by_label("Zona horaria").select_option("Este (Nueva York)")
    assert overflow(page) == 0
    page.get_by_role("button", name="Inscribirme").click()
    expect(page.get_by_role("heading", name="Revisa tu correo")).to_be_visible()
    says(page, "Enviamos tus enlaces de Zoom a maria@example.org.")

    email = mailed()
    token = check_spanish_email(email)
    says_in_spanish(entries(own_feed(page, token))[0])

    page.goto(re.search(r"http\S+/me/[\w-]+/(?=\s)", bodies(email)[0])[0])
    expect(page.get_by_role("heading", name="Tus sesiones")).to_be_visible()
    says(page, "Hola, María José Ñúñez. Esta es tu página para", "Esta página es solo para ti.")
    assert first_time(page) == (
        "Sábado 12 de octubre, 12:00 p. m. a 4:00 p. m. hora del Este\n"
        "9:00 a. m. a 1:00 p. m. hora del Pacífico"
    )
    page.get_by_role("link", name="Elegir otras sesiones").click()
    page.get_by_label("Legislación y políticas públicas").uncheck()
    page.get_by_role("button", name="Guardar").click()
    says(page, "Guardamos tus cambios.")
    expect(page.locator("[data-part]")).to_have_count(5)
    assert overflow(page) == 0

    page.get_by_role("button", name="English").click()
    expect(page.get_by_role("heading", name="Your sessions")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    clock.shift(dt.timedelta(minutes=20))
    unfold(page, "Change or cancel")
    page.get_by_role("button", name="Email me my links again").click()
    check_english_email(mailed(), sessions=5)
    description = str(entries(own_feed(page, token))[0]["DESCRIPTION"])
    assert description.startswith("Join: http")


def check_spanish_email(email: EmailMessage) -> str:
    """Check all that María reads, and return the token in its links."""
    assert email["Subject"] == (
        "Tus enlaces de Zoom, del 12 al 19 de octubre: Semana de Estrategia Drop LWOP"
    )
    text, html = bodies(email)
    assert '<html lang="es"' in html
    for shown in (words(text), words(html)):
        assert "Hola, María José Ñúñez:" in shown
        assert "Aquí están tus sesiones, cada una con tu enlace personal para entrar." in shown
        assert "Tu zona horaria: Este (Nueva York)" in shown
        assert "12:00 p. m. a 4:00 p. m. hora del Este" in shown
        assert "9:00 a. m. a 1:00 p. m. hora del Pacífico" in shown
        assert "ID de la reunión de Zoom: 812 3456 7891" in shown
        assert "Código de acceso: code-1" in shown
    says_in_spanish(attached(email)[0])
    return re.search(r"/me/([\w-]+)/", text)[1]


def says_in_spanish(entry: Any) -> None:
    lines = str(entry["DESCRIPTION"]).splitlines()
    assert re.fullmatch(r"Para entrar: http\S+/opening/", lines[0])
    assert lines[1:] == [
        "ID de la reunión de Zoom: 812 3456 7891",
        "Código de acceso: code-1",
        "Por teléfono: +1 669 900 6833 (San Jose)",
        "Por teléfono: +1 646 558 8656 (New York)",
        "Llamar con un toque: +16699006833,,81234567891#",
        "Si llamas, marca *6 para activar tu micrófono y *9 para levantar la mano.",
    ]


def check_english_email(email: EmailMessage, *, sessions: int) -> None:
    assert email["Subject"] == "Your Zoom links for Oct 12–19: Drop LWOP Strategy Week"
    text, html = bodies(email)
    assert '<html lang="en"' in html
    for shown in (words(text), words(html)):
        assert "Your time zone: Eastern (New York)" in shown
        eastern = shown.index("12:00 PM to 4:00 PM EDT")
        assert eastern < shown.index("9:00 AM to 1:00 PM PDT")
    assert len(attached(email)) == sessions


def shows_eastern_then_pacific(page: Page) -> None:
    # Once the script has written it.
    expect(page.locator("time.when").first).to_contain_text("EDT")
    assert first_time(page) == (
        "Saturday, October 12, 12:00 PM to 4:00 PM EDT\n9:00 AM to 1:00 PM PDT"
    )


def test_english_in_new_york_shows_eastern_times_first(new_page, week, mailed):
    page = new_page(locale="en-US", timezone_id="America/New_York")
    page.goto("/")
    shows_eastern_then_pacific(page)
    page.get_by_role("link", name=TITLE).first.click()
    shows_eastern_then_pacific(page)
    page.get_by_role("link", name="Register").click()
    expect(page.get_by_label("Time zone")).to_have_value("America/New_York")
    shows_eastern_then_pacific(page)
    page.get_by_label("Name", exact=True).first.fill("Alice Adams")
    page.get_by_role("textbox", name="Email").fill("alice@example.org")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_role("heading", name="Check your email")).to_be_visible()

    email = mailed()
    check_english_email(email, sessions=6)
    text = bodies(email)[0]
    page.goto(re.search(r"http\S+/me/[\w-]+/(?=\s)", text)[0])
    expect(page.get_by_role("heading", name="Your sessions")).to_be_visible()
    shows_eastern_then_pacific(page)
    says(page, "Your time zone: Eastern (New York). The week is planned in Pacific")
    page.goto(re.search(r"http\S+/join/\S+/opening/", text)[0])
    says(page, "This session opens Saturday, October 12, at 11:45 AM")
    shows_eastern_then_pacific(page)

    token = re.search(r"/me/([\w-]+)/", text)[1]
    public = page.request.get(f"/{week.slug}/calendar.ics").text()
    for ical in (own_feed(page, token), public):
        # In UTC, which every calendar shows in the reader's own zone.
        starts = entries(ical)[0]["DTSTART"].dt
        assert starts.tzinfo == ZoneInfo("UTC")
        assert f"{starts.astimezone(ZoneInfo('America/New_York')):%H:%M}" == "12:00"


SMALL = {"viewport": {"width": 320, "height": 568}}


@pytest.mark.parametrize("javascript", [False, True])
def test_switching_the_language_keeps_what_was_typed(new_page, week, javascript):
    page = new_page(locale="en-US", java_script_enabled=javascript, **SMALL)
    page.goto(f"/{week.slug}/register/")
    page.get_by_label("Name", exact=True).first.fill("María José")
    page.get_by_role("textbox", name="Email").fill("maria@")
    page.get_by_label("Time zone").select_option("America/New_York")
    page.get_by_label("Increasing Commutations").uncheck()
    assert overflow(page) == 0
    page.get_by_role("button", name="Español").click()
    expect(page.get_by_role("heading", name="Inscribirme", level=1)).to_be_visible()
    expect(page.get_by_label("Nombre", exact=True)).to_have_value("María José")
    expect(page.get_by_label("Zona horaria")).to_have_value("America/New_York")
    expect(page.locator("input[name=sessions]:checked")).to_have_count(5)
    expect(page.get_by_role("group", name="Inscripción pendiente")).to_have_count(0)
    assert overflow(page) == 0
    # The Enter key registers: it doesn't switch.
    email = page.get_by_role("textbox", name="Correo electrónico")
    email.fill("maria@example.org")
    email.press("Enter")
    expect(page.get_by_role("heading", name="Revisa tu correo")).to_be_visible()
    maria = week.registrations.get()
    assert (maria.language, maria.seats.count()) == ("es", 5)

    page.goto(f"{maria.get_absolute_url()}change/")
    page.get_by_label("Organización").fill("Familias")
    page.get_by_role("button", name="English").click()
    expect(page.get_by_label("Organization")).to_have_value("Familias")
    assert overflow(page) == 0
    page.get_by_label("Organization").press("Enter")
    says(page, "Your changes are saved.")
    maria.refresh_from_db()
    assert (maria.language, maria.organization) == ("en", "Familias")
