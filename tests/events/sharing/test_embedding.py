"""The schedule inside the pages of other websites, and only of those that the event lists."""

import http.server
import threading
from collections.abc import Iterator

import pytest
from django.core.exceptions import ValidationError
from playwright.sync_api import Page, expect

from events.models import Event
from events.sharing.embedding import embed_code
from events.sharing.origins import origins, validate_sites

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]


class OtherSite(http.server.BaseHTTPRequestHandler):
    page = ""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.page.encode())

    def log_message(self, *_args: object) -> None:
        pass


@pytest.fixture
def other_site(week, live_server, settings) -> Iterator[str]:
    """A website of another origin, with our code on its page."""
    settings.SITE_URL = live_server.url
    OtherSite.page = f"<!doctype html><title>Droplwop</title>{embed_code(week, 'es')}"
    server = http.server.HTTPServer(("127.0.0.1", 0), OtherSite)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def opened(browser, url: str, **options: object) -> Page:
    page = browser.new_page(viewport={"width": 320, "height": 700}, **options)
    page.goto(url)
    return page


def test_listed_site_shows_the_whole_schedule_and_register_opens_outside(
    browser, week, other_site, live_server
):
    Event.objects.update(embed_sites=f"https://else.example\n{other_site}/our-week/")
    page = opened(browser, other_site)
    frame = page.frame_locator("iframe")
    expect(frame.get_by_role("heading", name=week.name_es)).to_be_visible()
    expect(frame.get_by_role("listitem")).to_have_count(6)
    # As tall as its content: it does not scroll.
    page.wait_for_function("document.querySelector('iframe').getBoundingClientRect().height > 700")
    inner = page.frames[1]
    assert inner.evaluate("document.documentElement.scrollHeight <= innerHeight")
    assert inner.evaluate("document.documentElement.scrollWidth <= innerWidth")
    with page.expect_popup() as popup:
        frame.get_by_role("link", name="Inscribirme").click()
    popup.value.wait_for_url(f"{live_server.url}/{week.slug}/register/")
    assert popup.value.locator("html").get_attribute("lang") == "es"
    page.close()
    popup.value.close()


@pytest.mark.parametrize("sites", ["", "https://else.example"])
def test_stranger_cannot_frame_it(browser, week, other_site, sites):
    Event.objects.update(embed_sites=sites)
    page = opened(browser, other_site)
    page.wait_for_timeout(500)
    assert "chrome-error" in page.frames[1].url
    page.close()


def test_other_pages_are_framed_by_no_one(client, week):
    Event.objects.update(embed_sites="https://droplwop.org")
    for path in ("", "register/", "flyer/"):
        answer = client.get(f"/{week.slug}/{path}")
        assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
        assert answer["X-Frame-Options"] == "DENY"
    answer = client.get(f"/{week.slug}/embed/")
    sites = "https://droplwop.org https://www.droplwop.org"
    assert f"frame-ancestors {sites};" in f"{answer['Content-Security-Policy']};"
    assert "X-Frame-Options" not in answer


@pytest.mark.parametrize(
    ("written", "found"),
    [
        ("https://droplwop.org", "https://droplwop.org"),
        ("https://Droplwop.org/our-week/?x=1", "https://droplwop.org"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("https://semañas.example", "https://xn--semaas-zwa.example"),
    ],
)
def test_site_is_reduced_to_its_origin(written, found):
    validate_sites(written)
    assert origins(f"{written}\n")[0] == found


@pytest.mark.parametrize(
    ("written", "twins"),
    [
        ("https://droplwop.org", ["https://droplwop.org", "https://www.droplwop.org"]),
        ("https://www.droplwop.org/x", ["https://www.droplwop.org", "https://droplwop.org"]),
        ("http://lwop.org.uk:81", ["http://lwop.org.uk:81", "http://www.lwop.org.uk:81"]),
        ("https://week.example.org", ["https://week.example.org", "https://www.week.example.org"]),
        ("http://localhost:8080", ["http://localhost:8080"]),
        ("https://www.org", ["https://www.org"]),
        ("http://127.0.0.1:8080", ["http://127.0.0.1:8080"]),
        ("https://b.org https://www.b.org", ["https://b.org", "https://www.b.org"]),
    ],
)
def test_site_is_listed_with_and_without_www(written, twins):
    assert origins(written) == twins


@pytest.mark.parametrize(
    "written",
    [
        *("droplwop.org", "ftp://droplwop.org", "https://", "https://*.org", "*", "javascript:0"),
        *("https://a;script-src=*", "https://a.org:99999", "https://[::1", "'self'", "data:x"),
    ],
)
def test_what_is_no_site_is_refused_and_never_in_the_header(written):
    with pytest.raises(ValidationError):
        validate_sites(f"https://droplwop.org\n{written}")
    listed = ["https://droplwop.org", "https://www.droplwop.org"]
    assert origins(f"https://droplwop.org\n{written}") == listed


def test_organizers_find_the_code_to_copy(admin_client, week):
    change = f"/admin/events/event/{week.pk}/change/"
    assert "iframe" not in admin_client.get(change).content.decode()
    Event.objects.update(embed_sites="https://droplwop.org")
    text = admin_client.get(change).content.decode()
    assert text.count("&lt;iframe src=") == 2
    assert "/static/js/embed.js" in text
