"""What a phone downloads to show an event's page."""

import gzip

import pytest
from playwright.sync_api import Response

from events.admin.looks import POSTER_SIZES
from events.images.processing import reencode
from events.images.storage import replace_images
from events.models import Event
from tests.browser import PHONE
from tests.events.images.pictures import noise

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

MAX_BYTES = 50_000
# They are compressed already.
COMPRESSED = ("font/", "image/webp", "image/png")


def on_the_wire(response: Response) -> int:
    body = response.body()
    is_small = response.headers.get("content-type", "").startswith(COMPRESSED)
    return len(body if is_small else gzip.compress(body))


def test_event_page_is_small_with_a_picture_of_its_own(browser, live_server, week):
    images = dict(
        zip(POSTER_SIZES, reencode(noise(1000, 600), [*POSTER_SIZES.values()]), strict=True)
    )
    replace_images(owner=week, images=images)
    Event.objects.update(poster="own")
    page = browser.new_page(**PHONE)
    responses: list[Response] = []
    page.on("response", lambda each: responses.append(each))
    page.goto(f"{live_server.url}/{week.slug}/", wait_until="networkidle")
    sizes = {each.url.removeprefix(live_server.url): on_the_wire(each) for each in responses}
    page.close()
    assert f"/images/{week.poster_phone_id}.webp" in sizes
    assert f"/images/{week.poster_wide_id}.webp" not in sizes
    assert any(url.endswith(".woff2") for url in sizes)
    assert sum(sizes.values()) <= MAX_BYTES, sizes
