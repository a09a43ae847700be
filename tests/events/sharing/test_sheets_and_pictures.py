"""What people share: flyers with a QR code, the schedule on one page, links, and pictures."""

import io
import re

import pytest
import zxingcpp
from django.conf import settings
from django.utils import timezone
from PIL import Image
from playwright.sync_api import expect

from events.models import Event
from events.schedule import cancel_session
from events.sharing import pictures, qr_code
from tests.browser import overflow
from tests.people import in_english, published_event

pytestmark = [pytest.mark.django_db, pytest.mark.once]

SHEETS = ("flyer", "printed-schedule")
IN_BROWSER = pytest.mark.django_db(transaction=True)


def image(client, path: str) -> Image.Image:
    answer = client.get(path)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
    return Image.open(io.BytesIO(answer.content))


def pages_of(pdf: bytes) -> int:
    return len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf))


@IN_BROWSER
@pytest.mark.parametrize("sheet", SHEETS)
@pytest.mark.parametrize("language", ["en", "es"])
def test_sheet_is_one_page_whose_qr_code_leads_to_the_week(
    browser, live_server, week, settings, language, sheet
):
    settings.SITE_URL = "https://week.example.org"
    page = browser.new_page(viewport={"width": 320, "height": 800})
    page.goto(f"{live_server.url}/{week.slug}/{sheet}/?in={language}")
    assert overflow(page) == 0
    seen = page.locator(".qr").screenshot()
    assert pages_of(page.pdf(prefer_css_page_size=True)) == 1
    (code,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(seen)))
    query = "" if language == "en" else f"?language={language}"
    assert code.text == f"https://week.example.org/{week.slug}/{query}"
    assert f"week.example.org/{week.slug}" in page.locator(".sheet__address").inner_text()
    page.close()


def test_sheets_show_what_takes_place(client, week):
    first, second, *_others = week.sessions.all()
    cancel_session(session=first)
    for sheet in SHEETS:
        text = client.get(f"/{week.slug}/{sheet}/").content.decode()
        assert first.title not in text
        assert second.title in text


@pytest.mark.parametrize("sheet", [*SHEETS, "picture.png"])
def test_draft_is_not_shared(client, admin_client, week, sheet):
    Event.objects.update(status="draft")
    assert client.get(f"/{week.slug}/{sheet}/".replace("png/", "png")).status_code == 404
    assert admin_client.get(f"/{week.slug}/{sheet}/".replace("png/", "png")).status_code == 200


@pytest.mark.parametrize("sheet", [*SHEETS, "picture.png"])
def test_event_without_sessions_can_be_shared(client, sheet):
    published_event(name="Soon", slug="soon")
    assert client.get(f"/soon/{sheet}/".replace("png/", "png")).status_code == 200


def test_sheet_says_nothing_of_registering_once_it_has_closed(client, week):
    assert "Register here" in client.get(f"/{week.slug}/flyer/").content.decode()
    Event.objects.update(registration_closes_at=timezone.now())
    assert "Register here" not in client.get(f"/{week.slug}/flyer/?x=1").content.decode()


def test_qr_code_keeps_to_the_content_security_policy():
    svg = qr_code.svg("https://week.example.org/drop-lwop-2021/?language=es")
    assert " style=" not in svg
    assert "<script" not in svg


def test_each_page_names_its_picture(client, week):
    for path in (f"/{week.slug}/", week.sessions.first().get_absolute_url()):
        for query in ("", "?in=es"):
            head = client.get(f"{path}{query}").content.decode()
            (url,) = re.findall('<meta property="og:image" content="([^"]*)">', head)
            assert url == f"{settings.SITE_URL}{path}picture.png{query}"
            shown = image(client, url.removeprefix(settings.SITE_URL))
            assert shown.size == (pictures.WIDTH, pictures.HEIGHT)


def test_pictures_differ_by_language_and_session(client, week):
    first, second, *_others = (each.get_absolute_url() for each in week.sessions.all())
    paths = [f"/{week.slug}/", f"{first}", f"{second}"]
    urls = [f"{path}picture.png{query}" for path in paths for query in ("", "?in=es")]
    assert len({client.get(url).content for url in urls}) == len(urls)


@pytest.mark.parametrize("name", ["W" * 150, "long " * 30, "李 Ж ع 🌅", "\u200b", " ", "'<&>\""])
def test_any_name_has_a_picture(client, week, name):
    Event.objects.update(**in_english(name=name))
    assert image(client, f"/{week.slug}/picture.png").size == (pictures.WIDTH, pictures.HEIGHT)


def test_title_stays_in_the_picture():
    """Nothing is drawn in the margins, which a longer line would reach."""
    for title in ("W" * 150, "Wide words " * 14, "Ways to end LWOP"):
        shown = Image.open(io.BytesIO(pictures.shared(title, "Us", "Soon"))).convert("RGB")
        right = shown.crop((pictures.WIDTH - 40, 300, pictures.WIDTH, pictures.HEIGHT))
        assert len(right.getcolors()) == 1, title


def test_touch_icon(client):
    assert image(client, "/touch-icon.png").size == (180, 180)


@IN_BROWSER
def test_link_is_copied_and_says_so(browser, live_server, week, settings):
    settings.SITE_URL = live_server.url
    context = browser.new_context(permissions=["clipboard-read", "clipboard-write"])
    page = context.new_page()
    page.goto(f"{live_server.url}/{week.slug}/?in=es")
    page.get_by_role("button", name="Copiar el enlace").click()
    expect(page.locator("#spread + div [role=status]")).to_have_text("Copiado.")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == f"{live_server.url}/{week.slug}/?language=es"
    page.goto(copied)
    assert page.locator("html").get_attribute("lang") == "es"
    context.close()


@IN_BROWSER
def test_buttons_that_need_javascript_are_hidden_without_it(browser, live_server, week):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{live_server.url}/{week.slug}/")
    for name in ("Share", "Copy the link"):
        expect(page.get_by_role("button", name=name)).to_have_count(0)
    expect(page.get_by_role("link", name="Email a friend")).to_be_visible()
    page.get_by_role("link", name="Print a flyer").click()
    expect(page.get_by_role("button", name="Print")).to_have_count(0)
    expect(page.locator(".qr")).to_be_visible()
    context.close()
