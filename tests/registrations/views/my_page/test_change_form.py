"""Changing one's details and sessions: the form, and what it saves."""

from typing import Any

import pytest
from django.utils import timezone

from events.models import Event
from registrations import signup
from registrations.models import AccessNeed, Registration, Seat
from tests.people import sign_up
from tests.registrations.views.my_page.pages import NEEDS, form_of, own, said, save, without, words

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def test_change_form_is_prefilled_and_saves_unchanged_data(client, week):
    details: dict[str, Any] = {
        "organization": "Families & Friends",
        "us_state": "CA",
        "needs": ["asl"],
    }
    details |= {"needs_other": "Large print", "time_zone": "Asia/Kathmandu"}
    alice = sign_up(
        week, strategies=week.tracks.all()[1:3], sessions=week.sessions.all()[1:4], **details
    )
    Registration.objects.update(verified_at=timezone.now())
    before = Registration.objects.values().get(), list(Seat.objects.values())
    answer = save(client, alice, form_of(client, alice))
    assert said(answer) == (f"{own(alice)}#status", "saved")
    assert (Registration.objects.values().get(), list(Seat.objects.values())) == before
    assert alice.strategies.count() == 2
    assert alice.mails.count() == 1
    assert "Your changes are saved." in words(client.get(answer["Location"]))


def test_change_form_changes_details(client, week, alice):
    form = form_of(client, alice)
    entered = {"name": "Alice O'Brien & Co", "time_zone": "America/Chicago", "us_state": "NY"}
    entered |= {"organization": "Friends", "needs_other": "Large print"}
    ticked = {"needs": ["captions"], "wants_doors_email": "on", "email": "mallory@example.org"}
    save(client, alice, form, strategies=[week.tracks.first().pk], **entered, **ticked)
    alice.refresh_from_db()
    assert {name: getattr(alice, name) for name in entered} == entered
    assert (alice.needs, alice.wants_doors_email) == (["captions"], True)
    assert list(alice.strategies.all()) == [week.tracks.first()]
    assert alice.email == "alice@example.org"


def test_every_optional_field_can_be_cleared(client, week, lunch):
    details: dict[str, Any] = {"needs": NEEDS}
    details |= {"organization": "Friends", "needs_other": "Large print", "us_state": "CA"}
    details |= {"strategies": week.tracks.all(), "answers": {lunch: ["Meat", "Soup"]}}
    alice = sign_up(week, **details)
    form = form_of(client, alice)
    del form["needs"], form[f"question_{lunch.pk}"]
    save(client, alice, form, strategies=[], organization="", needs_other="", us_state="")
    alice.refresh_from_db()
    assert alice.needs == []
    assert (alice.organization, alice.needs_other, alice.us_state) == ("", "", "")
    assert (alice.strategies.count(), alice.answers.count()) == (0, 0)
    assert not AccessNeed.objects.exists()


def test_bad_input_is_explained_at_the_field_and_kept(client, alice, opening):
    bad = {
        "name": ("Win at www.evil.example", "Remove any web address"),
        "time_zone": ("Mars/Olympus", "Choose a time zone"),
        "us_state": ("ZZ", "Choose a state from the list."),
        "strategies": (["0"], "Choose strategies from the list."),
        "needs_other": ("x" * 201, "Use 200 characters or fewer."),
    }
    form = form_of(client, alice)
    changes = {"organization": "Friends", "sessions": without(form, opening)}
    entered = {field: value for field, (value, _error) in bad.items()}
    answer = save(client, alice, form, **changes, **entered)
    assert answer.status_code == 200
    page = answer.content.decode()
    for field, (_value, error) in bad.items():
        assert error in words(answer)
        assert f'id="id_{field}_error"' in page
    assert 'value="Friends"' in page
    assert f'value="{opening.pk}" checked' not in page
    alice.refresh_from_db()
    assert (alice.organization, alice.seats.count()) == ("", 6)


def test_pending_person_can_change_too(client, week, opening):
    Event.objects.update(requires_approval=True)
    alice = sign_up(Event.objects.get(), sessions=week.sessions.all())
    form = form_of(client, alice)
    answer = save(client, alice, form, sessions=without(form, opening))
    page = words(client.get(answer["Location"]))
    assert "Your changes are saved." in page
    assert "We got your registration" in page
    assert alice.seats.count() == 5
    assert set(alice.mails.values_list("kind", flat=True)) == {"received"}


def test_change_by_a_declined_person_changes_and_reveals_nothing(client, alice):
    signup.decline(registrations=[alice])
    alice.refresh_from_db()
    form = form_of(client, alice)
    answer = save(client, alice, form, name="Alice O'Brien")
    assert answer["Location"] == own(alice)
    assert Registration.objects.get().name == "Alice Adams"
