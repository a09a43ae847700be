"""No links, calendar or notices without approval: pages and emails."""

import re

import pytest
import time_machine
from django.utils import timezone

from events.models import AgendaItem
from events.schedule import cancel_session, edit_session
from registrations import signup, tasks
from registrations.mail import announcements, kinds, unsubscribe
from registrations.models import Announcement, OutgoingMail, Registration, Seat, new_token
from tests.people import sign_up
from tests.registrations.approval.registering import HOUR, MINUTE, deliver, queued, secrets_in

pytestmark = pytest.mark.django_db

PAGES = ("/me/{}/", "/me/{}/calendar.ics", "/join/{}/opening/")
NOT_ADMITTED = pytest.mark.parametrize("approval", ["pending", "declined"])


# Pages


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


def test_nothing_is_queued_without_approval(week, opening, someone):
    for approval in ("pending", "declined", "approved"):
        someone(approval, approval, wants_doors_email=True)
    theirs = OutgoingMail.objects.exclude(registration__approval="approved")
    before = list(theirs.values_list("pk", flat=True))
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
    assert list(theirs.values_list("pk", flat=True)) == before
    notified = Seat.objects.filter(notified_revision__gt=0)
    assert not notified.exclude(registration__approval="approved").exists()
    kinds = set(OutgoingMail.objects.exclude(kind="received").values_list("kind", flat=True))
    assert kinds >= {"day", "hour", "doors", "changed", "canceled", "thanks"}


def test_announcements_go_to_admitted_people(week, opening, someone):
    track = week.tracks.first()
    for approval in ("pending", "declined", "approved"):
        person = someone(approval, approval, strategies=[track])
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
        assert [person.name for person in announcements.audience(announcement)] == ["approved"]
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
