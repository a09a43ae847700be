"""People download everything that is stored about them."""

import json
from typing import Any

import pytest
from django.apps import apps
from django.test import Client
from django.utils import timezone

from events.models import Meeting
from registrations import signup
from registrations.models import OutgoingMail, PersonalLink, Registration
from registrations.privacy import erasure, export
from tests.people import sign_up
from tests.registrations.privacy.people import EMAIL, NAME, downloaded, erase_page

pytestmark = pytest.mark.django_db


@pytest.mark.once
def test_file_contains_everything_stored(week, dulcinea):
    person = dulcinea
    person.seats.update(link_fetched_at=timezone.now())
    answer = Client().get(f"/me/{person.token}/data.json")
    assert answer["Content-Type"] == "application/json"
    assert answer["Content-Disposition"] == f'attachment; filename="{week.slug}-my-data.json"'
    assert answer["Cache-Control"] == "no-store"
    data = answer.json()
    assert data["event"] == week.name
    exported = data["registration"]
    assert (exported["name"], exported["email"], exported["us_state"]) == (NAME, EMAIL, "CA")
    assert exported["strategies"] == [track.name for track in week.tracks.all()[:2]]
    assert (exported["needs"], exported["needs_other"]) == (["asl"], "a chair by the door")
    first = data["sessions"][0]
    assert (len(data["sessions"]), first["session"]) == (6, person.seats.first().session.title)
    assert first["link_fetched_at"] is not None
    assert [need["text"] for need in first["access_needs"] if need["kind"] == "other"] == [
        "a chair by the door"
    ]
    assert [each["participant_id"] for each in first["attendance"]] == ["1"]
    assert data["answers"] == [{"question": "Which hand?", "value": "left-handed"}]
    assert [(mail["kind"], mail["state"]) for mail in data["emails"]] == [
        ("links", "waiting"),
        ("day", "failed"),
    ]
    assert data["emails"][1]["last_error"] == f"550 {EMAIL} is unknown"
    assert data["accounts"] == []


@pytest.mark.once
def test_file_contains_no_secret_and_no_server_error(week, dulcinea):
    seat = dulcinea.seats.first()
    meeting = Meeting.objects.get(session=seat.session)
    PersonalLink.objects.create(
        seat=seat,
        meeting=meeting,
        zoom_id=1,
        email=EMAIL,
        state="issued",
        registrant_id="registrant-7",
        join_url="https://zoom.example/w/1?tk=secret",
        issued_at=timezone.now(),
    )
    dulcinea.mails.filter(kind="links").update(last_error="10.0.0.7:25 refused the connection")
    text = json.dumps(downloaded(dulcinea))
    assert "registrant-7" in text
    for secret in (dulcinea.token, "tk=secret", "10.0.0.7"):
        assert secret not in text


@pytest.mark.once
def test_file_contains_no_one_else(week, dulcinea):
    sign_up(week, "Sancho Panza", organization="Donkey Riders")
    text = json.dumps(downloaded(dulcinea))
    assert [word for word in ("Sancho", "sancho", "Donkey") if word in text] == []


@pytest.mark.once
def test_every_personal_field_is_exported_or_left_out_for_a_reason():
    models: set[Any] = {Registration}
    while (
        related := {
            model
            for model in apps.get_models()
            if any(field.related_model in models for field in model._meta.concrete_fields)
        }
        - models
    ):
        models |= related
    installed = [label for label in export.LEFT_OUT if label.split(".")[0] in apps.app_configs]
    for model in models | set(map(apps.get_model, installed)):
        label, meta = model._meta.label_lower, model._meta
        fields = {field.name for field in (*meta.concrete_fields, *meta.many_to_many)}
        assert (label, set(export.LEFT_OUT[label]) - fields) == (label, set())


@pytest.mark.once
def test_new_fields_are_exported_and_erased_unless_listed():
    """A new field fails this test: does it belong in the file, and is its default blank?"""
    details = {"name", "email", "organization", "us_state", "time_zone", "language"}
    details |= {
        "strategies",
        "needs",
        "needs_other",
        "wants_doors_email",
        "unsubscribed_at",
        "verified_at",
        "zoom_email",
    }
    history = {"email_changed_at", "created_at", "canceled_at", "approval", "decided_at"}
    history |= {"canceled_by_organizer"}
    assert set(export.exported_fields(Registration)) == details | history
    erased = {field.name for field in erasure.erased_fields()}
    keys = {"email_key", "name_key", "mailbox_number", "search_key", "organization_search_key"}
    assert erased == details - {"strategies"} | keys | {"token", "claim", "erased_at"}
    mails = set(export.exported_fields(OutgoingMail))
    assert mails == {
        *("kind", "session", "announcement", "state", "created_at", "sent_at"),
        *("delivered_at", "last_error"),
    }


@pytest.mark.once
@pytest.mark.parametrize("status", ["pending", "canceled"])
def test_pending_and_canceled_people_can_download_and_erase(week, dulcinea, status):
    if status == "pending":
        Registration.objects.update(approval="pending")
    else:
        signup.cancel(registration=dulcinea)
    assert downloaded(dulcinea)["registration"]["name"] == NAME
    assert Client().get(erase_page(dulcinea)).status_code == 200
    assert Client().post(erase_page(dulcinea)).status_code == 200
    assert Registration.objects.get().erased_at


@pytest.mark.once
def test_declined_person_has_no_file(week, dulcinea):
    Registration.objects.update(approval="declined", decided_at=timezone.now())
    for page in ("data.json", "erase/"):
        assert Client().get(f"/me/{dulcinea.token}/{page}").status_code == 404
    assert Client().post(erase_page(dulcinea)).status_code == 404
    assert Registration.objects.get().name == NAME
