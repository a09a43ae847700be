"""Registrations in the admin: the list, its actions, and a person's page."""

import datetime as dt

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from events.models import Event, Session
from registrations import signup
from registrations.admin.registrations import RegistrationChangeForm
from registrations.models import AccessNeed, OutgoingMail, Registration
from tests.admin_pages import act, act_surely, form_of, messages_of, path
from tests.people import sign_up

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", [Event, Session, Registration, OutgoingMail])
def test_lists_take_the_same_queries_for_1_row_as_for_4(admin_client, week, model):
    def queries() -> int:
        with CaptureQueriesContext(connection) as context:
            assert admin_client.get(path(model, "changelist")).status_code == 200
        return len(context)

    sessions = list(week.sessions.all())
    Session.objects.exclude(pk=sessions[0].pk).update(event=Event.objects.create(slug="x"))
    sign_up(week)
    Session.objects.exclude(pk=sessions[0].pk).delete()
    one = queries()
    for number, name in enumerate(("Bob B", "Charlie C", "Dora D")):
        other = Event.objects.create(name=name, slug=f"e{number}", host="Us")
        times = {"starts_at": sessions[0].starts_at, "ends_at": sessions[0].ends_at}
        Session.objects.create(event=other, title=name, slug="s", **times)
        sign_up(week, name, sessions=[])
    assert queries() == one


@pytest.mark.once
def test_registration_page_shows_delivery_errors(admin_client, week):
    alice, bob = sign_up(week), sign_up(week, "Bob B")
    alice.mails.update(state="failed", last_error="550 5.1.1 No such user")
    assert "550 5.1.1 No such user" in admin_client.get(path(alice)).content.decode()
    listed = admin_client.get(path(Registration, "changelist") + "?links=failed")
    assert list(listed.context["cl"].result_list) == [alice]
    assert bob.mails.get().state == "waiting"


@pytest.mark.once
def test_sending_the_links_again(admin_client, week):
    alice, bob = sign_up(week), sign_up(week, "Bob B")
    OutgoingMail.objects.filter(registration=alice).update(
        state="sent", sent_at=timezone.now(), created_at=timezone.now() - dt.timedelta(hours=1)
    )
    said = act(admin_client, Registration, "send_links_again", alice, bob)
    assert "1 email is on the way." in said
    assert (alice.mails.count(), bob.mails.count()) == (2, 1)


@pytest.mark.once
def test_action_that_does_nothing_says_only_what_it_left_out(admin_client, week, opening):
    alice = sign_up(week)
    said = act(admin_client, Registration, "send_links_again", alice)
    assert messages_of(said) == [
        (
            "warning",
            "1 person was skipped: they aren't coming, or they got this email in the last 10 "
            "minutes.",
        )
    ]
    said = act(admin_client, Session, "restore", opening)
    assert messages_of(said) == [("warning", "1 was skipped: not canceled.")]


@pytest.mark.once
def test_sending_the_links_again_takes_the_same_queries_for_2_people_as_for_3(
    week, django_assert_num_queries
):
    people = [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C", "Dora D", "Eve E")]
    OutgoingMail.objects.update(state="failed")
    for some in (people[:2], people[2:]):
        with django_assert_num_queries(7):
            assert signup.resend_links(registrations=some) == len(some)
    assert OutgoingMail.objects.filter(state="waiting").count() == 5


@pytest.mark.once
def test_canceling_registrations_needs_confirmation(admin_client, week):
    alice, bob = sign_up(week), sign_up(week, "Bob B")
    signup.cancel(registration=bob, by_organizer=True)
    page = act(admin_client, Registration, "cancel", alice, bob)
    assert "Cancel 1 registration?" in page
    assert "We won't email them." in page
    assert "bob@example.org" not in page
    assert Registration.objects.active().get() == alice


def test_canceled_registrations_are_counted_and_logged(admin_client, admin_user, week):
    alice, bob, charlie = (sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C"))
    signup.cancel(registration=charlie, by_organizer=True)
    said = act_surely(admin_client, "cancel", alice, bob, charlie)
    assert "2 registrations canceled. Their links no longer work." in said
    assert "1 was skipped: already canceled." in said
    assert not Registration.objects.active().exists()
    entries = LogEntry.objects.values_list("user", "object_id", "change_message")
    logged = {(admin_user.pk, str(each.pk), "Canceled.") for each in (alice, bob)}
    assert set(entries) == logged
    assert OutgoingMail.objects.exclude(kind="links").count() == 0
    again = act(admin_client, Registration, "cancel", alice, bob)
    assert "They&#x27;re already canceled." in again
    assert LogEntry.objects.count() == 2


@pytest.mark.once
def test_correcting_an_address_sends_new_links_and_revokes_the_old_ones(admin_client, week):
    alice = sign_up(week, email="alcie@example.org")
    form = form_of(admin_client, path(alice))
    admin_client.post(path(alice), {**form, "email": "Alice@example.org"})
    corrected = Registration.objects.get()
    assert (corrected.email, corrected.email_key) == ("Alice@example.org", "alice@example.org")
    assert corrected.token != alice.token
    mails = corrected.mails.order_by("pk").values_list("kind", "state")
    expected = [("links", "dropped"), ("links", "waiting"), ("schedule", "waiting")]
    assert list(mails) == expected


@pytest.mark.once
def test_correcting_the_address_of_a_canceled_registration_sends_nothing(admin_client, week):
    alice = sign_up(week)
    alice.mails.update(state="sent", sent_at=timezone.now())
    signup.cancel(registration=alice)
    form = form_of(admin_client, path(alice))
    answer = admin_client.post(path(alice), {**form, "email": "a@example.org"}, follow=True)
    assert "New links" not in answer.content.decode()
    assert alice.mails.count() == 1


def test_address_taken_meanwhile_is_reported_and_not_saved(admin_client, week, monkeypatch):
    alice = sign_up(week)
    form = form_of(admin_client, path(alice))
    sign_up(week, "Alice Adams", email="bob@example.org")
    monkeypatch.setattr(RegistrationChangeForm, "clean", lambda form: form.cleaned_data)
    answer = admin_client.post(path(alice), {**form, "email": "bob@example.org"}, follow=True)
    assert "Someone with this name is already registered" in answer.text
    alice.refresh_from_db()
    assert (alice.email, alice.email_key) == ("alice@example.org", "alice@example.org")


@pytest.mark.parametrize(
    ("change", "field"),
    [({"email": "BOB@example.org"}, "email"), ({"name": "alice ÁDAMS"}, "name")],
)
def test_address_and_name_of_someone_else_are_refused(admin_client, week, change, field):
    alice = sign_up(
        week,
        email="bob@example.org" if field == "name" else "alice@example.org",
        name="Alice A" if field == "name" else "Alice Adams",
    )
    sign_up(week, "Alice Adams", email="bob@example.org")
    form = form_of(admin_client, path(alice))
    answer = admin_client.post(path(alice), {**form, **change})
    assert answer.context["adminform"].form.errors == {
        field: ["Someone with this name is already registered with this email."]
    }
    before = alice.name, alice.email
    alice.refresh_from_db()
    assert (alice.name, alice.email) == before


@pytest.mark.once
def test_names_are_validated_as_on_the_public_form(admin_client, week):
    alice = sign_up(week, "Alice A")
    form = form_of(admin_client, path(alice))
    answer = admin_client.post(path(alice), {**form, "name": "Alice <b>"})
    assert answer.context["adminform"].form.errors == {"name": ["Remove the < and > signs."]}
    answer = admin_client.post(path(alice), {**form, "name": "Alice\u202e A"})
    assert list(answer.context["adminform"].form.errors) == ["name"]
    alice.refresh_from_db()
    assert alice.name == "Alice A"


@pytest.mark.once
def test_saving_details_sends_nothing(admin_client, week):
    alice = sign_up(week)
    form = form_of(admin_client, path(alice))
    admin_client.post(path(alice), {**form, "organization": "Families United"})
    alice.refresh_from_db()
    assert (alice.organization, alice.mails.count()) == ("Families United", 1)


@pytest.mark.once
def test_needs_that_an_organizer_enters_are_requested(admin_client, week):
    alice = sign_up(week, needs=["captions", "dial-in"])
    form = form_of(admin_client, path(alice))
    answer = admin_client.post(path(alice), {**form, "needs": ["asl"], "needs_other": "A chair"})
    assert answer.status_code == 302
    alice.refresh_from_db()
    assert (alice.needs, alice.needs_other) == (["asl"], "A chair")
    assert set(AccessNeed.objects.values_list("kind", flat=True)) == {"asl", "other"}


@pytest.mark.once
def test_attendance_can_be_taken_back(admin_client, week):
    alice = sign_up(week)
    alice.seats.filter(pk=alice.seats.first().pk).update(attended=True)
    form = form_of(admin_client, path(alice))
    del form["seats-0-attended"]
    assert admin_client.post(path(alice), form).status_code == 302
    assert not alice.seats.filter(attended=True).exists()


@pytest.mark.once
def test_registrations_cannot_be_added_in_the_admin(admin_client, week):
    assert admin_client.get(path(Registration, "add")).status_code == 403
    assert signup.resend_links(registrations=[sign_up(week)]) == 0
