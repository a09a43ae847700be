"""What people share: flyers with a QR code, the schedule on one page, links, and pictures."""

import io
import re

import pytest
import zxingcpp
from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from PIL import Image, ImageChops, ImageColor
from playwright.sync_api import expect

from events.images.processing import Size, reencode
from events.images.storage import replace_images
from events.models import Event, Meeting
from events.schedule import cancel_session
from events.sharing import pictures, qr_code
from events.sharing.palette import SETS
from tests.browser import overflow
from tests.events.images.pictures import picture
from tests.people import in_english, published_event
from tests.services.process import BASE_DIR

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


def test_flyer_says_that_any_phone_will_do_only_with_phone_numbers(client, week):
    text = "By computer, smartphone, or any phone."
    assert text in client.get(f"/{week.slug}/flyer/").text
    Meeting.objects.update(dial_in="")
    assert text not in client.get(f"/{week.slug}/flyer/?x=1").text


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


def test_pictures_are_kept_for_an_hour_but_an_organizers_may_be_of_a_draft(
    client, admin_client, week
):
    for path in (f"/{week.slug}/", week.sessions.first().get_absolute_url()):
        for _again in range(2):
            answer = client.get(f"{path}picture.png")
            assert answer["Cache-Control"] == "public, max-age=3600"
            assert "Expires" not in answer
        assert admin_client.get(f"{path}picture.png")["Cache-Control"] == "private, no-cache"


@pytest.mark.parametrize("name", ["W" * 150, "long " * 30, "李 Ж ع 🌅", "\u200b", " ", "'<&>\""])
def test_any_name_has_a_picture(client, week, name):
    Event.objects.update(**in_english(name=name))
    assert image(client, f"/{week.slug}/picture.png").size == (pictures.WIDTH, pictures.HEIGHT)


def test_title_stays_in_the_picture():
    """Nothing is drawn in the margins, which a longer line would reach."""
    for title in ("W" * 150, "Wide words " * 14, "Ways to end LWOP"):
        content = pictures.shared(title, "Us", "Soon", "bars", "sunrise")
        shown = Image.open(io.BytesIO(content)).convert("RGB")
        right = shown.crop((pictures.WIDTH - 40, 300, pictures.WIDTH, pictures.HEIGHT))
        assert len(right.getcolors()) == 1, title


def test_pictures_and_sheets_have_the_poster_and_colors(client, week):
    pictures_seen, flyers = set(), set()
    for poster, colors in (("bars", "sunrise"), ("hills", "sunrise"), ("hills", "clay")):
        Event.objects.update(poster=poster, colors=colors)
        shown = image(client, f"/{week.slug}/picture.png?of={poster}-{colors}").convert("RGB")
        # Beside the title there is nothing but the ground.
        assert shown.getpixel((1190, 500)) == ImageColor.getrgb(SETS[colors]["sun"])
        pictures_seen.add(shown.tobytes())
        flyer = client.get(f"/{week.slug}/flyer/?of={poster}-{colors}").content.decode()
        assert f'data-colors="{colors}"' in flyer
        flyers.add(flyer.count("dawn__bars") + 10 * flyer.count("dawn__far"))
    assert (len(pictures_seen), flyers) == (3, {1, 11})


def test_own_picture_is_in_the_shared_picture_and_on_the_flyer(client, week):
    wide, phone = reencode(picture(), [Size(900, 900, 90_000), Size(400, 200, 9_000, crop=True)])
    replace_images(owner=week, images={"poster_wide": wide, "poster_phone": phone})
    Event.objects.update(poster="own")
    shown = image(client, f"/{week.slug}/picture.png").convert("RGB")
    # It's red on the left and blue on the right.
    reds, _greens, blues = (each.tobytes() for each in shown.split())
    left, right = (100 * shown.width + x for x in (100, 1100))
    assert (reds[left] > 200, blues[right] > 200) == (True, True)
    assert f"/images/{week.poster_phone_id}.webp" in client.get(f"/{week.slug}/flyer/").text


@pytest.mark.parametrize("poster", [each for each in Event.Poster.values if each != "own"])
def test_drawing_with_pillow_shows_what_a_browser_shows(browser, poster):
    """In a window of the picture's shape, with the colors of the light scheme."""
    css = "".join((BASE_DIR / f"static/css/{each}.css").read_text() for each in ("tokens", "event"))
    svg = render_to_string(f"events/posters/{poster}.svg")
    page = browser.new_page(viewport={"width": 1200, "height": 200})
    styles = "body { margin: 0; background: var(--poster) } .dawn { block-size: 100vh; }"
    page.set_content(f"<style>{css}{styles}</style>{svg}")
    browsers = Image.open(io.BytesIO(page.screenshot(animations="disabled"))).convert("RGB")
    page.close()
    ours = Image.open(io.BytesIO(pictures.shared("", "", "", poster, "sunrise"))).convert("RGB")
    differing = ImageChops.difference(browsers, ours.crop((0, 0, 1200, 200))).convert("L")
    # But for the smoothing of edges.
    assert sum(differing.histogram()[100:]) < 0.01 * 1200 * 200


def test_touch_icons(client):
    assert image(client, "/touch-icon.png").size == (180, 180)
    paths = [f"/icons/{mark}/{name}.png" for mark in ("sun", "bars") for name in SETS]
    assert len({image(client, path).convert("RGB").tobytes() for path in paths}) == 2 * len(SETS)


def test_pages_name_the_icon_of_their_event(client, week):
    page = client.get(f"/{week.slug}/").text
    assert '<link rel="icon" href="/icons/bars/sunrise.svg"' in page
    Event.objects.update(poster="road", colors="harbor")
    page = client.get(f"/{week.slug}/?x=1").text
    assert '<link rel="icon" href="/icons/sun/harbor.svg"' in page
    assert '<link rel="apple-touch-icon" href="/icons/sun/harbor.png"' in page
    Event.objects.all().delete()
    assert '<link rel="icon" href="/icon.svg"' in client.get("/?x=2").text


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
