"""What the event's page says about how everyone can take part: only what is known to be true."""

import re

import pytest
import time_machine

from events.models import Event, Meeting
from events.schedule import cancel_session
from tests.people import in_english, in_spanish

pytestmark = [pytest.mark.django_db, pytest.mark.once]

NOTHING = {"has_captions": False, **in_english(recording_note=""), **in_spanish(recording_note="")}
ALL_NEEDS = "captions, ASL, interpretation"


@pytest.fixture(autouse=True)
def _fresh_pages(settings):
    dummy = {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}
    settings.CACHES = {**settings.CACHES, "pages": dummy}


def block(client, event: Event, language: str = "en") -> str:
    answer = client.get(event.get_absolute_url(), headers={"accept-language": language})
    text = answer.content.decode().replace("&#x27;", "'")
    found = re.search(r'<section class="everyone".*?</section>', text, re.DOTALL)
    return found[0] if found else ""


def points(client, event: Event) -> list[str]:
    return re.findall(r"<h3>([^<]*)</h3>", block(client, event))


def needs(client, event: Event) -> str:
    """What people are told to ask for."""
    found = re.search(r"Tell us when you register: (.*?), or anything else", block(client, event))
    return found[1] if found else ""


def test_event_of_which_nothing_is_known_promises_only_what_holds_for_all(client, week):
    Event.objects.update(**NOTHING)
    Meeting.objects.update(dial_in="")
    assert points(client, week) == [
        *("Free of charge", "Camera off is fine", "Need something else?", "Questions?")
    ]
    assert needs(client, week) == ALL_NEEDS


def test_defaults_of_an_event_promise_nothing_else():
    event = Event()
    assert (event.shows_captions, event.has_asl, event.has_interpretation) == (False,) * 3
    assert event.recording_note == ""


@pytest.mark.parametrize(
    ("fields", "point", "asked_for"),
    [
        ({"has_captions": True}, "Live captions", "ASL, interpretation"),
        ({"has_asl": True}, "ASL interpretation", "captions, interpretation"),
        ({"has_interpretation": True}, "Spanish interpretation", "captions, ASL"),
        (in_english(recording_note="Only the talks."), "Recording", ALL_NEEDS),
        # Meetings that we create have captions by their own setting.
        ({"zoom_mode": "shared"}, "Live captions", "ASL, interpretation"),
        ({"zoom_mode": "shared", "zoom_captions": False, "has_captions": True}, "", ALL_NEEDS),
    ],
)
def test_what_organizers_offer_is_said_and_need_not_be_asked_for(
    client, week, fields, point, asked_for
):
    Meeting.objects.update(dial_in="")
    Event.objects.update(**NOTHING)
    without = points(client, week)
    Event.objects.update(**fields)
    assert {*points(client, week)} - {*without} == {*filter(None, [point])}
    assert needs(client, week) == asked_for


@pytest.mark.parametrize(("mode", "is_said"), [("pasted", True), ("personal", False)])
def test_calling_in_is_said_only_if_there_are_numbers_to_call(client, week, mode, is_said):
    Event.objects.update(zoom_mode=mode)
    assert ("By phone, too" in points(client, week)) == is_said
    Meeting.objects.update(dial_in="")
    assert "By phone, too" not in points(client, week)


def short_points(client, event: Event) -> list[str]:
    """What the register page says, before its button."""
    text = client.get(f"/{event.slug}/register/").text.replace("&#x27;", "'")
    before, _button, _after = text.partition("button--large")
    (found,) = re.findall(r'<section class="notice take-part".*?</section>', before, re.DOTALL)
    assert f'href="{event.get_absolute_url()}#everyone"' in found
    texts = re.findall(r"<li>([^<]*)</li>|<b>(Recording):</b> <span>([^<]*)<", found)
    return [text for each in texts for text in each if text]


ALWAYS = ["Free of charge", "You don't have to be seen or speak. Your first name is enough."]
BY_PHONE = "Call in from any phone, even a landline. You don't need the internet."


def test_register_page_of_which_nothing_is_known_promises_only_what_holds_for_all(client, week):
    Event.objects.update(**NOTHING)
    Meeting.objects.update(dial_in="")
    assert short_points(client, week) == ALWAYS


@pytest.mark.parametrize(
    ("fields", "points"),
    [
        ({"has_captions": True}, ["Live captions"]),
        ({"has_asl": True}, ["ASL interpretation"]),
        ({"has_interpretation": True}, ["Spanish interpretation"]),
        (in_english(recording_note="Only the talks."), ["Recording", "Only the talks."]),
        ({"zoom_mode": "shared"}, ["Live captions"]),
    ],
)
def test_register_page_says_what_the_event_page_says(client, week, fields, points):
    Event.objects.update(**NOTHING)
    Event.objects.update(**fields)
    assert short_points(client, week) == [*ALWAYS, BY_PHONE, *points]


def test_register_page_says_nothing_of_numbers_of_a_session_that_no_one_can_choose(client, week):
    first, *_others = week.sessions.all()
    Meeting.objects.exclude(session=first).update(dial_in="")
    assert BY_PHONE in short_points(client, week)
    cancel_session(session=first)
    assert BY_PHONE not in short_points(client, week)


def test_week_that_ships_says_what_is_recorded_in_both_languages(client, week):
    assert "We record the talks, for people who miss a session." in block(client, week)
    spanish = block(client, week, "es")
    assert "Grabamos las charlas para quienes se pierdan una sesión." in spanish
    assert "lang=" not in spanish


def test_block_says_whom_to_ask_and_comes_before_the_last_button(client, week):
    text = client.get(week.get_absolute_url()).content.decode()
    assert f'<a href="mailto:{week.contact_email}">' in block(client, week)
    assert text.index('id="everyone"') < text.rindex("/register/")


def test_block_is_gone_once_the_week_is_over(client, week):
    with time_machine.travel(week.sessions.last().ends_at, tick=False):
        assert block(client, week) == ""
        assert (
            f'<a href="mailto:{week.contact_email}">'
            in client.get(week.get_absolute_url()).content.decode()
        )
