"""Events that require approval: no links without it, and declined people aren't notified."""

import datetime as dt
import re
import threading
from html import unescape

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.cache import caches
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from events.models import AgendaItem, Event, Session
from events.schedule import cancel_session, edit_session
from registrations import signup, tasks
from registrations.mail import announcements, kinds, unsubscribe, writer
from registrations.models import Announcement, OutgoingMail, Registration, Seat, new_token
from registrations.outbox import delivery
from tests.people import filled_form, sign_up
from tests.registrations.admin.test_registrations import act, act_surely, form_of, path, sure_of

pytestmark = pytest.mark.django_db

HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
PEOPLE = "/admin/registrations/registration/"
PAGES = ("/me/{}/", "/me/{}/calendar.ics", "/join/{}/opening/")
NOT_ADMITTED = pytest.mark.parametrize("approval", ["pending", "declined"])


@pytest.fixture
def week(week) -> Event:
    """The Strategy Week, which requires approval."""
    week.requires_approval = True
    week.save()
    return week


@pytest.fixture
def opening(week) -> Session:
    return week.sessions.get(slug="opening")


@pytest.fixture
def someone(week):
    """Register someone with this approval."""

    def someone(approval: str, name: str = "Alice Adams", **details) -> Registration:
        person = sign_up(week, name, **details)
        if approval != "pending":
            signup.approve(registrations=[person])
        if approval == "declined":
            signup.decline(registrations=[person])
        person.refresh_from_db()
        return person

    return someone


def post(week: Event, **changes) -> bytes:
    answer = Client().post(f"/{week.slug}/register/", filled_form(week, **changes))
    assert answer.status_code == 200
    return answer.content


def queued(person: Registration) -> list[tuple[str, str]]:
    """The kind and state of each of someone's emails, in the order they were queued."""
    return list(person.mails.order_by("pk").values_list("kind", "state"))


def deliver() -> None:
    delivery.deliver_due(writer.writer_for)


def parts(message) -> tuple[str, str]:
    """An email's text and its HTML, each on one line."""
    bodies = (message.get_body((kind,)).get_content() for kind in ("plain", "html"))
    text, html = (" ".join(body.split()) for body in bodies)
    return text, html


def read(smtp) -> list[tuple[str, str]]:
    """The recipient and subject of each email."""
    return [(each.recipients[0], each.message["Subject"]) for each in smtp.messages]


# Registering


def test_registration_is_pending(week):
    post(week)
    alice = Registration.objects.get()
    assert (alice.approval, alice.decided_at, alice.seats.count()) == ("pending", None, 6)
    assert (alice.is_admitted, alice.is_pending) == (False, True)
    assert queued(alice) == [("received", "waiting")]
    assert alice.mails.get().priority == OutgoingMail.Priority.URGENT


def test_event_without_approval_admits_at_once(week):
    Event.objects.update(requires_approval=False)
    post(week)
    alice = Registration.objects.get()
    assert (alice.approval, alice.decided_at, alice.is_admitted) == ("approved", None, True)
    assert queued(alice) == [("links", "waiting"), ("schedule", "waiting")]


@pytest.mark.once
@pytest.mark.parametrize("requires", [True, False])
def test_public_pages_mention_the_approval(client, week, requires):
    Event.objects.update(requires_approval=requires)
    form = client.get(f"/{week.slug}/register/").content
    assert (b"An organizer looks at each registration first" in form) is requires
    answer = post(week)
    assert (b"An organizer looks at each registration before" in answer) is requires
    assert (b"We've sent your Zoom links" in answer) is not requires
    Event.objects.update(registration_closes_at=timezone.now())
    caches["pages"].clear()
    closed = client.get(f"/{week.slug}/register/").content
    assert (b"once the organizers approve you" in closed) is requires


@pytest.mark.once
def test_received_email_shows_only_what_is_public(week, smtp):
    alice = sign_up(week)
    deliver()
    (received,) = smtp.messages
    text, html = parts(received.message)
    assert received.message["Subject"] == f"We got your registration for {week.name}"
    assert list(received.message.iter_attachments()) == []
    titles = [session.title for session in week.sessions.all()]
    for shown in (text, unescape(html)):
        assert "An organizer looks at each registration before we send any links." in shown
        assert shown.count(f"http://localhost/me/{alice.token}/") == 1
        assert [title for title in titles if title not in shown] == []
        assert secrets_in(shown, week) == []


@pytest.mark.once
def test_received_email_leaves_out_canceled_sessions(week, opening, smtp):
    cancel_session(session=opening)
    sign_up(week, sessions=[opening])
    deliver()
    (received,) = smtp.messages
    text, _html = parts(received.message)
    assert opening.title not in text
    assert "WHAT YOU ASKED FOR" not in text


def secrets_in(text: str, week: Event) -> list[str]:
    """What this text contains although it is only for admitted people."""
    known = ["zoom.example", "/join/", "calendar.ics", "+1 669 900"]
    for session in week.sessions.with_details():
        known += [session.meeting.meeting_id, session.meeting.passcode]
        known += [item.title for item in session.agenda.all()]
    return [secret for secret in known if secret in text]


# Without approval


@pytest.mark.once
@NOT_ADMITTED
def test_own_page_shows_the_answers_and_only_what_is_public(client, week, someone, approval):
    details = {"organization": "Families & Friends", "us_state": "CA", "needs": ["asl"]}
    alice = someone(approval, strategies=[week.tracks.first()], **details)
    AgendaItem.objects.update(title="Only for attendees")
    answer = client.get(f"/me/{alice.token}/")
    page = " ".join(answer.content.decode().split())
    assert answer.status_code == 200
    assert "We got your registration" in page
    entered = ["Alice Adams", "alice@example.org", "Families &amp; Friends", "California"]
    entered += ["ASL interpretation", str(week.tracks.first()), "12:00 PM to 4:00 PM E"]
    assert [words for words in entered if words not in page] == []
    assert page.count("<h3>") == 6
    assert secrets_in(page, week) == []
    assert "Only for attendees" not in page


@pytest.mark.once
def test_own_page_does_not_reveal_the_decision(client, someone):
    """The same page, apart from the secret in its address and the form's CSRF token."""
    alice = someone("pending")
    pages = []
    for _word in ("pending", "declined"):
        page = client.get(f"/me/{alice.token}/").content.decode().replace(alice.token, "")
        pages.append(re.sub(r'csrfmiddlewaretoken" value="\w+"', "", page))
        signup.decline(registrations=[alice])
        alice.refresh_from_db()
    assert pages[0] == pages[1]


@pytest.mark.once
def test_own_page_lists_chosen_sessions_without_drafts(client, week, opening):
    alice = sign_up(week, sessions=list(week.sessions.all()[:3]))
    week.sessions.exclude(pk=opening.pk).update(status="draft")
    page = client.get(f"/me/{alice.token}/").content.decode()
    assert (page.count("<h3>"), opening.title in page) == (1, True)


@NOT_ADMITTED
def test_calendar_and_join_page_need_approval(client, someone, opening, approval):
    alice = someone(approval)
    with time_machine.travel(opening.starts_at, tick=False):
        for page in PAGES[1:]:
            unknown = client.get(page.format(new_token()))
            answer = client.get(page.format(alice.token))
            assert (answer.status_code, answer.content) == (404, unknown.content)
        signup.approve(registrations=[alice])
        alice.refresh_from_db()
        statuses = [client.get(page.format(alice.token)).status_code for page in PAGES]
        answer = client.post(PAGES[-1].format(alice.token))
    assert (statuses, answer.status_code) == ([200, 200, 200], 303)


@pytest.mark.parametrize("approval", ["pending", "approved"])
def test_declining_ends_the_links_at_once(client, someone, approval):
    alice = someone(approval)
    assert client.get(f"/me/{alice.token}/").status_code == 200
    signup.decline(registrations=[alice])
    for page in PAGES:
        answer, unknown = (client.get(page.format(token)) for token in (alice.token, new_token()))
        assert (answer.status_code, answer.content) == (404, unknown.content)
    assert client.post(f"/me/{alice.token}/cancel/").status_code == 404
    assert Registration.objects.active().count() == 1


def test_pending_person_can_cancel(client, week):
    alice = sign_up(week)
    answer = client.post(f"/me/{alice.token}/cancel/", follow=True).content
    assert b"We won't email you about this week again" in answer
    deliver()
    assert queued(alice) == [("received", "dropped")]


@pytest.mark.once
def test_unsubscribe_page_promises_a_pending_person_nothing(client, someone):
    alice = someone("approved")
    url = unsubscribe.unsubscribe_url(alice)
    for promised in (True, False):
        for answer in (client.get(url), client.post(url), client.post(url, {"again": "1"})):
            assert (b"get your links, reminders, and any changes" in answer.content) is promised
        signup.decline(registrations=[alice])


# Decisions


def test_approving_sends_the_links(someone, smtp, week):
    alice = someone("pending")
    before = timezone.now()
    assert signup.approve(registrations=[alice]) == 1
    deliver()
    alice.refresh_from_db()
    assert (alice.approval, alice.is_admitted) == ("approved", True)
    assert alice.decided_at > before
    assert queued(alice) == [("received", "dropped"), ("links", "sent"), ("schedule", "sent")]
    recipients, subjects = zip(*read(smtp), strict=True)
    assert recipients == ("alice@example.org",) * 2
    assert subjects[0].startswith(f"Your Zoom links for {week.name}, ")
    assert subjects[1].startswith(f"Detailed schedule for {week.name}, ")


def test_declining_sends_nothing_and_keeps_the_seats(someone, smtp):
    alice, bob = someone("pending"), someone("approved", "Bob B")
    assert signup.decline(registrations=[alice, bob]) == 2
    for person in (alice, bob):
        person.refresh_from_db()
        assert person.approval == "declined"
        assert (person.is_admitted, person.is_pending) == (False, False)
        assert (person.seats.count(), person.decided_at is None) == (6, False)
        assert {state for _kind, state in queued(person)} == {"dropped"}
    deliver()
    assert smtp.messages == []


def test_approving_after_declining_gives_new_links_to_the_same_sessions(
    week, opening, someone, smtp
):
    alice = someone("approved", sessions=[opening])
    deliver()
    signup.decline(registrations=[alice])
    assert signup.approve(registrations=[alice]) == 1
    deliver()
    texts = [parts(each.message)[0] for each in smtp.messages]
    again = Registration.objects.get()
    assert again.token != alice.token
    assert [f"/join/{alice.token}/opening/" in text for text in texts[:2]] == [True, True]
    assert [f"/join/{again.token}/opening/" in text for text in texts[2:]] == [True, True]
    assert [alice.token in text for text in texts[2:]] == [False, False]
    sent = [kind for kind, state in queued(alice) if state == "sent"]
    assert sent == ["links", "schedule", "links", "schedule"]


def test_quick_decline_and_approval_leave_one_links_email(someone, smtp):
    alice = someone("approved")
    signup.decline(registrations=[alice])
    signup.approve(registrations=[alice])
    deliver()
    assert [subject.partition(" for ")[0] for _to, subject in read(smtp)] == [
        *("Your Zoom links", "Detailed schedule")
    ]


def test_decided_and_canceled_registrations_are_not_decided_again(someone):
    alice, bob = someone("approved"), someone("declined", "Bob B")
    charlie = someone("pending", "Charlie C")
    signup.cancel(registration=charlie)
    before = list(Registration.objects.order_by("pk").values())
    assert signup.approve(registrations=[alice, charlie]) == 0
    assert signup.decline(registrations=[bob]) == 0
    assert list(Registration.objects.order_by("pk").values()) == before
    assert alice.mails.filter(kind="links").count() == 1


def come_back(client, person: Registration) -> Registration:
    client.post(f"/me/{person.token}/return/")
    person.refresh_from_db()
    return person


@pytest.mark.parametrize("approval", ["approved", "pending"])
def test_canceling_first_does_not_dodge_a_decline(
    client, admin_client, week, opening, someone, approval
):
    opening.capacity = 1
    opening.save()
    alice = someone(approval)
    bob = someone("pending", "Bob B")
    signup.cancel(registration=alice)
    page = act(admin_client, Registration, "decline", alice)
    assert "1 person declined" in page
    alice.refresh_from_db()
    assert (alice.approval, alice.canceled_at is None) == ("declined", False)
    # With the new link, which only a signed-in person could find.
    assert come_back(client, alice).approval == "declined"
    assert bob.seats.get(session=opening).state == "seated"
    assert client.get(f"/me/{alice.token}/calendar.ics").status_code == 404


def test_returning_requires_approval_again(client, someone):
    alice = someone("approved")
    signup.cancel(registration=alice)
    assert b"An organizer will need to approve you" in client.get(f"/me/{alice.token}/").content
    alice = come_back(client, alice)
    assert (alice.canceled_at, alice.approval, alice.decided_at) == (None, "pending", None)
    assert queued(alice)[-1][0] == "received"
    assert signup.approve(registrations=[alice]) == 1


@pytest.mark.parametrize("canceled_first", [False, True])
@pytest.mark.parametrize("requires_approval", [False, True])
def test_return_does_not_undo_an_organizers_cancellation(
    client, admin_client, week, someone, requires_approval, canceled_first
):
    Event.objects.update(requires_approval=requires_approval)
    alice = someone("approved")
    if canceled_first:
        signup.cancel(registration=alice)
    act_surely(admin_client, "cancel", alice)
    assert come_back(client, alice).canceled_at is not None
    page = client.get(f"/me/{alice.token}/").content
    assert b"An organizer canceled it" in page
    assert b"return/" not in page
    assert "1 registration restored" in act(admin_client, Registration, "restore", alice)
    alice.refresh_from_db()
    assert (alice.canceled_at, alice.approval) == (None, "approved")


@pytest.mark.parametrize("turned_away", ["canceled", "declined"])
def test_registering_again_does_not_undo_an_organizers_decision(week, someone, turned_away):
    Event.objects.update(requires_approval=False)
    week.refresh_from_db()
    alice = someone("approved")
    if turned_away == "canceled":
        signup.cancel(registration=alice, by_organizer=True)
    else:
        signup.cancel(registration=alice)
        signup.decline(registrations=[alice])
    for _attempt in range(2):
        again = sign_up(week)
        assert (again.pk == alice.pk, again.approval) == (False, "pending")
        signup.cancel(registration=again)
    again = sign_up(week)
    signup.approve(registrations=[again])
    signup.cancel(registration=again)
    assert sign_up(week).approval == "approved"


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("verb", [signup.approve, signup.decline])
def test_two_simultaneous_decisions_count_once(week, verb):
    """Real concurrency: as many connections as threads, each for all three people."""
    everyone = [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C")]
    start = threading.Barrier(4)
    answers, failures = [], []

    def press() -> None:
        try:
            start.wait()
            answers.append(verb(registrations=everyone))
        except Exception as error:
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(answers) == [0, 0, 0, 3]
    links = 3 if verb is signup.approve else 0
    assert OutgoingMail.objects.filter(kind="links").count() == links


def test_decisions_take_the_same_queries_for_3_people_as_for_30(week, django_assert_num_queries):
    for count in (3, 30):
        people = [sign_up(week, f"P{count}x{number} X") for number in range(count)]
        # The people, the approval, their seats, earlier links emails, who gets the schedule, the
        # emails; a savepoint.
        with django_assert_num_queries(9):
            assert signup.approve(registrations=people) == count
        # The people, the decision, their spots, the sessions, the waitlists, their tokens, their
        # unsent emails; two savepoints.
        with django_assert_num_queries(11):
            assert signup.decline(registrations=people) == count


def test_switching_approval_on_and_off_changes_no_registration(week):
    Event.objects.update(requires_approval=False)
    week.refresh_from_db()
    alice = sign_up(week)
    Event.objects.update(requires_approval=True)
    week.refresh_from_db()
    bob = sign_up(week, "Bob B")
    Event.objects.update(requires_approval=False)
    week.refresh_from_db()
    sign_up(week, "Bob B")
    for person, approval in ((alice, "approved"), (bob, "pending")):
        person.refresh_from_db()
        assert person.approval == approval
    assert queued(bob) == [("received", "waiting")]


@pytest.mark.parametrize(("approval", "decided"), [("pending", True), ("declined", False)])
def test_database_requires_the_time_of_a_decision(someone, approval, decided):
    alice = someone("approved")
    decided_at = timezone.now() if decided else None
    with pytest.raises(IntegrityError, match="declined_is_decided"), transaction.atomic():
        Registration.objects.filter(pk=alice.pk).update(approval=approval, decided_at=decided_at)


# Registering again


@pytest.mark.once
def test_registering_again_shows_everyone_the_same_page(week, someone):
    new = post(week)
    alice = Registration.objects.get()
    pages = {post(week)}
    with time_machine.travel(timezone.now() + 11 * MINUTE):
        for verb in (signup.approve, signup.decline):
            verb(registrations=[alice])
            pages.add(post(week))
    assert pages == {new}
    assert Registration.objects.count() == 1


def test_pending_person_is_emailed_again_at_most_once_in_ten_minutes(week):
    start = timezone.now()
    for minutes, count in [(0, 1), (9, 1), (11, 2), (12, 2)]:
        with time_machine.travel(start + minutes * MINUTE, tick=False):
            post(week)
            OutgoingMail.objects.update(state="sent", sent_at=timezone.now())
        assert queued(Registration.objects.get()) == [("received", "sent")] * count


def test_declined_person_gets_no_email(week, someone):
    alice = someone("declined")
    before = queued(alice)
    with time_machine.travel(timezone.now() + HOUR):
        post(week)
        post(week, email="ALICE@example.org", name="Mallory")
    assert queued(alice) == before
    alice.refresh_from_db()
    assert (alice.approval, alice.name) == ("declined", "Alice Adams")
    assert Registration.objects.count() == 1


def test_links_are_resent_only_to_admitted_people(someone):
    someone("pending", "Alice A")
    someone("declined", "Bob B")
    someone("approved", "Charlie C")
    OutgoingMail.objects.update(state="failed")
    assert signup.resend_links(registrations=Registration.objects.all()) == 1
    mail = OutgoingMail.objects.get(state="waiting")
    assert (mail.kind, mail.registration.name) == ("links", "Charlie C")


@pytest.mark.parametrize(
    ("approval", "expected"),
    [("pending", ["received"]), ("declined", []), ("approved", ["links", "schedule"])],
)
def test_corrected_address_gets_the_confirmation(someone, approval, expected):
    alice = someone(approval)
    signup.correct_email(registration=alice, email="right@example.org")
    waiting = alice.mails.filter(state="waiting").order_by("pk").values_list("kind", flat=True)
    assert list(waiting) == expected
    assert Registration.objects.get().token == alice.token


def test_correcting_an_address_uses_the_latest_decision(someone):
    alice = someone("approved")
    signup.decline(registrations=[alice])
    signup.correct_email(registration=alice, email="right@example.org")
    assert not alice.mails.filter(state="waiting").exists()


# Emails


@NOT_ADMITTED
def test_emails_are_dropped_without_approval(week, opening, someone, smtp, approval):
    """Approval is checked again when an email is written, whatever was queued."""
    alice = someone(approval)
    OutgoingMail.objects.all().delete()
    news = Announcement.objects.create(event=week, subject="News", body="Dear {name}")
    to_try = [kind for kind in kinds.COMPOSERS if (approval, kind) != ("pending", "received")]
    for kind in to_try:
        announcement = news if kind == "announcement" else None
        OutgoingMail.objects.create(
            key=kind, kind=kind, registration=alice, session=opening, announcement=announcement
        )
    deliver()
    assert queued(alice) == [(kind, "dropped") for kind in to_try]
    assert smtp.messages == []


@NOT_ADMITTED
def test_nothing_is_queued_without_approval(week, opening, someone, approval):
    someone("approved", "Bob B", wants_doors_email=True)
    someone(approval, wants_doors_email=True)
    mine = OutgoingMail.objects.filter(registration__name="Alice Adams")
    before = list(mine.values_list("pk", flat=True))
    times = [opening.starts_at - 24 * HOUR, opening.starts_at - HOUR]
    times += [opening.starts_at - 10 * MINUTE]
    times += [week.sessions.order_by("ends_at").last().ends_at + 25 * HOUR]
    with time_machine.travel(opening.starts_at - 30 * HOUR, tick=False):
        with edit_session(week.sessions.get(slug="das").pk) as das:
            das.title = "Renamed"
            das.save()
        cancel_session(session=week.sessions.get(slug="legislation"))
        AgendaItem.objects.filter(session__slug="closing").update(title="New")
        with edit_session(week.sessions.get(slug="closing").pk) as closing:
            closing.save()
    for time in times:
        with time_machine.travel(time, tick=False):
            tasks.queue_due_mails()
    assert list(mine.values_list("pk", flat=True)) == before
    notified = Seat.objects.filter(registration__name="Alice Adams", notified_revision__gt=0)
    assert not notified.exists()
    kinds = set(OutgoingMail.objects.exclude(kind="received").values_list("kind", flat=True))
    assert kinds >= {"day", "hour", "doors", "changed", "canceled", "thanks"}


@NOT_ADMITTED
def test_announcements_go_to_admitted_people(week, opening, someone, approval):
    track = week.tracks.first()
    for name, given in (("Alice A", approval), ("Bob B", "approved")):
        person = someone(given, name, strategies=[track])
        person.seats.exclude(session=opening).update(state="waiting", waiting_since=timezone.now())
    for audience in Announcement.Audience:
        announcement = Announcement.objects.create(
            event=week,
            subject="News",
            body="Hello",
            audience=audience,
            session=opening if audience == "session" else None,
            track=track if audience == "track" else None,
        )
        assert [person.name for person in announcements.audience(announcement)] == ["Bob B"]
        assert announcements.left_out(announcement) == announcements.LeftOut(0, 0)


def test_late_approval_sends_the_links_and_no_earlier_notices(week, opening, someone):
    """Neither the earlier change notice nor the reminder that is due now."""
    alice = someone("pending")
    with (
        time_machine.travel(opening.starts_at - 3 * HOUR, tick=False),
        edit_session(opening.pk) as now,
    ):
        now.title = "Renamed"
        now.save()
    with time_machine.travel(opening.starts_at - HOUR + MINUTE, tick=False):
        tasks.queue_due_mails()
        signup.approve(registrations=[alice])
        tasks.queue_due_mails()
    assert [kind for kind, _state in queued(alice)] == ["received", "links", "schedule"]
    with time_machine.travel(opening.starts_at + 48 * HOUR, tick=False):
        tasks.queue_due_mails()
    assert [kind for kind, _state in queued(alice)][3:] == ["day"]


# The admin


def listed(client, query: str = "") -> list[str]:
    people = client.get(f"{PEOPLE}{query}").context["cl"].result_list
    return sorted(person.name.split()[0] for person in people)


@pytest.fixture
def four(someone) -> list[Registration]:
    """One of each: Alice waits, Bob comes, Charlie was declined, Dora has canceled."""
    names = ("Alice A", "Bob B", "Charlie C", "Dora D")
    words = ("pending", "approved", "declined", "pending")
    people = [someone(word, name) for word, name in zip(words, names, strict=True)]
    signup.cancel(registration=people[3])
    return people


def test_list_says_how_everyone_stands_and_finds_them(admin_client, four):
    page = admin_client.get(PEOPLE).content.decode()
    shown = re.findall(r'field-coming[^>]*>(?:<b class="badge">)?([^<]+)', page)
    assert sorted(shown) == ["Canceled", "Coming", "Declined", "Waiting for approval"]
    found = {"yes": ["Bob"], "pending": ["Alice"], "declined": ["Charlie"], "canceled": ["Dora"]}
    assert {word: listed(admin_client, f"?coming={word}") for word in found} == found


def test_list_counts_those_who_wait_and_leads_to_them(admin_client, week, four):
    page = admin_client.get(PEOPLE).content.decode()
    assert f'<b class="warning">1 person</b> is waiting for approval for {week.name}' in page
    link = re.search(r'href="(\?event__id__exact=\d+&amp;coming=pending)"', page)[1]
    assert listed(admin_client, link.replace("&amp;", "&")) == ["Alice"]
    sign_up(week, "Erin E")
    assert (
        '<b class="warning">2 people</b> are waiting for approval'
        in admin_client.get(PEOPLE).content.decode()
    )


@pytest.mark.once
def test_list_says_nothing_when_nobody_waits(admin_client, someone):
    someone("approved")
    assert "waiting for approval for" not in admin_client.get(PEOPLE).content.decode()


@pytest.mark.once
def test_approving_in_bulk_says_how_many(admin_client, four):
    shown = act(admin_client, Registration, "approve", *four)
    assert "2 people approved. Their links are on the way." in shown
    assert "2 were skipped: already approved, or canceled." in shown
    assert listed(admin_client, "?coming=yes") == ["Alice", "Bob", "Charlie"]


@pytest.mark.once
def test_declining_in_bulk_says_how_many(admin_client, four):
    shown = act_surely(admin_client, "decline", *four)
    assert "3 people declined. Any links they had no longer work" in shown
    assert "1 was skipped: already declined." in shown
    assert listed(admin_client, "?coming=declined") == ["Alice", "Bob", "Charlie"]
    assert set(Registration.objects.values_list("approval", flat=True)) == {"declined"}


@pytest.mark.once
def test_approving_from_the_filtered_list_leaves_nobody_out(admin_client, week):
    alice = sign_up(week)
    fields = {"action": "approve", "_selected_action": [alice.pk]}
    page = admin_client.post(f"{PEOPLE}?coming=pending", fields, follow=True).content.decode()
    assert "1 person approved." in page
    assert "skipped" not in page


@pytest.mark.once
def test_declining_is_asked_once_more_only_where_links_would_end(admin_client, four):
    alice, bob, *_others = four
    asked = act(admin_client, Registration, "decline", alice, bob)
    assert "Decline 1 person who was approved?" in asked
    assert "Bob B" in asked
    assert "Alice A" not in asked
    assert listed(admin_client, "?coming=declined") == ["Charlie"]
    assert "1 person declined." in act(admin_client, Registration, "decline", alice)


@pytest.mark.once
def test_history_says_who_said_it(admin_client, admin_user, four):
    alice, bob, charlie, _dora = four
    act(admin_client, Registration, "approve", *four)
    act_surely(admin_client, "decline", alice)
    entries = LogEntry.objects.order_by("pk").values_list("user", "object_id", "change_message")
    shown = [(charlie, "Approved."), (alice, "Approved."), (alice, "Declined.")]
    assert sorted(entries) == sorted((admin_user.pk, str(who.pk), word) for who, word in shown)
    assert not any(entry[1] == str(bob.pk) for entry in entries)


def decide(client, person: Registration, word: str):
    url = reverse("admin:registrations_registration_decide", args=[person.pk])
    return client.post(url, {"do": word}, follow=True)


@pytest.mark.once
def test_buttons_on_a_persons_page(admin_client, someone):
    alice = someone("pending")
    for word, offered, state in [
        ("approve", ["approve", "decline"], "approved"),
        ("decline", ["decline"], "declined"),
        ("approve", ["approve"], "approved"),
    ]:
        page = admin_client.get(path(alice)).content.decode()
        assert re.findall(r'name="do" value="(\w+)"', page) == offered
        answer = decide(admin_client, alice, word)
        assert answer.redirect_chain == [(path(alice), 302)]
        assert "1 person" in answer.content.decode()
        alice.refresh_from_db()
        assert alice.approval == state
        page = admin_client.get(path(alice)).content.decode()
        assert f"{alice.get_approval_display()} on " in page


@pytest.mark.once
def test_page_of_someone_who_was_never_asked_for_has_no_buttons(admin_client, someone):
    alice, bob = someone("approved"), someone("pending", "Bob B")
    Event.objects.update(requires_approval=False)
    signup.cancel(registration=bob)
    for person in (alice, bob):
        assert 'name="do"' not in admin_client.get(path(person)).content.decode()
    Registration.objects.update(decided_at=None)
    assert "Not required" in admin_client.get(path(alice)).content.decode()


@pytest.mark.once
@pytest.mark.parametrize("word", ["", "cancel", "Approve"])
def test_odd_decisions_are_refused(admin_client, someone, word):
    alice = someone("pending")
    assert decide(admin_client, alice, word).status_code == 400
    url = reverse("admin:registrations_registration_decide", args=["99x"])
    assert admin_client.post(url, {"do": "approve"}).status_code == 404
    assert admin_client.get(url).status_code == 405


@pytest.mark.once
def test_deciding_is_for_those_who_may_change_registrations(client, django_user_model, someone):
    user = django_user_model.objects.create_user("viewer", "v@example.org", "x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client.force_login(user)
    alice, bob = someone("pending"), someone("approved", "Bob B")
    OutgoingMail.objects.update(state="failed")
    before = list(Registration.objects.order_by("pk").values()), OutgoingMail.objects.count()
    for action in ("approve", "decline", "send_links_again", "renew_links", "cancel"):
        assert 'name="sure"' not in act(client, Registration, action, alice, bob)
    assert decide(client, alice, "approve").status_code == 403
    assert before == (
        list(Registration.objects.order_by("pk").values()),
        OutgoingMail.objects.count(),
    )
    assert 'name="do"' not in client.get(path(alice)).content.decode()


def test_saving_a_page_takes_back_nothing_that_was_decided_meanwhile(
    admin_client, someone, monkeypatch
):
    alice = someone("approved")
    form = form_of(admin_client, path(alice))
    save = Registration.save

    def save_after_a_no(self, **options):
        signup.decline(registrations=[self])
        save(self, **options)

    monkeypatch.setattr(Registration, "save", save_after_a_no)
    admin_client.post(path(alice), {**form, "name": "Alicia", "organization": "ACLU"})
    saved = Registration.objects.get()
    assert (saved.name, saved.organization, saved.approval) == ("Alicia", "ACLU", "declined")
    assert saved.token != alice.token


@pytest.mark.once
@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("approved", "New links are on their way to right@example.org"),
        ("pending", "We'll tell right@example.org that you review each registration first."),
        ("declined", None),
    ],
)
def test_correcting_an_address_says_what_was_mailed(admin_client, someone, word, shown):
    alice = someone(word)
    form = form_of(admin_client, path(alice))
    answer = admin_client.post(path(alice), {**form, "email": "right@example.org"}, follow=True)
    words = [str(message) for message in answer.context["messages"]][:-1]
    assert [shown in each for each in words] == ([True] if shown else [])


@pytest.mark.once
def test_event_page_has_the_switch(admin_client, week):
    form = form_of(admin_client, path(week))
    assert form["requires_approval"]
    del form["requires_approval"]
    assert admin_client.post(path(week), form).status_code == 302
    week.refresh_from_db()
    assert week.requires_approval is False


@pytest.mark.once
def test_renewing_links_is_asked_once_more(admin_client, week):
    alice, bob = sign_up(week), sign_up(week, "Bob Brown")
    signup.approve(registrations=[alice])
    signup.decline(registrations=[bob])
    listed = reverse("admin:registrations_registration_changelist")
    chosen = {"action": "renew_links", "_selected_action": [alice.pk, bob.pk], "select_across": "1"}
    page = unescape(admin_client.post(listed, chosen).content.decode())
    assert "Replace the links of 1 person?" in page
    assert f'name="_selected_action" value="{bob.pk}"' in page
    assert 'name="select_across" value="1"' in page
    assert f"<li>{bob}" not in page
    assert Registration.objects.get(pk=alice.pk).token == alice.token
    shown = act(admin_client, Registration, "renew_links", bob)
    assert "They have no links" in shown


def test_links_in_wrong_hands_are_renewed_in_bulk(admin_client, week):
    alice, bob, charlie = (sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C"))
    signup.approve(registrations=[alice])
    signup.decline(registrations=[bob])
    tokens = dict(Registration.objects.values_list("pk", "token"))
    shown = act_surely(admin_client, "renew_links", alice, bob, charlie)
    assert "New links are on their way to 2 people" in shown
    assert "1 was skipped: declined or canceled." in shown
    now = dict(Registration.objects.values_list("pk", "token"))
    assert {pk for pk in now if now[pk] != tokens[pk]} == {alice.pk, charlie.pk}
    assert alice.mails.filter(kind="links", state="waiting").count() == 1
    assert charlie.mails.filter(kind="received", state="waiting").count() == 1


def test_links_are_renewed_once_however_often_it_is_pressed(admin_client, someone):
    alice = someone("approved")
    page = act(admin_client, Registration, "renew_links", alice)
    pressed = {"action": "renew_links", "_selected_action": [alice.pk], "sure": sure_of(page)}
    shown = [admin_client.post(PEOPLE, pressed, follow=True).text for _time in range(2)]
    once = Registration.objects.get().token
    assert "Your selection has changed. Please check it again." in shown[1]
    assert "Your selection has changed." not in page + shown[0]
    assert "Replace the links of 1 person?" in shown[1]
    assert (once == alice.token, alice.mails.filter(kind="links").count()) == (False, 2)
    assert Registration.objects.get().token == once
    assert sure_of(shown[1]) != sure_of(page)
