"""The admin pages of registrations and events, and organizers' accounts."""

import datetime as dt
import re
import threading
import time
from html import unescape

import pytest
from django import forms
from django.contrib.admin.models import LogEntry
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from events.models import AgendaItem, Event, Meeting, Session
from registrations import signup
from registrations.admin.registrations import RegistrationChangeForm
from registrations.mail import writer
from registrations.models import AccessNeed, OutgoingMail, Registration
from registrations.outbox import delivery
from tests.people import sign_up

pytestmark = pytest.mark.django_db


def path(thing, page: str = "change") -> str:
    meta = thing._meta
    args = [thing.pk] if page == "change" else []
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=args)


def form_of(client, url: str) -> dict[str, str]:
    """Return the values of a change form, as a browser would post them."""
    with timezone.override("America/Los_Angeles"):
        return _form_of(client.get(url))


def _form_of(answer) -> dict[str, str]:
    assert answer.status_code == 200
    values = {}
    forms = [answer.context["adminform"].form]
    for inline in answer.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    for form in forms:
        for field in form:
            widget = field.field.widget
            names = getattr(widget, "widgets_names", None)
            value = field.value()
            if names:
                parts = widget.decompress(value)
                for name, part in zip(names, parts, strict=True):
                    values[f"{field.html_name}{name}"] = part
                continue
            if value not in (None, False):
                values[field.html_name] = value
    return {name: value for name, value in values.items() if value is not None}


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
def test_admin_needs_a_sign_in_with_a_password(client, django_user_model):
    """Alice signed in with a code before she became an organizer."""
    assert client.get("/admin/", follow=True).redirect_chain[-1][0].startswith("/accounts/login/")
    alice = django_user_model.objects.create_user("alice", is_staff=True, is_superuser=True)
    client.force_login(alice)
    assert client.get("/admin/").status_code == 302
    alice.set_password("long enough")
    alice.save()
    assert client.get("/admin/").status_code == 302
    client.force_login(alice)
    assert client.get("/admin/").status_code == 200


@pytest.mark.once
def test_times_are_shown_and_entered_in_the_events_zone(admin_client, opening):
    page = admin_client.get(path(opening)).content.decode()
    assert re.search(r'name="starts_at_1" value="09:00 AM"', page)
    assert "Pacific (Los Angeles)" in page
    form = form_of(admin_client, path(opening))
    form["starts_at_1"] = "10:30 am"
    answer = admin_client.post(path(opening), form)
    assert answer.status_code == 302, answer.context["errors"]
    opening.refresh_from_db()
    assert opening.starts_at.astimezone(opening.event.zone).time() == dt.time(10, 30)


@pytest.mark.once
def test_new_event_uses_the_zone_chosen_in_its_form(admin_client):
    form = {
        "name_en": "Next",
        "slug": "next",
        "status": "draft",
        "host": "Us",
        "summary_en": "S",
        "time_zone": "America/New_York",
        "doors_open_minutes": "15",
        "remind_minutes_before": "60",
        "settle_minutes": "10",
        "late_spots": "promote",
        "erase_after_days": "90",
        "zoom_mode": "pasted",
        "registration_opens_at_0": "10/16/2027",
        "registration_opens_at_1": "9 AM",
    }
    for inline in ("tracks", "speakers"):
        form |= {f"{inline}-TOTAL_FORMS": "0", f"{inline}-INITIAL_FORMS": "0"}
    assert "Pacific (Los Angeles)" in admin_client.get(path(Event, "add")).content.decode()
    answer = admin_client.post(path(Event, "add"), form)
    assert answer.status_code == 302, answer.context["errors"]
    opens = Event.objects.get().registration_opens_at
    assert opens == dt.datetime(2027, 10, 16, 13, tzinfo=dt.UTC)


@pytest.mark.once
def test_changing_the_zone_keeps_the_times_and_says_so(admin_client, week):
    before = list(week.sessions.values_list("starts_at", flat=True))
    form = form_of(admin_client, path(week))
    answer = admin_client.post(path(week), {**form, "time_zone": "America/Chicago"}, follow=True)
    assert "their times look different in the new time zone" in answer.content.decode()
    assert list(week.sessions.values_list("starts_at", flat=True)) == before


def test_invalid_ids_cause_no_server_error(admin_client, week):
    for odd in ("abc", "1x", "99999999999999999999", "-1"):
        for model in ("event", "session"):
            change = f"/admin/events/{model}/{odd}/change/"
            assert admin_client.get(change).status_code in {302, 404}
        assert admin_client.get(f"/admin/events/session/add/?event={odd}").status_code == 200


def test_sessions_and_events_with_registrations_cannot_be_deleted(admin_client, week, opening):
    sign_up(week)
    for thing in (week, opening):
        admin_client.post(path(thing).replace("change", "delete"), {"post": "yes"})
        thing.refresh_from_db()
    delete = path(Registration.objects.get()).replace("change", "delete")
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403
    assert Registration.objects.count() == 1


@pytest.mark.once
def test_session_without_registrations_can_be_deleted(admin_client, week, opening):
    admin_client.post(path(opening).replace("change", "delete"), {"post": "yes"})
    assert not Session.objects.filter(pk=opening.pk).exists()


@pytest.mark.once
def test_new_agenda_item_goes_to_the_end(week, opening):
    AgendaItem.objects.create(session=opening, title="One more")
    assert opening.agenda.last().title == "One more"


@pytest.mark.once
def test_registration_page_shows_delivery_errors(admin_client, week):
    alice, bob = sign_up(week), sign_up(week, "Bob B")
    alice.mails.update(state="failed", last_error="550 5.1.1 No such user")
    assert "550 5.1.1 No such user" in admin_client.get(path(alice)).content.decode()
    listed = admin_client.get(path(Registration, "changelist") + "?links=failed")
    assert list(listed.context["cl"].result_list) == [alice]
    assert bob.mails.get().state == "waiting"


@pytest.mark.once
def test_editing_a_session_creates_a_revision_and_pasting_a_link_does_not(admin_client, opening):
    form = form_of(admin_client, path(opening))
    form["meeting-0-join_url"] = "https://zoom.us/j/99"
    before = opening.updated_at
    admin_client.post(path(opening), form)
    opening.refresh_from_db()
    assert (opening.meeting.join_url, opening.revision) == ("https://zoom.us/j/99", 0)
    # Calendars take the entry with the newer stamp, and with it the new meeting ID.
    assert opening.updated_at > before
    admin_client.post(path(opening), {**form, "title_en": "Renamed"})
    opening.refresh_from_db()
    assert (opening.title, opening.revision) == ("Renamed", 1)


@pytest.mark.once
def test_invalid_link_is_explained_at_the_field(admin_client, opening):
    form = form_of(admin_client, path(opening))
    answer = admin_client.post(path(opening), {**form, "meeting-0-join_url": "zoom 123"})
    assert "Paste the whole link, starting with https://." in answer.content.decode()


@pytest.mark.once
def test_missing_link_causes_a_warning(admin_client, week, opening):
    events = admin_client.get(path(Event, "changelist")).content.decode()
    assert ("Ready" in events, "missing" in events) == (True, False)
    Meeting.objects.filter(session=opening).update(join_url="")
    assert "Missing" in admin_client.get(path(Session, "changelist")).content.decode()
    assert "1 missing" in admin_client.get(path(Event, "changelist")).content.decode()
    form = form_of(admin_client, path(opening))
    saved = admin_client.post(path(opening), form, follow=True).content.decode()
    assert "has no Zoom link yet" in saved


@pytest.mark.once
def test_agenda_longer_than_the_session_causes_a_warning(admin_client, opening):
    AgendaItem.objects.filter(session=opening).update(minutes=600)
    form = form_of(admin_client, path(opening))
    saved = admin_client.post(path(opening), form, follow=True).content.decode()
    assert re.search(r"takes \d+ minutes, but the session is 240", saved)


def act(client, model, action: str, *things) -> str:
    fields = {"action": action, "_selected_action": [thing.pk for thing in things]}
    return client.post(path(model, "changelist"), fields, follow=True).getvalue().decode()


def sure_of(page: str) -> str:
    """Return the value of the confirmation button."""
    return re.search(r'name="sure" value="(\w+)"', page)[1]


def act_surely(client, action: str, *people: Registration) -> str:
    """Choose an action that needs confirmation, and confirm it."""
    sure = sure_of(act(client, Registration, action, *people))
    fields = {"action": action, "_selected_action": [each.pk for each in people], "sure": sure}
    return client.post(path(Registration, "changelist"), fields, follow=True).content.decode()


@pytest.mark.once
def test_canceling_and_restoring_a_session(admin_client, opening):
    def is_shown_as_canceled() -> bool:
        return "This session is canceled" in admin_client.get(path(opening)).content.decode()

    assert not is_shown_as_canceled()
    act(admin_client, Session, "cancel", opening)
    opening.refresh_from_db()
    assert (opening.is_canceled, opening.revision) == (True, 1)
    assert is_shown_as_canceled()
    act(admin_client, Session, "cancel", opening)
    act(admin_client, Session, "restore", opening)
    opening.refresh_from_db()
    assert (opening.is_canceled, opening.revision) == (False, 2)


@pytest.mark.once
def test_sending_the_links_again(admin_client, week):
    alice, bob = sign_up(week), sign_up(week, "Bob B")
    OutgoingMail.objects.filter(registration=alice).update(
        state="sent", sent_at=timezone.now(), created_at=timezone.now() - dt.timedelta(hours=1)
    )
    said = act(admin_client, Registration, "send_links_again", alice, bob)
    assert "1 email is on the way." in said
    assert (alice.mails.count(), bob.mails.count()) == (2, 1)


def messages_of(page: str) -> list[tuple[str, str]]:
    """The color and the text of each message on an admin page."""
    found = re.findall(r'<li class="(success|info|warning|error)">(.*?)</li>', page, re.DOTALL)
    return [(color, " ".join(unescape(text).split())) for color, text in found]


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
def test_canceling_sessions_counts_only_those_that_were_canceled(admin_client, week, opening):
    act(admin_client, Session, "cancel", opening)
    second = week.sessions.exclude(pk=opening.pk).first()
    (done, left) = messages_of(act(admin_client, Session, "cancel", opening, second))
    assert done[0] == "success"
    assert done[1].startswith("1 session canceled. Its pages")
    assert left == ("warning", "1 was skipped: already canceled.")


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
    sign_up(week, "Bob B")
    monkeypatch.setattr(RegistrationChangeForm, "clean_email", lambda form: "bob@example.org")
    answer = admin_client.post(path(alice), {**form, "email": "bob@example.org"}, follow=True)
    assert "Someone else has just registered" in answer.content.decode()
    alice.refresh_from_db()
    assert (alice.email, alice.email_key) == ("alice@example.org", "alice@example.org")


def test_address_of_someone_else_is_refused(admin_client, week):
    alice = sign_up(week)
    sign_up(week, "Bob B")
    form = form_of(admin_client, path(alice))
    answer = admin_client.post(path(alice), {**form, "email": "BOB@example.org"})
    assert "Someone else is registered with this address." in answer.content.decode()
    alice.refresh_from_db()
    assert alice.email == "alice@example.org"


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


# Someone else makes a change while a page is open


def request_captioning(alice: Registration) -> None:
    Registration.objects.filter(pk=alice.pk).update(needs=["captions"])


def correct_address(alice: Registration) -> None:
    signup.correct_email(registration=alice, email="alice@new.example.org")


def choose_strategy(alice: Registration) -> None:
    alice.strategies.set(alice.event.tracks.all()[:1])


def record_attendance(alice: Registration) -> None:
    alice.seats.filter(pk=alice.seats.first().pk).update(attended=True)


def all_of(alice: Registration) -> tuple:
    """Everything that an organizer can change on someone's page."""
    alice.refresh_from_db()
    columns = forms.model_to_dict(alice, exclude=["strategies"])
    return columns, set(alice.strategies.all()), set(alice.seats.filter(attended=True))


@pytest.mark.parametrize(
    "change", [request_captioning, correct_address, choose_strategy, record_attendance]
)
def test_page_left_open_takes_nothing_back(admin_client, week, change):
    alice = sign_up(week)
    form = form_of(admin_client, path(alice))
    change(alice)
    before, mails = all_of(alice), alice.mails.count()
    answer = admin_client.post(path(alice), {**form, "name": "Alicia", "seats-1-attended": "on"})
    (error,) = answer.context["adminform"].form.non_field_errors()
    assert "Someone else changed this while you had it open, so nothing was saved." in error
    assert (all_of(alice), alice.mails.count()) == (before, mails)


@pytest.mark.once
def test_refused_page_keeps_what_was_typed_and_is_refused_again(admin_client, week):
    alice = sign_up(week)
    form = form_of(admin_client, path(alice))
    correct_address(alice)
    answer = admin_client.post(path(alice), {**form, "name": "Alicia"})
    assert 'name="name" value="Alicia"' in answer.content.decode()
    version = answer.context["adminform"].form["version"].value()
    again = admin_client.post(path(alice), {**form, "name": "Alicia", "version": version})
    assert "Someone else changed this" in again.content.decode()


def test_page_opened_after_the_change_is_saved(admin_client, week):
    alice = sign_up(week)
    for change in (request_captioning, correct_address, choose_strategy, record_attendance):
        change(alice)
    form = form_of(admin_client, path(alice))
    columns, strategies, attended = all_of(alice)
    answer = admin_client.post(path(alice), {**form, "name": "Alicia", "seats-1-attended": "on"})
    assert answer.status_code == 302
    second = alice.seats.all()[1]
    assert all_of(alice) == ({**columns, "name": "Alicia"}, strategies, attended | {second})


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_change_that_is_being_saved_is_waited_for(admin_client, week):
    alice = sign_up(week)
    form = form_of(admin_client, path(alice))
    is_locked = threading.Event()

    def rename() -> None:
        with transaction.atomic():
            Registration.objects.filter(pk=alice.pk).update(name="Alice Brown")
            is_locked.set()
            time.sleep(0.5)
        connection.close()

    other = threading.Thread(target=rename)
    other.start()
    is_locked.wait()
    answer = admin_client.post(path(alice), {**form, "organization": "ACLU"})
    other.join()
    assert "Someone else changed this" in answer.content.decode()
    alice.refresh_from_db()
    assert (alice.name, alice.organization) == ("Alice Brown", "")


@pytest.mark.once
def test_page_with_a_mistake_can_be_corrected_and_saved(admin_client, week):
    alice = sign_up(week)
    form = form_of(admin_client, path(alice))
    answer = admin_client.post(path(alice), {**form, "name": ""})
    assert "This field is required." in answer.content.decode()
    version = answer.context["adminform"].form["version"].value()
    corrected = {**form, "name": "Alicia", "version": version}
    assert admin_client.post(path(alice), corrected).status_code == 302


@pytest.mark.once
@pytest.mark.parametrize("version", [None, "\0"])
def test_page_without_its_version_is_refused(admin_client, week, version):
    alice = sign_up(week)
    form = {**form_of(admin_client, path(alice)), "name": "Alicia", "version": version}
    posted = {name: value for name, value in form.items() if value is not None}
    assert "Someone else changed this" in admin_client.post(path(alice), posted).content.decode()
    alice.refresh_from_db()
    assert alice.name != "Alicia"


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
    record_attendance(alice)
    form = form_of(admin_client, path(alice))
    del form["seats-0-attended"]
    assert admin_client.post(path(alice), form).status_code == 302
    assert not alice.seats.filter(attended=True).exists()


@pytest.mark.once
def test_outbox_is_read_only(admin_client, week, smtp):
    smtp.refuse("alice@example.org", "550 5.1.1 No such user <here>")
    alice = sign_up(week)
    delivery.deliver_due(lambda mails: lambda mail: _plain(mail))
    mail = alice.mails.get()
    page = admin_client.get(path(mail)).content.decode()
    assert "550 5.1.1 No such user &lt;here&gt;" in page
    assert admin_client.post(path(mail), {"state": "sent"}).status_code == 403
    assert admin_client.get(path(OutgoingMail, "add")).status_code == 403
    delete = reverse("admin:registrations_outgoingmail_delete", args=[mail.pk])
    assert admin_client.post(delete, {"post": "yes"}).status_code == 403


def _plain(mail):
    return EmailMessage("Hello", "A line.", to=[mail.registration.email])


@pytest.mark.once
def test_password_reset_is_sent_by_a_worker_and_reveals_no_accounts(
    client, django_user_model, mailoutbox
):
    django_user_model.objects.create_superuser("organizer", "o@example.org", "correct horse")
    answers = [
        client.post("/accounts/password/reset/", {"email": email}, follow=True)
        for email in ("o@example.org", "stranger@example.org")
    ]
    pages = [re.sub(r'value="\w{64}"', "", answer.content.decode()) for answer in answers]
    assert pages[0] == pages[1]
    assert mailoutbox == []
    delivery.deliver_due(writer.writer_for)
    (mail,) = mailoutbox
    assert mail.to == ["o@example.org"]
    assert "/accounts/password/reset/key/" in mail.body


@pytest.mark.once
def test_registrations_cannot_be_added_in_the_admin(admin_client, week):
    assert admin_client.get(path(Registration, "add")).status_code == 403
    assert signup.resend_links(registrations=[sign_up(week)]) == 0
