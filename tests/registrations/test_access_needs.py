"""Access needs: requested, arranged, confirmed."""

import datetime as dt
import re
from html import unescape
from typing import Any

import pytest
import time_machine
from django.contrib import admin
from django.db import IntegrityError, transaction
from django.test import Client
from django.utils import timezone

from events.models import Event, Session
from events.schedule import cancel_session
from events.templatetags.times import day
from registrations import access_needs, seats, signup, tasks
from registrations.admin.access_needs import AccessNeedAdmin
from registrations.admin.readiness import short_day
from registrations.mail import enqueue, previews, writer
from registrations.models import NEED_KINDS, AccessNeed, OutgoingMail, Registration, Seat
from registrations.outbox import mail_queue
from tests.people import filled_form, sign_up

pytestmark = pytest.mark.django_db

LIST = "/admin/registrations/accessneed/"
HOSTILE = "Large print & O'Brien {name} {{ 7 }}"


def needs(person: Registration) -> set[tuple[str, str, str]]:
    """The kind, session and state of each of their needs."""
    rows = AccessNeed.objects.filter(seat__registration=person)
    return {(need.kind, need.seat.session.slug, need.state) for need in rows}


def change(person: Registration, **details) -> None:
    person.refresh_from_db()
    sessions = details.pop("sessions", None)
    offered = list(person.event.sessions.all())
    signup.change(
        registration=person,
        offered=offered,
        sessions=list(person.sessions.all()) if sessions is None else sessions,
        strategies=[],
        **details,
    )


def all_needs():
    return AccessNeed.objects.all()


def arranged(**where) -> list[AccessNeed]:
    found = AccessNeed.objects.filter(**where)
    access_needs.arrange(needs=found)
    return list(found)


# Requested


def test_each_session_gets_the_needs_from_the_form(client, week, opening, later):
    client.post(
        f"/{week.slug}/register/",
        filled_form(
            week,
            sessions=[opening.pk, later.pk],
            needs=["asl"],
            needs_other="  Large print & O'Brien ",
        ),
    )
    alice = Registration.objects.get()
    assert alice.needs_other == "Large print & O'Brien"
    assert needs(alice) == {
        ("asl", "opening", "requested"),
        ("asl", later.slug, "requested"),
        ("other", "opening", "requested"),
        ("other", later.slug, "requested"),
    }
    assert {str(need) for need in all_needs()} == {"ASL interpretation", "Large print & O'Brien"}


@pytest.mark.once
@pytest.mark.parametrize("text", ["x" * 201, "a\nb", "a\x00", "<b>", "\ue000name\ue000"])
def test_bad_text_of_another_need_is_rejected_at_its_field(client, week, text):
    answer = client.post(f"/{week.slug}/register/", filled_form(week, needs_other=text))
    assert list(answer.context["form"].errors) == ["needs_other"]
    assert not Registration.objects.exists()


def test_every_kind_is_offered_and_shown(client, admin_client, week, opening):
    page = f"/{week.slug}/register/"
    offered = re.findall(r'name="needs" value="([^"]+)"', client.get(page).content.decode())
    assert offered == [kind.value for kind in NEED_KINDS]
    client.post(page, filled_form(week, sessions=[opening.pk], needs=offered[::-1]))
    alice = Registration.objects.get()
    assert alice.needs == offered
    assert needs(alice) == {(kind, "opening", "requested") for kind in offered}
    own_page = unescape(client.get(f"/me/{alice.token}/").content.decode())
    assert [kind for kind in NEED_KINDS if f"<li>{kind.label}</li>" not in own_page] == []
    people = admin_client.get("/admin/registrations/registration/").content.decode()
    assert ", ".join(str(kind.short_label) for kind in NEED_KINDS) in people


@pytest.mark.parametrize("kind", [kind.value for kind in NEED_KINDS])
def test_organizer_filters_people_by_need(admin_client, week, kind):
    sign_up(week, "Alice A", needs=[kind])
    sign_up(week, "Bob B", needs=[other.value for other in NEED_KINDS if other.value != kind])
    people = admin_client.get("/admin/registrations/registration/", {"need": kind})
    assert [person.name for person in people.context["cl"].result_list] == ["Alice A"]


def test_needs_follow_changes_of_the_registration(week, opening, later):
    alice = sign_up(week, sessions=[opening], needs=["captions", "asl"])
    arranged(kind="asl")
    change(alice, sessions=[opening, later], changed_needs={"captions": False, "dial-in": True})
    assert needs(alice) == {
        ("asl", "opening", "arranged"),
        ("asl", later.slug, "requested"),
        ("dial-in", "opening", "requested"),
        ("dial-in", later.slug, "requested"),
    }
    change(alice, sessions=[later])
    assert {session for _kind, session, _state in needs(alice)} == {later.slug}


def test_confirmed_need_is_deleted_when_no_longer_requested(week, opening):
    alice = sign_up(week, sessions=[opening], needs=["asl"])
    access_needs.confirm(needs=arranged())
    change(alice, changed_needs={"asl": False})
    assert needs(alice) == set()


def test_new_text_is_a_new_request(week, opening):
    alice = sign_up(week, sessions=[opening], needs_other="Large print", needs=["asl"])
    access_needs.confirm(needs=arranged())
    all_needs().update(note="Bob prints it")
    change(alice, needs_other="Large print")
    assert needs(alice) == {("asl", "opening", "confirmed"), ("other", "opening", "confirmed")}
    change(alice, needs_other="Very large print")
    assert needs(alice) == {("asl", "opening", "confirmed"), ("other", "opening", "requested")}
    need = AccessNeed.objects.get(kind="other")
    assert (need.text, need.note) == ("Very large print", "Bob prints it")


def test_needs_of_a_session_that_is_over_stay(week, opening, later):
    alice = sign_up(week, sessions=[opening, later], needs=["asl"])
    with time_machine.travel(opening.ends_at):
        change(alice, changed_needs={"asl": False, "captions": True})
    assert needs(alice) == {("asl", "opening", "requested"), ("captions", later.slug, "requested")}


def test_updating_twice_changes_nothing(week, opening):
    alice = sign_up(week, sessions=[opening], needs=["asl"], needs_other="Large print")
    access_needs.confirm(needs=arranged())
    before = list(all_needs().values())
    access_needs.update(registration=alice)
    access_needs.update(registration=alice)
    assert list(all_needs().values()) == before


def test_registering_again_adds_no_needs(week, opening):
    alice = sign_up(week, sessions=[opening])
    sign_up(week, sessions=[opening], needs=["asl"])
    assert needs(alice) == set()


def test_person_who_comes_back_requests_their_needs_again(week, opening):
    """What was arranged may have been canceled."""
    alice = sign_up(week, sessions=[opening], needs=["asl"])
    access_needs.confirm(needs=arranged())
    signup.cancel(registration=alice)
    signup.restore(registration=alice)
    assert needs(alice) == {("asl", "opening", "requested")}


def test_person_approved_after_being_declined_requests_their_needs_again(week, opening):
    alice = sign_up(week, sessions=[opening], needs=["asl"])
    arranged()
    signup.decline(registrations=[alice])
    signup.approve(registrations=[alice])
    assert needs(alice) == {("asl", "opening", "requested")}


def test_organizer_changes_requested_needs(organizer, week, opening):
    alice = sign_up(week, sessions=[opening], needs=["asl"])
    page = f"/admin/registrations/registration/{alice.pk}/change/"
    fields: dict[str, Any] = {
        "version": organizer.get(page).context["adminform"].form["version"].value(),
        "name": alice.name,
        "email": alice.email,
        "time_zone": alice.time_zone,
        "language": alice.language,
        "needs": ["captions"],
        "needs_other": "Large print",
    }
    for prefix in ("seats", "mails"):
        fields |= {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
    answer = organizer.post(page, {**fields, "needs_other": "a\u202eb"})
    assert list(answer.context["adminform"].form.errors) == ["needs_other"]
    assert organizer.post(page, fields).status_code == 302
    assert needs(alice) == {("captions", "opening", "requested"), ("other", "opening", "requested")}
    assert f"Large print: Requested ({short_day(opening)})" in organizer.get(page).content.decode()


# Whose needs are active


def people_with_active_needs() -> set[str]:
    found = access_needs.active_needs(timezone.now())
    return {need.seat.registration.name.split()[0] for need in found}


def test_needs_of_people_who_come_are_active(week, opening):
    alice = sign_up(week, "Alice A", needs=["asl"], sessions=[opening])
    declined = sign_up(week, "Dan D", needs=["asl"], sessions=[opening])
    signup.decline(registrations=[declined])
    gone = sign_up(week, "Carol C", needs=["asl"], sessions=[opening])
    signup.cancel(registration=gone)
    Event.objects.update(requires_approval=True)
    week.refresh_from_db()
    pending = sign_up(week, "Bob B", needs=["asl"], sessions=[opening])
    assert people_with_active_needs() == {"Alice"}
    signup.approve(registrations=[pending])
    assert people_with_active_needs() == {"Alice", "Bob"}
    with time_machine.travel(opening.ends_at - dt.timedelta(seconds=1)):
        assert people_with_active_needs() == {"Alice", "Bob"}
    with time_machine.travel(opening.ends_at):
        assert people_with_active_needs() == set()
    cancel_session(session=opening)
    assert people_with_active_needs() == set()
    assert alice.seats.get().access_needs.count() == 1


def full_opening(week: Event, opening: Session) -> tuple[Registration, Registration]:
    """Alice has the only spot, Bob is on the waitlist; both need ASL."""
    Session.objects.filter(pk=opening.pk).update(capacity=1)
    opening.refresh_from_db()
    return (
        sign_up(week, "Alice A", needs=["asl"], sessions=[opening]),
        sign_up(week, "Bob B", needs=["asl"], sessions=[opening]),
    )


def test_waitlist_is_counted_separately(week, opening):
    full_opening(week, opening)
    (tally,) = access_needs.tallies(access_needs.active_needs(timezone.now()))
    assert (tally.requested, tally.waiting) == (1, 1)
    assert tally.rest == "1 from people on the waitlist"
    arranged()
    (tally,) = access_needs.tallies(access_needs.active_needs(timezone.now()))
    assert (tally.requested, tally.arranged, tally.confirmed, tally.waiting) == (0, 1, 0, 1)


def test_need_stays_arranged_when_its_seat_is_promoted(week, opening):
    _alice, bob = full_opening(week, opening)
    arranged()
    assert access_needs.confirm(needs=all_needs()) == 1
    seats.promote(seat=bob.seats.get())
    assert needs(bob) == {("asl", "opening", "arranged")}
    assert access_needs.confirm(needs=all_needs()) == 1
    assert needs(bob) == {("asl", "opening", "confirmed")}


# Arranged and confirmed


def test_only_requested_needs_are_arranged(week, opening):
    sign_up(week, sessions=[opening], needs=["captions", "asl"])
    assert access_needs.arrange(needs=all_needs()) == 2
    assert access_needs.arrange(needs=all_needs()) == 0
    access_needs.confirm(needs=all_needs().filter(kind="asl"))
    assert access_needs.arrange(needs=all_needs()) == 0
    assert access_needs.reopen(needs=all_needs()) == 2
    assert access_needs.reopen(needs=all_needs()) == 0
    need = AccessNeed.objects.get(kind="asl")
    assert (need.state, need.arranged_at, need.confirmed_at) == ("requested", None, None)


def test_only_arranged_needs_are_confirmed_and_only_once(week, opening):
    alice = sign_up(week, sessions=[opening], needs=["captions", "asl"])
    arranged(kind="asl")
    assert access_needs.confirm(needs=all_needs()) == 1
    assert needs(alice) == {("asl", "opening", "confirmed"), ("captions", "opening", "requested")}
    assert access_needs.confirm(needs=all_needs()) == 0
    assert alice.mails.filter(kind="access").count() == 1


def test_confirmation_is_undone_if_its_email_cannot_be_queued(week, opening, monkeypatch):
    alice = sign_up(week, sessions=[opening], needs=["asl"])
    arranged()

    def broken(*_people: object) -> None:
        raise IntegrityError

    monkeypatch.setattr(enqueue, "queue_access", broken)
    with pytest.raises(IntegrityError), transaction.atomic():
        access_needs.confirm(needs=all_needs())
    assert needs(alice) == {("asl", "opening", "arranged")}


@pytest.mark.parametrize("count", [1, 5])
def test_confirming_takes_the_same_queries_for_any_number_of_needs(
    week, opening, count, django_assert_num_queries
):
    for number in range(count):
        sign_up(week, f"P{number} X", needs=["captions", "asl"])
    chosen = arranged()
    # The transaction's two; needs, their states, the mails.
    with django_assert_num_queries(5):
        assert access_needs.confirm(needs=chosen) == count
    assert OutgoingMail.objects.filter(kind="access").count() == count


# The email


def rendered(mail: OutgoingMail):
    return writer.writer_for([mail])(mail)


def confirmation(person: Registration) -> OutgoingMail:
    mail: OutgoingMail = person.mails.filter(kind="access").latest("pk")
    return mail


@pytest.mark.once
def test_email_says_what_is_arranged_for_each_session_and_how_to_join(week, opening, later):
    alice = sign_up(week, needs=["asl"], needs_other=HOSTILE, time_zone="America/New_York")
    bob = sign_up(week, "Bob B", needs=["dial-in"], needs_other="Secret of Bob")
    arranged(seat__session=opening)
    arranged(seat__session=later, kind="asl")
    assert access_needs.confirm(needs=all_needs()) == 2
    message = rendered(confirmation(alice))
    html = str(message.alternatives[0][0])
    for body in (" ".join(message.body.split()), html):
        assert "12:00 PM to 4:00 PM E" in body
        assert "9:00 AM to 1:00 PM P" in body
        assert body.count("ASL interpretation") == 2
        for session in (opening, later):
            assert session.title in body
            assert f"http://localhost/join/{alice.token}/{session.slug}/" in body
        assert week.sessions.last().title not in body
        assert "Secret of Bob" not in body
        assert "I'll call in by phone" not in body
        assert bob.token not in body
    for number in opening.meeting.dial_in_numbers():
        assert f'href="{number.url}"' in html
    assert HOSTILE in message.body
    assert "Large print &amp; O&#x27;Brien {name} {{ 7 }}" in html
    assert message.subject.startswith("What we've arranged for you, ")
    assert "Secret of Bob" in rendered(confirmation(bob)).body


@pytest.mark.once
def test_email_names_only_newly_confirmed_needs(week, opening, later):
    alice = sign_up(week, needs=["asl"], sessions=[opening, later])
    access_needs.confirm(needs=arranged(seat__session=opening))
    first = confirmation(alice)
    access_needs.confirm(needs=arranged(seat__session=later))
    second = confirmation(alice)
    write = writer.writer_for([first, second])
    bodies = [" ".join(write(mail).body.split()) for mail in (first, second)]
    assert [(opening.title in body, later.slug in body) for body in bodies] == [
        (True, False),
        (False, True),
    ]


@pytest.mark.once
def test_failed_email_says_the_same_when_sent_again(week, opening):
    alice = sign_up(week, needs=["asl"], sessions=[opening])
    access_needs.confirm(needs=arranged())
    alice.mails.filter(kind="access").update(state="failed")
    mail_queue.resend(OutgoingMail.objects.filter(kind="access"))
    assert "ASL interpretation" in rendered(confirmation(alice)).body


def test_moved_session_sets_arranged_needs_back_to_requested(week, opening, later):
    alice = sign_up(week, needs=["asl"], sessions=[opening, later])
    access_needs.confirm(needs=arranged())
    tasks.queue_due_mails()
    moved = opening.starts_at + dt.timedelta(minutes=30)
    Session.objects.filter(pk=opening.pk).update(starts_at=moved)
    tasks.queue_due_mails()
    assert needs(alice) == {("asl", "opening", "requested"), ("asl", later.slug, "confirmed")}


@pytest.mark.parametrize("how", ["taken back", "left", "over", "canceled", "moved to the line"])
def test_email_without_confirmed_needs_is_not_sent(week, opening, how):
    alice = sign_up(week, needs=["asl"], sessions=[opening])
    access_needs.confirm(needs=arranged())
    mail = OutgoingMail.objects.select_related("registration").get(kind="access")
    assert rendered(mail) is not None
    match how:
        case "taken back":
            access_needs.reopen(needs=all_needs())
        case "left":
            alice.seats.all().delete()
        case "canceled":
            cancel_session(session=opening)
        case "moved to the line":
            Seat.objects.update(state="waiting", waiting_since=timezone.now())
    settled_at = timezone.now() + week.settle_time + writer.RECHECK_AFTER
    with time_machine.travel(opening.ends_at if how == "over" else settled_at):
        assert rendered(mail) is None


@pytest.mark.once
def test_people_with_the_same_needs_share_one_rendering(week, opening):
    people = [sign_up(week, name, needs=["asl"], sessions=[opening]) for name in ("A A", "B B")]
    access_needs.confirm(needs=arranged())
    queued = [confirmation(person) for person in people]
    write: Any = writer.writer_for(queued)
    first, second = (write(mail) for mail in queued)
    assert first.prebuilt is second.prebuilt
    assert "Hello A A," in first.body
    assert people[0].token not in second.body


@pytest.mark.parametrize("count", [1, 5])
def test_writing_confirmations_takes_the_same_queries_for_any_number(
    week, count, django_assert_num_queries
):
    for number in range(count):
        sign_up(week, f"P{number} X", needs=["asl"], needs_other=f"Word {number}")
    access_needs.confirm(needs=arranged())
    claimed = list(OutgoingMail.objects.filter(kind="access").select_related("registration"))
    with django_assert_num_queries(8):
        write = writer.writer_for(claimed)
        for mail in claimed:
            write(mail)


@pytest.mark.once
def test_preview_shows_sample_needs(week):
    body = previews.sample(OutgoingMail.Kind.ACCESS, week).body
    assert "Live captions" in body
    assert "/join/" in body


# For organizers


def act(organizer: Client, action: str, *chosen: AccessNeed) -> str:
    fields = {"action": action, "_selected_action": [need.pk for need in chosen]}
    return organizer.post(LIST, fields, follow=True).content.decode()


def test_list_shows_open_needs_by_session(organizer, week, opening, later):
    full_opening(week, opening)
    sign_up(week, "Carol C", needs_other=HOSTILE, sessions=[later])
    sign_up(week, "Dan D", needs=["asl"], sessions=[later])
    arranged(seat__registration__name="Dan D")
    page = organizer.get(LIST).content.decode()
    assert page.count("1 to arrange</b> for ") == 2
    assert "1 arranged but not confirmed yet" in page
    assert "1 from people on the waitlist" in page
    assert "On the waitlist" in page
    assert "Large print &amp; O&#x27;Brien" in page
    assert page.count(day(opening.starts_at, opening.event.zone)) == 1
    assert page.count(short_day(opening)) == 2


def test_list_holds_needs_of_upcoming_sessions(organizer, week, opening, later):
    sign_up(week, needs=["asl"], sessions=[opening, later])
    user = organizer.get(LIST).wsgi_request.user
    with time_machine.travel(opening.ends_at):
        organizer.force_login(user)
        assert "1 access need" in organizer.get(LIST).content.decode()
        assert "2 access needs" in organizer.get(f"{LIST}?sessions=all").content.decode()


@pytest.mark.once
def test_actions_lead_from_requested_to_confirmed(organizer, week, opening):
    alice = sign_up(week, needs=["captions", "asl"], sessions=[opening])
    asl, captions = AccessNeed.objects.order_by("kind")
    assert "1 need marked as arranged." in act(organizer, "arrange", asl)
    page = act(organizer, "confirm", asl, captions)
    assert "An email is on its way to 1 person." in page
    assert "1 need was skipped: not arranged yet" in page
    assert needs(alice) == {("asl", "opening", "confirmed"), ("captions", "opening", "requested")}
    page = act(organizer, "confirm", asl)
    assert "on its way" not in page
    assert "1 need set back to requested." in act(organizer, "reopen", asl, captions)
    assert needs(alice) == {("asl", "opening", "requested"), ("captions", "opening", "requested")}
    assert alice.mails.filter(kind="access").count() == 1


@pytest.mark.once
def test_saving_a_note_changes_nothing_else(organizer, week, opening):
    sign_up(week, needs=["asl"], sessions=[opening])
    need = AccessNeed.objects.get()
    fields: dict[str, Any] = {
        "form-TOTAL_FORMS": 1,
        "form-INITIAL_FORMS": 1,
        "form-0-id": need.pk,
        "form-0-note": HOSTILE,
        "initial-form-0-note": "Bob interprets",
        "_save": "Save",
    }
    stale = AccessNeed.objects.get()
    access_needs.arrange(needs=[need])
    stale.note = "Bob interprets"
    page: Any = AccessNeedAdmin(AccessNeed, admin.site)
    page.save_model(None, stale, None, True)
    need.refresh_from_db()
    assert (need.state, need.note) == ("arranged", "Bob interprets")
    shown = organizer.post(LIST, fields, follow=True).content.decode()
    need.refresh_from_db()
    assert (need.state, need.note) == ("arranged", HOSTILE)
    assert "Large print &amp; O&#x27;Brien" in shown


def list_form(client) -> dict[str, str]:
    """What a browser posts from the list as it is."""
    page = client.get(LIST).content.decode()
    inputs = re.findall(
        r'<input type="(?:text|hidden)" name="((?:initial-)?form-[^"]*)"(.*?)>', page
    )
    values = {name: re.search(r'value="([^"]*)"', rest) for name, rest in inputs}
    return {name: found[1] if found else "" for name, found in values.items()} | {"_save": "Save"}


def test_second_tab_saves_only_the_notes_that_were_written_in_it(organizer, week, opening):
    sign_up(week, needs=["asl", "captions"], sessions=[opening])
    form = list_form(organizer)
    assert form["form-TOTAL_FORMS"] == "2"
    first = AccessNeed.objects.get(pk=form["form-0-id"])
    second = AccessNeed.objects.get(pk=form["form-1-id"])
    organizer.post(LIST, form | {"form-0-note": "Alice interprets"})
    organizer.post(LIST, form | {"form-1-note": "Bob types"})
    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.note, second.note) == ("Alice interprets", "Bob types")


def test_two_new_notes_in_one_row_ask(organizer, week, opening):
    sign_up(week, needs=["asl"], sessions=[opening])
    form = list_form(organizer)
    organizer.post(LIST, form | {"form-0-note": "Alice"})
    page = organizer.post(LIST, form | {"form-0-note": "Bob"}).content.decode()
    assert "Someone else changed this to “Alice” while you were editing." in page
    assert 'name="form-0-note" value="Bob"' in page
    assert AccessNeed.objects.get().note == "Alice"
    (shown,) = re.findall(r'name="initial-form-0-note" value="([^"]*)"', page)
    organizer.post(LIST, form | {"form-0-note": "Bob", "initial-form-0-note": shown})
    assert AccessNeed.objects.get().note == "Bob"


def test_page_of_a_need_does_not_overwrite_a_new_note(organizer, week, opening):
    sign_up(week, needs=["asl"], sessions=[opening])
    need = AccessNeed.objects.get()
    url = f"{LIST}{need.pk}/change/"
    assert 'name="initial-note"' in organizer.get(url).content.decode()
    AccessNeed.objects.update(note="Alice")
    answer = organizer.post(url, {"note": "Bob", "initial-note": ""})
    assert "Someone else changed this to “Alice”" in answer.content.decode()
    assert AccessNeed.objects.get().note == "Alice"


@pytest.mark.parametrize("count", [1, 5])
def test_list_takes_the_same_queries_for_any_number_of_needs(
    organizer, week, count, django_assert_num_queries
):
    for number in range(count):
        sign_up(week, f"P{number} X", needs=["asl"])
    organizer.get(LIST)
    with django_assert_num_queries(9):
        organizer.get(LIST)


@pytest.mark.once
def test_first_page_shows_open_needs_until_the_session_is_over(organizer, week, opening):
    sign_up(week, needs=["captions", "asl"], sessions=[opening])
    arranged(kind="captions")

    def shown() -> str:
        return organizer.get("/admin/").content.decode()

    assert "2 access needs to arrange or confirm." in shown()
    assert "Not arranged yet: 1." in shown()
    arranged()
    assert "All are arranged. Email people to confirm." in shown()
    user = organizer.get("/admin/").wsgi_request.user
    with time_machine.travel(opening.ends_at, tick=False):
        organizer.force_login(user)
        assert "See who needs what" not in shown()
    access_needs.confirm(needs=all_needs())
    assert "See who needs what" not in shown()


@pytest.mark.once
def test_needs_are_for_organizers_only(client, django_user_model, week, opening):
    sign_up(week, needs=["asl"], sessions=[opening])
    need = AccessNeed.objects.get()
    assert client.get(LIST).status_code == 302
    client.force_login(django_user_model.objects.create_user("helper", password="x", is_staff=True))
    for address in (LIST, f"{LIST}{need.pk}/change/"):
        assert client.get(address).status_code == 403
    with time_machine.travel(opening.starts_at, tick=False):
        client.force_login(django_user_model.objects.get())
        assert "access need" not in client.get("/admin/").content.decode()


@pytest.mark.once
def test_organizers_cannot_add_or_delete_needs(organizer, week, opening):
    sign_up(week, needs=["asl"], sessions=[opening])
    need = AccessNeed.objects.get()
    assert organizer.get(f"{LIST}add/").status_code == 403
    assert organizer.post(f"{LIST}{need.pk}/delete/", {"post": "yes"}).status_code == 403
    organizer.post(f"{LIST}{need.pk}/change/", {"note": "Bob", "state": "confirmed"})
    need.refresh_from_db()
    assert (need.state, need.note) == ("requested", "Bob")


# On the person's own page


@pytest.mark.once
def test_own_page_shows_the_state_of_each_need(client, week, opening):
    alice = sign_up(week, needs=["captions", "asl"], needs_other=HOSTILE, sessions=[opening])
    sign_up(week, "Bob B", needs_other="Secret of Bob", sessions=[opening])
    arranged(kind="captions")
    access_needs.confirm(needs=arranged(kind="asl"))
    all_needs().update(note="Among organizers")
    page = client.get(f"/me/{alice.token}/").content.decode()
    text = re.sub(r"<[^>]+>", "", page)
    assert "ASL interpretation: confirmed" in text
    assert "Live captions: arranged, not confirmed yet" in text
    assert "Large print &amp; O&#x27;Brien {name} {{ 7 }}: requested" in text
    assert "Secret of Bob" not in page
    assert "Among organizers" not in page
