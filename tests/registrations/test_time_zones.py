"""Stored time zones that the system no longer knows, such as US/Pacific-New."""

import pytest
from django.urls import reverse

from events.models import Event
from registrations import tasks
from registrations.mail import writer
from registrations.models import OutgoingMail, Registration
from registrations.outbox import delivery
from tests.people import sign_up

pytestmark = pytest.mark.django_db

GONE = "US/Pacific-New"


@pytest.fixture
def alice(week) -> Registration:
    """Alice, whose time zone was removed from the system after she signed up."""
    return sign_up(week, time_zone=GONE)


@pytest.mark.parametrize("path", ["", "change/", "calendar.ics", "cancel/", "data.json"])
def test_pages_show_the_events_zone_instead_of_an_unknown_one(client, week, alice, path):
    Event.objects.update(time_zone="America/Denver")
    alice = Registration.objects.get()
    assert alice.zone.key == "America/Denver"
    assert client.get(f"/me/{alice.token}/{path}").status_code == 200


def test_email_is_written_in_the_events_zone_instead_of_an_unknown_one(week, alice, mailoutbox):
    delivery.deliver_due(writer.writer_for)
    assert OutgoingMail.objects.get().state == "sent"
    # The event's times aren't repeated below the reader's: they are the same.
    assert "9:00 AM" in mailoutbox[0].body
    assert "Week's time zone" not in mailoutbox[0].body


def test_change_form_offers_the_events_zone_instead_of_an_unknown_one(client, week, alice):
    form = client.get(f"/me/{alice.token}/change/").context["form"]
    assert form["time_zone"].value() == "America/Los_Angeles"


@pytest.mark.parametrize("model", [Event, Registration])
def test_admin_form_offers_the_zone_that_is_shown(admin_client, week, alice, model):
    Event.objects.update(time_zone=GONE)
    row = model.objects.get()
    address = reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])
    form = admin_client.get(address).context["adminform"].form
    assert form["time_zone"].value() == "America/Los_Angeles"


@pytest.mark.parametrize("zone", [GONE, "America", "../../etc/passwd", ""])
def test_public_pages_survive_an_unknown_zone_of_the_event(client, week, alice, zone):
    Event.objects.update(time_zone=zone)
    for path in (f"/{week.slug}/", f"/{week.slug}/register/", f"/me/{alice.token}/"):
        assert client.get(path).status_code == 200


def test_unknown_time_zones_are_repaired(week, alice):
    bob = sign_up(week, "Bob B", time_zone="Asia/Tokyo")
    Event.objects.update(time_zone="America/Denver")
    tasks.repair_time_zones()
    assert dict(Registration.objects.values_list("pk", "time_zone")) == {
        alice.pk: "America/Denver",
        bob.pk: "Asia/Tokyo",
    }
    Event.objects.update(time_zone=GONE)
    tasks.repair_time_zones()
    assert Event.objects.get().time_zone == "America/Los_Angeles"
