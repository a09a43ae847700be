"""What search engines read: the pages of each language, robots.txt, and structured data."""

import json
import re

import pytest
from django.conf import settings
from django.utils import timezone

from events.models import Event
from events.schedule import cancel_session
from tests.people import in_english, published_event, sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.once]

SITE = settings.SITE_URL


def page(client, path: str, **headers: str) -> str:
    answer = client.get(path, headers=headers)
    assert answer.status_code == 200
    return answer.text


def data(client, path: str):
    (found,) = re.findall(
        r'<script type="application/ld\+json">(.*?)</script>', page(client, path), re.DOTALL
    )
    return json.loads(found)


def links(client, path: str, **headers: str) -> list[tuple[str, str]]:
    """The canonical address and those of each language."""
    return re.findall(
        r'<link rel="(canonical|alternate" hreflang="\w+)" href="([^"]*)">',
        page(client, path, **headers).partition("</head>")[0],
    )


def test_each_language_has_an_address_of_its_own(client, week):
    for path in (f"/{week.slug}/", week.sessions.first().get_absolute_url()):
        english, spanish = f"{SITE}{path}", f"{SITE}{path}?in=es"
        others = [('alternate" hreflang="en', english), ('alternate" hreflang="es', spanish)]
        assert sorted(links(client, path)) == sorted([("canonical", english), *others])
        assert sorted(links(client, f"{path}?in=es")) == sorted([("canonical", spanish), *others])


def test_language_in_the_address_is_not_remembered(client, week):
    answer = client.get(f"/{week.slug}/?in=es", headers={"accept-language": "en"})
    assert '<html lang="es"' in answer.content.decode()
    assert settings.LANGUAGE_COOKIE_NAME not in answer.cookies
    assert '<html lang="en"' in client.get(f"/{week.slug}/").content.decode()
    # The language switch on such a page leads away from it.
    switched = client.get(f"/{week.slug}/?in=es&language=en")
    assert switched["Location"] == f"/{week.slug}/"


def test_home_names_the_event_as_its_address(client, week):
    assert ("canonical", f"{SITE}/{week.slug}/") in links(client, "/")


def test_sitemap_has_what_is_published(client, week):
    draft, *sessions = week.sessions.all()
    type(draft).objects.filter(pk=draft.pk).update(status="draft")
    Event.objects.create(name="Secret", slug="secret", host="Us")
    answer = client.get("/sitemap.xml")
    assert answer["Content-Type"] == "application/xml"
    found = re.findall("<loc>([^<]*)</loc>", answer.content.decode())
    paths = [f"/{week.slug}/", *(each.get_absolute_url() for each in sessions)]
    assert found == [f"{SITE}{path}{query}" for path in paths for query in ("", "?in=es")]
    for url in found:
        assert client.get(url.removeprefix(SITE)).status_code == 200


def test_robots_may_see_the_public_pages(client, week):
    answer = client.get("/robots.txt")
    assert answer["Content-Type"] == "text/plain"
    text = answer.content.decode()
    assert f"Sitemap: {SITE}/sitemap.xml" in text
    assert "Disallow: /\n" not in text


def test_week_is_an_event_with_its_sessions(client, week):
    found = data(client, f"/{week.slug}/?in=es")
    sessions = list(week.sessions.all())
    assert (found["@context"], found["@type"]) == ("https://schema.org", "Event")
    assert (found["name"], found["inLanguage"]) == (week.name_es, "es")
    assert found["startDate"] == sessions[0].starts_at.astimezone(week.zone).isoformat()
    assert found["endDate"] == sessions[-1].ends_at.astimezone(week.zone).isoformat()
    assert found["offers"]["url"] == f"{SITE}/{week.slug}/register/?in=es"
    assert found["offers"]["price"] == 0
    assert [each["name"] for each in found["subEvent"]] == [each.title_es for each in sessions]


def test_session_is_part_of_its_week_and_says_that_it_is_canceled(client, week):
    session = week.sessions.first()
    path = session.get_absolute_url()
    assert data(client, path)["eventStatus"] == "https://schema.org/EventScheduled"
    assert data(client, path)["superEvent"]["url"] == f"{SITE}/{week.slug}/"
    cancel_session(session=session)
    assert data(client, f"{path}?x=1")["eventStatus"] == "https://schema.org/EventCancelled"
    assert data(client, f"/{week.slug}/?x=1")["subEvent"][0]["eventStatus"].endswith("Cancelled")


def test_closed_registration_is_not_offered(client, week):
    Event.objects.update(registration_closes_at=timezone.now())
    assert "offers" not in data(client, f"/{week.slug}/")


def test_full_session_is_offered_as_sold_out_and_so_is_a_week_without_a_spot(client, week):
    first, second = sessions = list(week.sessions.all()[:2])
    week.sessions.exclude(pk__in=[each.pk for each in sessions]).delete()
    week.sessions.update(capacity=1)
    sign_up(week, sessions=[first])

    def offered(path: str) -> str:
        return data(client, path)["offers"]["availability"].rpartition("/")[2]

    paths = [each.get_absolute_url() for each in (first, second, week)]
    assert [offered(path) for path in paths] == ["SoldOut", "InStock", "InStock"]
    parts = data(client, f"/{week.slug}/")["subEvent"]
    assert [each["offers"]["availability"].rpartition("/")[2] for each in parts] == [
        *("SoldOut", "InStock")
    ]
    sign_up(week, sessions=[second], email="bob@example.com")
    assert [offered(f"{path}?x=1") for path in paths] == ["SoldOut"] * 3


def test_text_cannot_end_the_script(client, week):
    hostile = '</script><script>alert("&amp;")</script>'
    Event.objects.update(**in_english(name=hostile))
    assert data(client, f"/{week.slug}/")["name"] == hostile


def test_event_without_sessions_is_no_event_yet(client):
    event = published_event(name="Soon", slug="soon")
    assert "ld+json" not in page(client, event.get_absolute_url())
