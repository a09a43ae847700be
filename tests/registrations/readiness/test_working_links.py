"""Who has a working link: the email has reached them, and the join page can redirect."""

import itertools

import pytest
from django.utils import timezone

from events.models import Event, Meeting
from registrations import readiness, seats, signup
from registrations.mail import previews
from registrations.mail.kinds import COMPOSERS
from registrations.models import Announcement, OutgoingMail, PersonalLink, Registration, Seat
from registrations.readiness import EmailStatus, LinkStatus
from tests.people import sign_up
from tests.registrations.readiness.people import (
    HOUR,
    MINUTE,
    ZOOM_ID,
    board,
    issue,
    lacking,
    mail,
    mailed,
    registered,
    seat_of,
)

pytestmark = pytest.mark.django_db

UNREACHED = [("failed", "refused"), ("bounced", "came back"), ("complained", "spam")]


# Whether the email reached them


def test_link_works_once_a_server_has_accepted_the_email(week, opening):
    alice = sign_up(week)
    assert seat_of(alice, opening).email == EmailStatus.ON_ITS_WAY
    assert lacking(opening) == ["Alice Adams"]
    mailed(alice)
    assert seat_of(alice, opening).email == EmailStatus.ACCEPTED
    assert lacking(opening) == []


@pytest.mark.parametrize("state", [None, "dropped", "paused"])
def test_person_without_a_sent_email_has_no_working_link(week, opening, state):
    alice = sign_up(week)
    alice.mails.update(state=state) if state else alice.mails.all().delete()
    assert (seat_of(alice, opening).email, lacking(opening)) == (EmailStatus.NONE, ["Alice Adams"])


@pytest.mark.parametrize(("state", "expected"), UNREACHED)
def test_unreached_person_has_no_working_link(week, opening, state, expected):
    alice = mailed(sign_up(week), state)
    assert (seat_of(alice, opening).email, lacking(opening)) == (expected, ["Alice Adams"])


@pytest.mark.parametrize(("state", "expected"), UNREACHED)
def test_newer_undelivered_email_counts_more_than_a_sent_one(week, opening, state, expected):
    alice = mailed(sign_up(week))
    mail(alice, "thanks", state)
    assert seat_of(alice, opening).email == expected


def test_rejected_email_does_not_count_after_a_sent_one(week, opening):
    alice = mailed(sign_up(week), "failed")
    mail(alice, "day", session=opening)
    assert seat_of(alice, opening).email == EmailStatus.ACCEPTED


@pytest.mark.parametrize("state", ["bounced", "complained"])
def test_bounced_email_still_counts_after_a_sent_one(week, opening, state):
    alice = mailed(sign_up(week), state)
    mail(alice)
    assert seat_of(alice, opening).email != EmailStatus.ACCEPTED


def test_complaint_counts_more_than_a_newer_bounce(week, opening):
    alice = mailed(sign_up(week), "complained")
    mail(alice, state="bounced")
    assert seat_of(alice, opening).email == EmailStatus.SPAM


def test_unreached_people_are_the_same_as_on_other_pages(week, opening):
    """All histories of two emails, and of an address corrected before, between or after them."""
    states = ["waiting", "sent", "failed", "bounced", "complained", "dropped"]
    histories = list(itertools.product(states, states, [0, 15, 25]))
    people = registered(week, [f"{number}" for number in range(len(histories))])
    begun = timezone.now() - HOUR
    Seat.objects.bulk_create(
        Seat(registration=person, session=opening, seated_at=begun) for person in people
    )
    for person, (first, then, corrected) in zip(people, histories, strict=True):
        person.email_changed_at = begun + corrected * MINUTE
        mail(person, state=first, created_at=begun + 10 * MINUTE)
        mail(person, state=then, created_at=begun + 20 * MINUTE)
    Registration.objects.bulk_update(people, ["email_changed_at"])
    unreached = set(Registration.objects.unreachable().values_list("pk", flat=True))
    valid = {0: slice(0, 2), 15: slice(1, 2), 25: slice(0)}
    works = {
        person.pk
        for person, history in zip(people, histories, strict=True)
        if "sent" in history[:2][valid[history[2]]] and history[1] != "waiting"
    }
    accepted = {seat.person.pk for seat in board(week).seats if seat.email == EmailStatus.ACCEPTED}
    assert (len(unreached), len(works & unreached)) > (30, 5)
    assert accepted == works - unreached


@pytest.mark.parametrize("kind", COMPOSERS)
def test_emails_with_links_are_the_ones_that_count(week, opening, second, kind):
    alice = mailed(sign_up(week), "dropped")
    fields: dict = {}
    if kind == OutgoingMail.Kind.ANNOUNCEMENT:
        fields["announcement"] = Announcement.objects.create(event=week, subject="S", body="B")
    about_one = previews.sample(kind, week) if kind in readiness.LINK_KINDS else None
    mail(alice, kind, **fields)
    of_all = seat_of(alice, opening).email
    alice.mails.update(session=second)
    of_another = seat_of(alice, opening).email
    carries = kind in readiness.LINK_KINDS
    assert of_all == (EmailStatus.ACCEPTED if carries else EmailStatus.NONE)
    assert of_another == EmailStatus.NONE
    assert seat_of(alice, second).email == of_all
    assert about_one is None or "/join/" in about_one.body


# The notice of a cancellation holds the links of other sessions, a confirmation of access those of
# sessions that someone needs something in.
ONLY_SOME = {OutgoingMail.Kind.CANCELED, OutgoingMail.Kind.ACCESS}


@pytest.mark.once
@pytest.mark.parametrize("kind", sorted({*COMPOSERS} - {*readiness.LINK_KINDS} - ONLY_SOME))
def test_other_emails_have_no_join_link(week, kind):
    if kind == OutgoingMail.Kind.ANNOUNCEMENT:
        message = previews.announcement_preview(
            Announcement(event=week, subject="S", body="B"), previews.sample_attendee(week)
        )
    else:
        message = previews.sample(kind, week)
    assert "/join/" not in message.body


def test_renewed_links_count_from_their_own_email_on(week, opening):
    alice = mailed(sign_up(week))
    signup.renew_links(registrations=[alice])
    assert seat_of(alice, opening).email == EmailStatus.ON_ITS_WAY
    mailed(alice)
    assert seat_of(alice, opening).email == EmailStatus.ACCEPTED


def test_waiting_email_does_not_count_once_a_newer_one_was_sent(week, opening):
    alice = sign_up(week)
    mail(alice)
    assert seat_of(alice, opening).email == EmailStatus.ACCEPTED


def test_waiting_reminder_takes_no_link_away(week, opening):
    alice = mailed(sign_up(week))
    mail(alice, "day", "waiting", session=opening)
    assert seat_of(alice, opening).email == EmailStatus.ACCEPTED


def test_promotion_from_the_waitlist_counts_from_its_own_email_on(week, opening, second):
    alice = mailed(sign_up(week))
    alice.seats.filter(session=opening).update(state="waiting", waiting_since=timezone.now())
    seats.promote(seat=alice.seats.get(session=opening))
    assert seat_of(alice, opening).email == EmailStatus.ON_ITS_WAY
    assert seat_of(alice, second).email == EmailStatus.ACCEPTED
    mailed(alice, kind="promoted")
    assert seat_of(alice, opening).email == EmailStatus.ACCEPTED


def test_corrected_address_counts_from_its_own_email_on(week, opening):
    alice = mailed(sign_up(week))
    signup.correct_email(registration=alice, email="new@example.org")
    assert seat_of(alice, opening).email == EmailStatus.ON_ITS_WAY
    mailed(alice, state="dropped", state__in=["waiting"])
    assert seat_of(alice, opening).email == EmailStatus.NONE


def test_approval_after_a_decline_counts_from_its_own_email_on(week, opening):
    alice = mailed(sign_up(week))
    signup.decline(registrations=[alice])
    signup.approve(registrations=[alice])
    assert seat_of(alice, opening).email == EmailStatus.ON_ITS_WAY


# Whether the join page can redirect


@pytest.mark.parametrize(
    ("mode", "meeting", "expected"),
    [
        ("pasted", {}, LinkStatus.THERE),
        ("pasted", {"join_url": ""}, LinkStatus.MISSING),
        ("pasted", {"state": "gone"}, LinkStatus.THERE),
        ("shared", {}, LinkStatus.THERE),
        ("shared", {"state": "wanted"}, LinkStatus.THERE),
        ("shared", {"join_url": ""}, LinkStatus.MISSING),
        ("shared", {"state": "gone"}, LinkStatus.GONE),
        ("personal", {}, LinkStatus.MISSING),
        ("personal", {"state": "made", "zoom_id": ZOOM_ID}, LinkStatus.WANTED),
    ],
)
def test_link_of_a_session(week, opening, mode, meeting, expected):
    alice = mailed(sign_up(week))
    week.zoom_mode = mode
    week.save()
    Meeting.objects.filter(session=opening).update(**meeting)
    opening.event.refresh_from_db()
    assert seat_of(alice, opening).link == expected
    assert lacking(opening) == ([] if expected == LinkStatus.THERE else ["Alice Adams"])


@pytest.mark.parametrize("mode", Event.ZoomMode.values)
def test_session_without_a_meeting_has_no_link(week, opening, mode):
    alice = sign_up(week)
    Event.objects.update(zoom_mode=mode)
    Meeting.objects.all().delete()
    opening.event.refresh_from_db()
    assert seat_of(alice, opening).link == LinkStatus.MISSING


@pytest.mark.parametrize(
    ("link", "expected"),
    [
        ({"state": "issued"}, LinkStatus.THERE),
        ({"state": "issued", "zoom_id": ZOOM_ID - 1}, LinkStatus.WANTED),
        ({"state": "issued", "email": "old@example.org"}, LinkStatus.WANTED),
        ({"state": "wanted"}, LinkStatus.WANTED),
        ({"state": "refused"}, LinkStatus.REFUSED),
        ({"state": "refused", "zoom_id": ZOOM_ID - 1}, LinkStatus.WANTED),
    ],
)
def test_personal_link_works_if_issued_for_the_current_meeting(personal, opening, link, expected):
    alice = mailed(sign_up(personal))
    issue(alice, opening, **link)
    assert seat_of(alice, opening).link == expected
    leads_in = PersonalLink.objects.usable().exists()
    assert leads_in is (expected == LinkStatus.THERE)
    assert lacking(opening) == ([] if leads_in else ["Alice Adams"])


def test_personal_link_is_gone_with_its_meeting(personal, opening):
    alice = sign_up(personal)
    issue(alice, opening)
    Meeting.objects.update(state="gone")
    assert seat_of(alice, opening).link == LinkStatus.GONE


def test_personal_link_belongs_to_one_session(personal, opening, second):
    alice = sign_up(personal)
    issue(alice, opening)
    assert seat_of(alice, second).link == LinkStatus.WANTED
