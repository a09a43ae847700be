"""The readiness board: who has a working link, who doesn't and why, and the button that fixes."""

import datetime as dt
import html
import itertools
import re
from collections import Counter

import pytest
import time_machine
from axe_playwright_python.sync_playwright import Axe
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from events.models import Event, Meeting, Session, ZoomAccount
from events.schedule import cancel_session
from registrations import readiness, seats, signup
from registrations.admin.readiness import MAX_NAMED, PER_PAGE, overview_rows
from registrations.mail import previews
from registrations.mail.kinds import COMPOSERS
from registrations.models import Announcement, OutgoingMail, PersonalLink, Registration, Seat
from registrations.readiness import EmailStatus, LinkStatus, Progress, Tally
from tests.browser import PHONE, overflow
from tests.people import sign_up
from tests.registrations.admin.test_registrations import path

pytestmark = pytest.mark.django_db

Kind = OutgoingMail.Kind
HOUR = dt.timedelta(hours=1)
MINUTE = dt.timedelta(minutes=1)
DAY = dt.timedelta(days=1)
ZOOM_ID = 90_000_000_000
LIST = "/admin/registrations/registration/"
LINK = re.compile(r'href="([^"#]*)#people"')
UNREACHED = [("failed", "refused"), ("bounced", "came back"), ("complained", "spam")]


@pytest.fixture
def second(week) -> Session:
    return week.sessions.all()[1]


@pytest.fixture
def personal(week, settings) -> Event:
    """The week with personal links and meetings at Zoom, on a site with credentials."""
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"
    week.zoom_mode = Event.ZoomMode.PERSONAL
    week.save()
    for number, session in enumerate(week.sessions.all()):
        Meeting.objects.filter(session=session).update(state="made", zoom_id=ZOOM_ID + number)
    return week


@pytest.fixture
def viewer(client, django_user_model):
    """A user who may only look at registrations."""
    user = django_user_model.objects.create_user("viewer", "v@example.org", "x", is_staff=True)
    user.user_permissions.add(Permission.objects.get(codename="view_registration"))
    client.force_login(user)
    return client


def mailed(person: Registration, state: str = "sent", **about) -> Registration:
    """Give the person's emails, or those that match `about`, this state."""
    took = state in {"sent", "bounced", "complained"}
    sent_at = timezone.now() if took else None
    person.mails.filter(**about).update(state=state, sent_at=sent_at)
    return person


def mail(person: Registration, kind: str = "links", state: str = "sent", **about) -> OutgoingMail:
    """Another email to the person."""
    return OutgoingMail.objects.create(
        key=f"{kind}/{person.pk}/{OutgoingMail.objects.count()}",
        kind=kind,
        registration=person,
        state=state,
        sent_at=timezone.now() if state in {"sent", "bounced", "complained"} else None,
        **about,
    )


def issue(person: Registration, session: Session, state: str = "issued", **about) -> PersonalLink:
    defaults = {"zoom_id": session.meeting.zoom_id, "email": person.email, "state": state}
    if state == "issued":
        defaults |= {"join_url": "https://zoom.example/w/1", "issued_at": timezone.now()}
    seat = person.seats.get(session=session)
    return PersonalLink.objects.create(seat=seat, meeting=session.meeting, **defaults | about)


def board(event: Event) -> readiness.Board:
    return readiness.Board(event, timezone.now())


def seat_of(person: Registration, session: Session) -> readiness.SeatReadiness:
    seats = board(Event.objects.get(pk=session.event_id)).seats
    (seat,) = [
        seat for seat in seats if (seat.person.pk, seat.session_id) == (person.pk, session.pk)
    ]
    return seat


def lacking(session: Session) -> list[str]:
    """The names of the people who have no working link for a session."""
    return names(board(session.event).people(session=session, progress=Progress.NO_LINK))


def names(people) -> list[str]:
    return [person.name for person in people]


def queries(work) -> int:
    with CaptureQueriesContext(connection) as context:
        work()
    return len(context)


def crowd(week: Event, count: int) -> None:
    """Replace all people by new ones, of whom every third has received the email."""
    then = timezone.now() - HOUR
    Registration.objects.all().delete()
    people = registered(week, [f"N{number} N" for number in range(count)])
    Seat.objects.bulk_create(
        Seat(registration=person, session=session, seated_at=then)
        for person in people
        for session in week.sessions.all()
    )
    states = itertools.cycle(["sent", "failed", "bounced"])
    OutgoingMail.objects.bulk_create(
        OutgoingMail(
            key=f"links/{person.pk}",
            kind="links",
            registration=person,
            state=state,
            last_error="550 No",
            sent_at=None if state == "failed" else then,
            created_at=then,
        )
        for person, state in zip(people, states, strict=False)
    )


def registered(week: Event, names: list[str]) -> list[Registration]:
    """People without a seat and an email, since yesterday."""
    since = timezone.now() - DAY
    return Registration.objects.bulk_create(
        Registration(event=week, name=name, email_key=name, email_changed_at=since, time_zone="UTC")
        for name in names
    )


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
    if kind == Kind.ANNOUNCEMENT:
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
ONLY_SOME = {Kind.CANCELED, Kind.ACCESS}


@pytest.mark.once
@pytest.mark.parametrize("kind", sorted({*COMPOSERS} - {*readiness.LINK_KINDS} - ONLY_SOME))
def test_other_emails_have_no_join_link(week, kind):
    if kind == Kind.ANNOUNCEMENT:
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


# Who is on the board


def test_only_attendees_are_on_the_board(week, opening):
    people = [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C", "Dora D", "Eve E")]
    _alice, bob, charlie, dora, eve = people
    signup.cancel(registration=bob)
    signup.decline(registrations=[charlie])
    Registration.objects.filter(pk=dora.pk).update(approval="pending")
    eve.seats.update(state="waiting", waiting_since=timezone.now())
    assert lacking(opening) == ["Alice A"]
    assert board(week).tallies()[opening.pk].seated == 1
    assert names(board(week).people()) == ["Alice A"]


def test_only_sessions_that_take_place_are_on_the_board(week, opening, second):
    sign_up(week)
    cancel_session(session=opening)
    Session.objects.filter(pk=second.pk).update(status="draft")
    others = set(week.sessions.values_list("pk", flat=True)) - {opening.pk, second.pk}
    assert set(board(week).tallies()) == others
    assert {seat.session_id for seat in board(week).seats} == others
    sign_up(week, "Bob B", sessions=[opening, second])
    assert names(board(week).people()) == ["Alice Adams"]


def test_next_session_is_the_first_that_is_not_over(week, opening, second):
    sessions = list(week.sessions.all())
    assert readiness.next_session(sessions, timezone.now()) == opening
    assert readiness.next_session(sessions, opening.ends_at - MINUTE) == opening
    assert readiness.next_session(sessions, opening.ends_at) == second
    assert readiness.next_session(sessions, sessions[-1].ends_at) is None


def test_nobody_needs_a_link_for_a_past_session(week, opening):
    sign_up(week, sessions=[opening])
    assert lacking(opening) == ["Alice Adams"]
    with time_machine.travel(opening.ends_at + HOUR):
        assert lacking(opening) == []


# Numbers


def test_tally_counts_the_progress_of_people(personal, opening):
    alice, bob, charlie, dora, eve = (
        sign_up(personal, name) for name in ("Alice A", "Bob B", "Charlie C", "Dora D", "Eve E")
    )
    for person, state in ((alice, "sent"), (bob, "sent"), (charlie, "bounced"), (dora, "failed")):
        mailed(person, state)
    for person in (alice, bob, eve):
        issue(person, opening)
    issue(charlie, opening, "refused")
    Seat.objects.update(link_fetched_at=timezone.now())
    alice.seats.filter(session=opening).update(opened_at=timezone.now(), attended=True)
    bob.seats.filter(session=opening).update(opened_at=timezone.now())
    assert board(personal).tallies()[opening.pk] == Tally(
        seated=5,
        issued=3,
        accepted=2,
        unreached=2,
        opened=2,
        attended=1,
        without_link=3,
        reasons=Counter(
            {
                str(EmailStatus.CAME_BACK.label): 1,
                str(EmailStatus.REFUSED.label): 1,
                str(EmailStatus.ON_ITS_WAY.label): 1,
                str(LinkStatus.REFUSED.label): 1,
                str(LinkStatus.WANTED.label): 1,
            }
        ),
    )


def test_empty_session_has_a_tally(week, opening):
    assert board(week).tallies()[opening.pk] == Tally(0, 0, 0, 0, 0, 0, 0, reasons=Counter())


def test_board_takes_the_same_queries_for_3_people_as_for_60(personal):
    def use_board() -> None:
        board(personal).tallies()
        for progress in Progress:
            list(board(personal).people(progress=progress))

    crowd(personal, 3)
    few = queries(use_board)
    crowd(personal, 60)
    assert queries(use_board) == few


# Looking people up


@pytest.fixture
def four(week, opening, second):
    """Alice has come, Bob has opened the page, Charlie's mail came back, Dora is in the second.

    A mail scanner has fetched everyone's links.
    """
    alice, bob, charlie = (
        mailed(sign_up(week, name, sessions=[opening])) for name in ("Alice A", "Bob B", "Cha C")
    )
    mailed(sign_up(week, "Dora D", sessions=[second], email="dora.bobson@example.org"))
    mailed(charlie, "bounced")
    Seat.objects.update(link_fetched_at=timezone.now())
    bob.seats.update(opened_at=timezone.now())
    alice.seats.update(opened_at=timezone.now(), attended=True)


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, ["Alice A", "Bob B", "Cha C", "Dora D"]),
        ({"session": "opening"}, ["Alice A", "Bob B", "Cha C"]),
        ({"progress": Progress.NO_LINK}, ["Cha C"]),
        ({"progress": Progress.UNREACHED}, ["Cha C"]),
        ({"progress": Progress.NOT_OPENED}, ["Cha C", "Dora D"]),
        ({"progress": Progress.NOT_OPENED, "session": "opening"}, ["Cha C"]),
        ({"progress": Progress.ATTENDED}, ["Alice A"]),
        ({"search": "BOB"}, ["Bob B", "Dora D"]),
        ({"search": "bob example"}, ["Bob B", "Dora D"]),
        ({"search": "bob", "session": "opening"}, ["Bob B"]),
        ({"search": "nobody"}, []),
    ],
)
def test_people_can_be_filtered_and_searched(week, four, asked, expected):
    if "session" in asked:
        asked = {**asked, "session": week.sessions.get(slug=asked["session"])}
    assert names(board(week).people(**asked)) == expected


def test_seat_shows_the_last_error_of_what_its_status_is_about(week, opening):
    alice = mailed(sign_up(week), "failed")
    alice.mails.update(last_error="550 No such user")
    assert seat_of(alice, opening).reasons == {str(EmailStatus.REFUSED.label): "550 No such user"}
    mail(alice, state="waiting", last_error="451 Later")
    assert seat_of(alice, opening).reasons == {str(EmailStatus.ON_ITS_WAY.label): "451 Later"}
    mail(alice, state="bounced", last_error="Mailbox full")
    assert seat_of(alice, opening).reasons == {str(EmailStatus.CAME_BACK.label): "Mailbox full"}


# Fixing


def long_ago(person: Registration) -> Registration:
    """Have what came of someone's mails be older than the pause between two of them."""
    then = timezone.now() - HOUR
    person.mails.update(created_at=then)
    person.seats.update(seated_at=then)
    Registration.objects.filter(pk=person.pk).update(email_changed_at=then)
    return person


def waiting_kinds(person: Registration) -> list[str]:
    return list(person.mails.filter(state="waiting").values_list("kind", flat=True))


def fixed(**expected) -> readiness.Fixed:
    nothing = {"emailed": 0, "emailed_recently": 0, "reported_spam": 0, "personal_links": 0}
    return readiness.Fixed(**{**nothing, "asks_zoom": False, **expected})


@pytest.mark.parametrize("state", ["failed", "bounced", "dropped"])
def test_fix_emails_unreached_people_again(week, opening, state):
    alice = long_ago(mailed(sign_up(week), state))
    assert readiness.fix(event=week) == fixed(emailed=1)
    assert waiting_kinds(alice) == ["links"]
    assert seat_of(alice, opening).email == EmailStatus.ON_ITS_WAY
    mailed(alice, state__in=["waiting"])
    assert lacking(opening) == []
    assert not Registration.objects.unreachable().exists()


def test_fix_emails_people_who_never_got_an_email(week):
    alice = sign_up(week)
    alice.mails.all().delete()
    assert readiness.fix(event=week) == fixed(emailed=1)
    assert waiting_kinds(alice) == ["links"]


def test_fix_emails_promoted_people_whose_email_failed(week, opening):
    alice = long_ago(mailed(sign_up(week)))
    alice.seats.filter(session=opening).update(state="waiting", waiting_since=timezone.now())
    seats.promote(seat=alice.seats.get(session=opening))
    mailed(alice, "failed", kind="promoted")
    assert readiness.fix(event=week) == fixed(emailed=1)
    mailed(alice, state__in=["waiting"])
    assert lacking(opening) == []


def test_address_that_bounces_after_a_fix_has_come_back_again(week, opening):
    alice = long_ago(mailed(sign_up(week), "bounced"))
    mail(alice, "thanks", "bounced", created_at=timezone.now() - HOUR)
    readiness.fix(event=week)
    mailed(alice, "bounced", state__in=["waiting"])
    assert seat_of(alice, opening).email == EmailStatus.CAME_BACK


def test_fix_skips_people_with_a_sent_or_waiting_email(week):
    alice, bob = mailed(sign_up(week)), sign_up(week, "Bob B")
    for person in (alice, bob):
        long_ago(person)
    assert readiness.fix(event=week) == fixed()
    assert (waiting_kinds(alice), waiting_kinds(bob)) == ([], ["links"])


def test_fix_run_twice_sends_one_email(week):
    alice = long_ago(mailed(sign_up(week), "bounced"))
    readiness.fix(event=week)
    assert readiness.fix(event=week) == fixed()
    assert waiting_kinds(alice) == ["links"]


def test_fix_skips_people_who_reported_spam(week):
    alice = long_ago(mailed(sign_up(week), "complained"))
    since = Registration.objects.get().email_changed_at
    assert readiness.fix(event=week) == fixed(reported_spam=1)
    assert (waiting_kinds(alice), Registration.objects.get().email_changed_at) == ([], since)


def test_fix_skips_people_who_were_emailed_recently(week, opening):
    alice = mailed(sign_up(week), "bounced")
    assert readiness.fix(event=week) == fixed(emailed_recently=1)
    assert (waiting_kinds(alice), seat_of(alice, opening).email) == ([], EmailStatus.CAME_BACK)


def test_fix_skips_people_who_are_not_attending(week):
    people = [sign_up(week, name) for name in ("Alice A", "Bob B", "Charlie C")]
    for person in people:
        long_ago(mailed(person, "failed"))
    alice, bob, charlie = people
    signup.cancel(registration=alice)
    signup.decline(registrations=[bob])
    charlie.seats.update(state="waiting", waiting_since=timezone.now())
    assert readiness.fix(event=week) == fixed()


def test_fix_skips_past_sessions(week):
    alice = long_ago(mailed(sign_up(week), "failed"))
    with time_machine.travel(week.sessions.last().ends_at + HOUR):
        assert readiness.fix(event=week) == fixed()
    assert waiting_kinds(alice) == []


def test_fix_skips_other_events(week):
    long_ago(mailed(sign_up(week), "failed"))
    other = Event.objects.create(name="Other", slug="other", host="Us")
    assert readiness.fix(event=other) == fixed()


def test_fix_retries_personal_links_and_meetings(personal, opening, second):
    alice = mailed(sign_up(personal))
    refused = issue(alice, opening, "refused", problem="Invalid email.")
    later = timezone.now() + DAY
    ZoomAccount.objects.create(resumes_at=later)
    Meeting.objects.filter(session=opening).update(problem="No.", due_at=later)
    Meeting.objects.filter(session=second).update(state="gone", problem="Deleted.")
    assert readiness.fix(event=personal) == fixed(asks_zoom=True, personal_links=1)
    refused.refresh_from_db()
    meeting = Meeting.objects.get(session=opening)
    assert (refused.state, refused.problem) == ("wanted", "")
    assert meeting.due_at <= timezone.now()
    assert ZoomAccount.objects.get().resumes_at <= timezone.now()
    assert Meeting.objects.get(session=second).state == "gone"


@pytest.mark.parametrize("mode", ["pasted", "unconfigured"])
def test_fix_does_not_ask_zoom_without_meetings_or_credentials(personal, opening, settings, mode):
    issue(mailed(sign_up(personal)), opening, "refused", problem="Invalid email.")
    if mode == "pasted":
        personal.zoom_mode = mode
    else:
        settings.ZOOM_CLIENT_SECRET = ""
    later = timezone.now() + DAY
    ZoomAccount.objects.create(resumes_at=later)
    assert readiness.fix(event=personal) == fixed()
    assert ZoomAccount.objects.get().resumes_at == later
    assert PersonalLink.objects.get().state == "refused"


def test_fix_takes_the_same_queries_for_3_people_as_for_60(personal):
    crowd(personal, 3)
    few = queries(lambda: readiness.fix(event=personal))
    crowd(personal, 60)
    assert queries(lambda: readiness.fix(event=personal)) == few
    assert OutgoingMail.objects.filter(state="waiting").count() == 40


# The page


def page_of(event: Event) -> str:
    return reverse("admin:registrations_registration_readiness", args=[event.pk])


def shown(answer) -> str:
    """A page's text, without its tags."""
    assert answer.status_code == 200
    page = re.sub(r"</?(a|b|span)\b[^>]*>", "", answer.content.decode())
    page = page.partition("<main")[2].partition("</main>")[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def shown_messages(answer) -> list[str]:
    return [str(message) for message in get_messages(answer.wsgi_request)]


def table(answer) -> list[tuple]:
    """The table of people: each name, and the text of its cells."""
    return texts_of(answer.context["rows"])


def texts_of(rows) -> list[tuple]:
    return [(row.person.name, [mark and mark.text for _name, mark in row.cells]) for row in rows]


def link(answer, text: str) -> str:
    """The query of the board's link with this text; "" if there is none."""
    anchors = re.findall(r"<a [^>]*>[^<]*</a>", answer.content.decode())
    found = [each for each in anchors if f">{text}<" in html.unescape(each)]
    return html.unescape(LINK.search(found[0])[1]) if found else ""


@pytest.mark.once
def test_page_names_who_has_no_working_link_and_why(admin_client, week, opening):
    mailed(sign_up(week))
    bob = mailed(sign_up(week, "Bob O'Brien & Co"), "failed")
    bob.mails.update(last_error="550 No such user")
    answer = admin_client.get(page_of(week))
    page = shown(answer)
    assert f"Next: {opening.title}" in page
    assert "9:00 AM to 1:00 PM P" in page
    assert "1 person without a working link, out of 2 people registered." in page
    assert "1: Email refused" in page
    assert "Bob O'Brien & Co bob@example.org Email refused: 550 No such user" in page
    assert f'href="{path(bob)}"' in answer.content.decode()
    assert "Times on this page: Pacific (Los Angeles)" in page


@pytest.mark.once
def test_page_shows_zooms_error_about_an_address(admin_client, personal, opening):
    alice = mailed(sign_up(personal, sessions=[opening]))
    issue(alice, opening, "refused", problem="Invalid email.")
    assert "Alice Adams Zoom refused the address: Invalid email." in shown(
        admin_client.get(page_of(personal))
    )


@pytest.mark.once
def test_page_names_fifty_people_and_links_to_the_others(admin_client, week, opening):
    crowd(week, 80)
    assert len(lacking(opening)) == MAX_NAMED + 3
    answer = admin_client.get(page_of(week))
    assert names(row.person for row in answer.context["named"]) == lacking(opening)[:MAX_NAMED]
    assert "And 3 more people: see them all in the table" in shown(answer)
    others = admin_client.get(page_of(week) + link(answer, "see them all in the table"))
    assert len(others.context["rows"]) == MAX_NAMED + 3
    assert others.context["session"] == opening


@pytest.mark.once
def test_page_is_calm_when_nobody_lacks_a_link(admin_client, week):
    assert "0 people registered so far." in shown(admin_client.get(page_of(week)))
    mailed(sign_up(week))
    page = shown(admin_client.get(page_of(week)))
    assert "1 person registered, with a working link" in page
    assert "No working link for the next session" not in page


@pytest.mark.once
def test_page_links_to_the_session_without_a_link_and_to_the_mail_status(
    admin_client, week, opening
):
    sign_up(week)
    Meeting.objects.all().delete()
    page = admin_client.get(page_of(week)).content.decode()
    assert f'href="{path(opening)}#meeting-group"' in page
    assert "/admin/registrations/outgoingmail/status/" in page


@pytest.mark.once
def test_pending_people_are_counted_separately(admin_client, week):
    week.requires_approval = True
    week.save()
    for name in ("Alice A", "Bob B"):
        sign_up(week, name)
    page = shown(admin_client.get(page_of(week)))
    assert "2 people are waiting for approval and aren't counted here: see who" in page
    assert "0 people registered so far." in page


@pytest.mark.once
def test_page_of_a_past_week_has_no_button(admin_client, admin_user, week):
    alice = mailed(sign_up(week), "failed")
    alice.seats.update(attended=True)
    with time_machine.travel(week.sessions.last().ends_at + HOUR):
        # The sign-in has run out meanwhile.
        admin_client.force_login(admin_user)
        answer = admin_client.get(page_of(week))
    assert "No upcoming sessions" in shown(answer)
    assert "Fix all" not in shown(answer)
    assert table(answer) == [("Alice Adams", ["Attended"] * 6)]
    assert answer.context["rows"][0].reasons == []


@pytest.mark.once
def test_event_without_sessions_has_a_page(admin_client):
    event = Event.objects.create(name="New", slug="new", host="Us")
    page = shown(admin_client.get(page_of(event)))
    assert "No session is public yet." in page
    assert "No matches" in page


@pytest.mark.once
def test_table_shows_progress_in_each_session(admin_client, week, opening, second):
    alice = mailed(sign_up(week, sessions=[opening, second]))
    sign_up(week, "Bob B", sessions=[opening])
    mailed(sign_up(week, "Cora C", sessions=[opening]))
    Seat.objects.filter(session=opening).update(link_fetched_at=timezone.now())
    alice.seats.filter(session=opening).update(opened_at=timezone.now())
    answer = admin_client.get(page_of(week))
    assert table(answer) == [
        ("Alice Adams", ["Opened", "Ready", *[None] * 4]),
        ("Bob B", ["No link", *[None] * 5]),
        ("Cora C", ["Link visited", *[None] * 5]),
    ]
    reasons = [row.reasons for row in answer.context["rows"]]
    assert reasons == [[], [EmailStatus.ON_ITS_WAY.label], []]
    with time_machine.travel(second.ends_at + HOUR):
        afterwards = rows_of(week)
    assert afterwards == [
        ("Alice Adams", ["Opened", "Not opened", *[None] * 4]),
        ("Bob B", ["Link visited", *[None] * 5]),
        ("Cora C", ["Link visited", *[None] * 5]),
    ]


def rows_of(week: Event) -> list[tuple]:
    sessions = {session: session.title for session in week.sessions.all()}
    people = board(week).people()
    return texts_of(overview_rows(board(week), people, sessions, timezone.now()))


@pytest.mark.once
def test_table_of_one_session_shows_details(admin_client, personal, opening):
    alice = mailed(sign_up(personal))
    issue(alice, opening)
    opened_at = dt.datetime(2026, 10, 16, 15, 52, tzinfo=dt.UTC)
    alice.seats.filter(session=opening).update(opened_at=opened_at, attended=True)
    mailed(sign_up(personal, "Bob B"), "bounced")
    sign_up(personal, "Charlie C", sessions=[])
    dora = mailed(sign_up(personal, "Dora D"))
    fetched_at = opened_at - dt.timedelta(minutes=7)
    Seat.objects.filter(registration__in=[alice, dora]).update(link_fetched_at=fetched_at)
    answer = admin_client.get(page_of(personal), {"session": opening.pk})
    assert table(answer) == [
        (
            "Alice Adams",
            ["Email accepted", "Has a Zoom link", "Opened Oct 16, 8:52 AM", "Attended"],
        ),
        ("Bob B", ["Email came back", "No personal link yet", "Not opened", "Not seen"]),
        (
            "Dora D",
            ["Email accepted", "No personal link yet", "Link visited Oct 16, 8:45 AM", "Not seen"],
        ),
    ]
    assert answer.context["columns"] == [
        ("Email", ""),
        ("Zoom link", ""),
        ("Join page", ""),
        ("Attended", ""),
    ]


@pytest.mark.once
def test_table_has_pages_that_keep_the_filter(admin_client, week, opening):
    crowd(week, 160)
    assert len(lacking(opening)) == PER_PAGE + 6
    asked = {"session": opening.pk, "state": "no-link", "q": "n"}
    first = admin_client.get(page_of(week), asked)
    assert [name for name, _cells in table(first)] == lacking(opening)[:PER_PAGE]
    assert f"{PER_PAGE + 6} people: Opening session" in shown(first)
    assert not link(first, "‹ Previous page")
    then = admin_client.get(page_of(week) + link(first, "Next page ›"))
    assert [name for name, _cells in table(then)] == lacking(opening)[PER_PAGE:]
    assert "Page 2 of 2" in shown(then)
    assert not link(then, "Next page ›")


@pytest.mark.once
@pytest.mark.parametrize(
    "asked", [{"session": "x"}, {"session": "999999999999999999999"}, {"state": "x"}, {"p": "x"}]
)
def test_unknown_filters_show_everyone(admin_client, week, asked):
    sign_up(week)
    answer = admin_client.get(page_of(week), asked)
    assert [name for name, _cells in table(answer)] == ["Alice Adams"]


@pytest.mark.once
@pytest.mark.parametrize("odd", ["abc", "-1", "1x", "99999999999999999999"])
def test_malformed_ids_are_not_found(admin_client, week, odd):
    assert admin_client.get(f"{LIST}readiness/{odd}/").status_code == 404
    assert admin_client.get(f"{LIST}readiness/", {"event__id__exact": odd}).status_code == 302


@pytest.mark.once
def test_status_of_each_meeting_is_shown(admin_client, week, opening, second):
    Meeting.objects.filter(session=second).update(join_url="")
    first, then, *_others = admin_client.get(page_of(week)).context["sessions"]
    assert (first[0], first[2]) == (opening, ("Ready", "Link pasted", False, False))
    assert (then[0], then[2]) == (second, ("Missing", "No Zoom link yet", True, False))


@pytest.mark.once
def test_problem_of_a_meeting_is_shown(admin_client, personal, opening):
    Meeting.objects.filter(session=opening).update(state="gone", problem="Somebody deleted it.")
    answer = admin_client.get(page_of(personal))
    _session, _tally, zoom = answer.context["sessions"][0]
    assert (zoom.text, zoom.is_problem) == (Meeting.State.GONE.label, True)
    assert "Somebody deleted it." in shown(answer)


@pytest.mark.once
def test_figures_of_a_session_link_to_its_people(admin_client, week, opening):
    mailed(sign_up(week))
    mailed(sign_up(week, "Bob B"), "bounced")
    page = admin_client.get(page_of(week)).content.decode()
    cells = re.findall(r'<td class="number" data-column="([^"]*)">(.*?)</td>', page)[:6]
    assert [(name, re.sub(r"<.*?>", "", figure)) for name, figure in cells] == [
        ("Have a spot", "2"),
        ("Have a Zoom link", "2"),
        ("Emails accepted", "1"),
        ("Came back", "1"),
        ("Opened", "0"),
        ("Attended", "0"),
    ]
    urls = {
        name: html.unescape(found[1]) for name, figure in cells if (found := LINK.search(figure))
    }
    assert [*urls] == ["Have a spot", "Came back"]
    answer = admin_client.get(page_of(week) + urls["Came back"])
    assert [name for name, _cells in table(answer)] == ["Bob B"]


@pytest.mark.once
def test_button_says_what_it_did_and_logs_it(admin_client, week):
    long_ago(mailed(sign_up(week), "failed"))
    long_ago(mailed(sign_up(week, "Bob B"), "complained"))
    mailed(sign_up(week, "Charlie C"), "bounced")
    url = f"{page_of(week)}?state=no-link"
    answer = admin_client.post(url)
    words = (
        "We're emailing links to 1 person again. 1 person got this email in the last 10 minutes. "
        "Try again later. 1 person marked our email as spam, so we aren't emailing them."
    )
    assert (answer.status_code, answer["Location"]) == (302, url)
    assert shown_messages(answer) == [words]
    entry = LogEntry.objects.get()
    assert (entry.get_edited_object(), entry.change_message) == (week, f"Fix all. {words}")
    assert shown_messages(admin_client.post(url))[-1].startswith("1 person got this email")


@pytest.mark.once
def test_button_says_what_it_asked_zoom_for(admin_client, personal, opening):
    issue(mailed(sign_up(personal)), opening, "refused")
    assert shown_messages(admin_client.post(page_of(personal))) == [
        "We're asking Zoom for 1 personal link again. "
        "We'll check every meeting against Zoom within a minute."
    ]


@pytest.mark.once
def test_button_says_that_there_was_nothing_to_do(admin_client, week):
    sign_up(week)
    assert shown_messages(admin_client.post(page_of(week))) == [
        "There's nothing to fix: what's missing is already on its way."
    ]


@pytest.mark.once
def test_viewers_see_the_board_without_the_button(viewer, week):
    alice = long_ago(mailed(sign_up(week), "failed"))
    page = viewer.get(page_of(week))
    assert "1 person without a working link" in shown(page)
    assert "Fix all" not in shown(page)
    assert viewer.post(page_of(week)).status_code == 403
    assert waiting_kinds(alice) == []


@pytest.mark.once
def test_board_needs_permission_to_see_registrations(client, django_user_model, week):
    assert client.get(page_of(week)).status_code == 302
    user = django_user_model.objects.create_user("s", "s@example.org", "x", is_staff=True)
    client.force_login(user)
    assert client.get(page_of(week)).status_code == 403
    assert client.post(page_of(week)).status_code == 403


@pytest.mark.once
def test_list_of_people_links_to_the_board_of_its_event(admin_client, week):
    other = Event.objects.create(name="Other", slug="other", host="Us")
    page = admin_client.get(LIST, {"event__id__exact": other.pk}).content.decode()
    link = re.search(rf'href="({LIST}readiness/[^"]*)">Who has a working link', page)
    assert admin_client.get(html.unescape(link[1]))["Location"] == page_of(other)
    assert admin_client.get(f"{LIST}readiness/")["Location"] == page_of(week)
    Event.objects.filter(pk=other.pk).delete()
    with transaction.atomic():
        Session.objects.all().delete()
        Event.objects.all().delete()
    assert admin_client.get(f"{LIST}readiness/")["Location"] == LIST


def first_page(client) -> str:
    """The text of the notices on the admin's first page."""
    page = re.sub(r"</?(a|b)\b[^>]*>", "", client.get("/admin/").content.decode())
    page = page.partition('<main id="content-start"')[2].partition('<div id="content-main"')[0]
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


@pytest.mark.once
def test_first_page_shows_readiness(admin_client, week, opening):
    alice = sign_up(week)
    see = "See who has a working link and who came"
    assert f"1 person has no working link for {opening.title}. {see}" in first_page(admin_client)
    mailed(alice)
    assert f"Everyone has a working link for {opening.title}. {see}" in first_page(admin_client)
    with time_machine.travel(week.sessions.last().ends_at + HOUR):
        assert "working link" not in first_page(admin_client)


@pytest.mark.once
def test_first_page_hides_readiness_from_people_who_may_not_see_registrations(
    client, django_user_model, week
):
    user = django_user_model.objects.create_user("s", "s@example.org", "x", is_staff=True)
    client.force_login(user)
    assert "working link" not in first_page(client)


def test_page_takes_the_same_queries_for_3_people_as_for_60(admin_client, personal, opening):
    def each() -> list[int]:
        # None of them is issued: the one that was refused has words of its own.
        issue(Registration.objects.get(name="N1 N"), opening, "refused")
        asked = ("", "?state=no-link", "?state=unreached", f"?session={opening.pk}")
        return [queries(lambda url=url: admin_client.get(page_of(personal) + url)) for url in asked]

    crowd(personal, 3)
    few = each()
    crowd(personal, 60)
    assert each() == few


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_button_works_on_a_phone(new_page, live_server, admin_client, personal, opening):
    alice = long_ago(mailed(sign_up(personal), "failed"))
    alice.mails.update(
        last_error="550 5.1.1 <alice@a-very-long-domain-of-a-department.example.org>"
    )
    page = new_page(**PHONE | {"viewport": {"width": 360, "height": 740}}, color_scheme="dark")
    cookie = {"name": "sessionid", "value": admin_client.cookies["sessionid"].value}
    page.context.add_cookies([{**cookie, "url": live_server.url}])
    for asked in ("", f"?session={opening.pk}"):
        page.goto(page_of(personal) + asked)
        found = Axe().run(page, {"include": [".review"]}, {"preload": False})
        violations = found.response["violations"]
        assert [(rule["id"], rule["nodes"][0]["html"]) for rule in violations] == []
        assert overflow(page) == 0
    page.get_by_role("button", name="Fix all").click()
    page.get_by_text("We're emailing links to 1 person again.").wait_for()
    assert waiting_kinds(alice) == ["links"]
