"""The link in the email: it waits, leads to Zoom, or explains why not."""

import datetime as dt
import re
from html import unescape

import pytest
import time_machine
from django.db import DatabaseError, connection
from django.db.models import F
from django.test import Client

from events.models import Event, Meeting, Session
from events.schedule import cancel_session, edit_session, restore_session
from registrations import signup
from registrations.models import Seat, new_token
from tests.people import sign_up

pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def alice(week):
    return sign_up(week)


@pytest.fixture
def request_join_page(alice, opening):
    """Open Alice's link this long after (or before) the start of the session.

    Nobody is signed in, no cookie was kept, and nothing vouches for the form.
    """

    def at(after_start: dt.timedelta, method: str):
        with time_machine.travel(opening.starts_at + after_start, tick=False):
            visitor = Client(enforce_csrf_checks=True)
            return visitor.generic(method, f"/join/{alice.token}/opening/")

    return at


@pytest.fixture
def visit_join_page(request_join_page):
    def at(after_start: dt.timedelta = dt.timedelta()):
        return request_join_page(after_start, "GET")

    return at


@pytest.fixture
def press_join(request_join_page):
    """Send the form of the join page."""

    def at(after_start: dt.timedelta = dt.timedelta()):
        return request_join_page(after_start, "POST")

    return at


@pytest.fixture
def seat(alice, opening) -> Seat:
    """Alice's seat in the first session."""
    return Seat.objects.get(registration=alice, session=opening)


@pytest.mark.once
def test_join_page_counts_down_until_the_doors_open(visit_join_page):
    answer = visit_join_page(-16 * MINUTE)
    assert answer.status_code == 200
    assert answer.context["status"].seconds_to_doors == 60
    assert 'data-seconds="60"' in answer.content.decode()
    assert answer["Refresh"] == "62"


@pytest.mark.once
@pytest.mark.parametrize(
    ("left", "text"),
    [
        (dt.timedelta(days=5), "In 5 days"),
        (dt.timedelta(hours=3), "In 3 hours"),
        (dt.timedelta(minutes=60), "In 1 hour"),
        # Counted down by the script, and hidden without it.
        (dt.timedelta(minutes=59), None),
    ],
)
def test_join_page_says_how_long_it_is_until_the_last_hour(visit_join_page, left, text):
    page = visit_join_page(-15 * MINUTE - left).content.decode()
    shown = re.search(r'data-done="One moment"( hidden)?>([^<]*)</p>', page)
    assert (None if shown[1] else shown[2]) == text


@pytest.mark.once
def test_join_page_reloads_at_least_every_five_minutes(visit_join_page):
    assert visit_join_page(-600 * MINUTE)["Refresh"] == "300"


@pytest.mark.once
def test_join_page_hides_the_zoom_link_until_the_doors_open(visit_join_page):
    assert "zoom.example" not in visit_join_page(-16 * MINUTE).content.decode()


@pytest.mark.once
@pytest.mark.parametrize("minutes", [-15, 0, 239])
def test_join_page_leads_to_zoom_while_the_doors_are_open(
    visit_join_page, press_join, opening, minutes
):
    page = visit_join_page(minutes * MINUTE)
    assert page.status_code == 200
    assert "Join on Zoom" in page.text
    assert opening.title in page.text
    answer = press_join(minutes * MINUTE)
    assert answer.status_code == 303
    assert answer["Location"] == opening.join_url


@pytest.mark.once
def test_page_that_leads_to_zoom_keeps_the_link_for_those_who_press(visit_join_page, opening):
    page = visit_join_page()
    assert "zoom.example" not in page.text
    assert "Refresh" not in page
    # For people who type it in or call.
    for shown in (opening.meeting.meeting_id, opening.meeting.passcode, "By phone"):
        assert shown in page.text


@pytest.mark.once
@pytest.mark.parametrize("minutes", [-15, 0])
def test_form_of_the_join_page_may_redirect_anywhere(visit_join_page, press_join, minutes):
    for answer in (visit_join_page(minutes * MINUTE), press_join(minutes * MINUTE)):
        policy = answer["Content-Security-Policy"]
        assert "form-action" not in policy
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy


def times_of(seat: Seat) -> tuple:
    seat.refresh_from_db()
    return seat.link_fetched_at, seat.opened_at


def test_only_the_form_counts_as_a_visit(visit_join_page, press_join, opening, seat):
    """A mail scanner fetches every link."""
    fetched_at, opened_at = opening.starts_at, opening.starts_at + MINUTE
    visit_join_page()
    assert times_of(seat) == (fetched_at, None)
    visit_join_page(MINUTE)
    assert times_of(seat) == (fetched_at, None)
    press_join(MINUTE)
    assert times_of(seat) == (fetched_at, opened_at)
    press_join(2 * MINUTE)
    visit_join_page(2 * MINUTE)
    assert times_of(seat) == (fetched_at, opened_at)


@pytest.mark.once
def test_head_request_is_no_visit(request_join_page, seat):
    answer = request_join_page(0 * MINUTE, "HEAD")
    assert (answer.status_code, answer.content) == (200, b"")
    assert times_of(seat) == (None, None)


def test_join_page_takes_one_query_and_the_first_of_each_kind_one_more(
    visit_join_page, press_join, django_assert_num_queries
):
    for request in (visit_join_page, press_join):
        for expected in (2, 1):
            with django_assert_num_queries(expected):
                request()


@pytest.mark.once
@pytest.mark.django_db(transaction=True)
def test_database_that_cannot_write_keeps_nobody_out(visit_join_page, press_join, opening):
    def read_only(execute, sql, *args):
        if sql.startswith("UPDATE"):
            raise DatabaseError("read-only")
        return execute(sql, *args)

    with connection.execute_wrapper(read_only):
        assert "Join on Zoom" in visit_join_page().text
        assert press_join()["Location"] == opening.join_url


@pytest.mark.once
@pytest.mark.parametrize("state", ["early", "over", "canceled", "no link", "draft", "gone"])
def test_form_sent_when_the_person_may_not_join_gets_the_same_page(
    visit_join_page, press_join, alice, opening, seat, state
):
    after_start = {"early": -16 * MINUTE, "over": 241 * MINUTE}.get(state, 0 * MINUTE)
    if state == "canceled":
        cancel_session(session=opening)
    elif state == "no link":
        Meeting.objects.all().delete()
    elif state == "draft":
        Session.objects.update(status="draft")
    elif state == "gone":
        signup.cancel(registration=alice)
    page, answer = visit_join_page(after_start), press_join(after_start)
    assert "Join on Zoom" not in page.text
    for found in ("status_code", "text", "headers"):
        assert getattr(answer, found) == getattr(page, found)
    assert times_of(seat) == (None, None)


@pytest.mark.once
def test_join_page_accepts_no_other_method(request_join_page, seat):
    assert request_join_page(0 * MINUTE, "PUT").status_code == 405
    assert times_of(seat) == (None, None)


@pytest.mark.once
def test_doors_open_as_early_as_the_event_says(press_join, week):
    Event.objects.update(doors_open_minutes=60)
    assert press_join(-61 * MINUTE).status_code == 200
    assert press_join(-60 * MINUTE).status_code == 303


def test_join_page_leads_to_the_current_zoom_link(press_join):
    Meeting.objects.update(join_url="https://zoom.example/j/moved")
    assert press_join()["Location"] == "https://zoom.example/j/moved"


def test_session_moved_earlier_opens_earlier(press_join):
    Session.objects.update(starts_at=F("starts_at") - dt.timedelta(hours=1))
    assert press_join(-70 * MINUTE).status_code == 303


@pytest.mark.once
@pytest.mark.parametrize("without", ["no row", "no link"])
def test_join_page_waits_for_a_missing_zoom_link(visit_join_page, without):
    if without == "no row":
        Meeting.objects.all().delete()
    else:
        Meeting.objects.update(join_url="")
    answer = visit_join_page()
    assert answer.status_code == 200
    assert answer["Refresh"] == "15"


@pytest.mark.once
def test_join_page_of_an_ended_session_offers_the_link_for_an_hour(visit_join_page, opening):
    soon, late = visit_join_page(240 * MINUTE), visit_join_page(301 * MINUTE)
    for answer in (soon, late):
        assert answer.status_code == 200
        assert answer.context["status"].phase == "ended"
        assert "Refresh" not in answer
    assert opening.join_url in soon.content.decode().replace("&amp;", "&")
    assert "zoom.example" not in late.content.decode()


@pytest.mark.once
def test_join_page_leads_to_zoom_after_the_end_while_zoom_reports_the_meeting_as_running(
    visit_join_page, press_join, opening
):
    meeting = Meeting.objects.filter(session=opening)
    meeting.update(started_at=opening.starts_at)
    assert "Join on Zoom" in visit_join_page(250 * MINUTE).text
    assert press_join(250 * MINUTE)["Location"] == opening.join_url
    assert visit_join_page(301 * MINUTE).context["status"].phase == "ended"
    meeting.update(ended_at=opening.ends_at)
    assert visit_join_page(250 * MINUTE).context["status"].phase == "ended"


@pytest.mark.once
def test_join_page_of_a_canceled_session_says_so(visit_join_page, press_join, opening):
    cancel_session(session=opening)
    Event.objects.update(contact_email="week@example.org")
    answer = visit_join_page()
    assert answer.status_code == 200
    assert answer.context["status"].phase == "canceled"
    assert "Trouble getting in?" not in answer.content.decode()
    assert answer.content.decode().count("Questions? Write to") == 1
    assert "zoom.example" not in answer.content.decode()
    restore_session(session=opening)
    assert press_join().status_code == 303


def test_join_link_of_another_session_leads_to_the_persons_own_page(client, week):
    first, second = week.sessions.all()[:2]
    alice = sign_up(week, sessions=[first])
    with time_machine.travel(second.starts_at):
        for method in (client.get, client.post):
            answer = method(f"/join/{alice.token}/{second.slug}/", follow=True)
            assert answer.redirect_chain == [(f"/me/{alice.token}/#status", 302)]
            assert "You don't have a link for that session." in unescape(answer.text)
    assert client.get(f"/join/{alice.token}/no-such-session/").status_code == 404


def test_join_link_of_a_waitlisted_session_leads_to_the_persons_own_page(client, opening):
    Session.objects.filter(pk=opening.pk).update(capacity=0)
    opening.refresh_from_db()
    alice = sign_up(opening.event, sessions=[opening])
    answer = client.get(f"/join/{alice.token}/{opening.slug}/", follow=True)
    assert "You're number 1 in line." in answer.text


@pytest.mark.once
def test_join_page_of_a_draft_session_is_not_found(visit_join_page):
    Session.objects.update(status="draft")
    assert visit_join_page().status_code == 404


@pytest.mark.once
@pytest.mark.parametrize("path", ["/me/{}/calendar.ics", "/join/{}/opening/"])
def test_unknown_and_canceled_tokens_get_the_same_friendly_404(client, week, path):
    alice = sign_up(week)
    assert client.get(path.format(alice.token)).status_code == 200
    signup.cancel(registration=alice)
    canceled = client.get(path.format(alice.token))
    unknown = client.get(path.format(new_token()))
    assert canceled.status_code == unknown.status_code == 404
    assert canceled.content == unknown.content
    assert "Alice" not in canceled.content.decode()


@pytest.mark.parametrize("token", ["x", "%00", "a" * 5000, "..%2f..", "%ff", "é"])
def test_malformed_tokens_are_not_a_server_error(client, week, token):
    for path in (f"/me/{token}/", f"/join/{token}/opening/"):
        assert client.get(path).status_code in {400, 404}


@pytest.mark.once
@pytest.mark.parametrize("path", ["/me/{}/", "/me/{}/calendar.ics", "/join/{}/opening/"])
@pytest.mark.parametrize("token_is", ["known", "unknown"])
def test_personal_pages_are_kept_out_of_caches_and_referrers(client, week, path, token_is):
    token = sign_up(week).token if token_is == "known" else new_token()
    assert_private(client.get(path.format(token)))


@pytest.mark.once
def test_page_and_form_that_lead_to_zoom_are_kept_private_too(visit_join_page, press_join):
    for answer in (visit_join_page(), press_join()):
        assert_private(answer)


def assert_private(answer) -> None:
    assert answer["Cache-Control"] == "no-store"
    assert answer["Referrer-Policy"] == "no-referrer"
    assert answer["X-Robots-Tag"] == "noindex"


@pytest.mark.once
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/me/{}", 301),
        ("GET", "/join/{}/opening", 301),
        ("GET", "/me/{}/resend/", 302),
        ("GET", "/me/{}/nothing/", 404),
        ("PUT", "/me/{}/resend/", 405),
    ],
)
def test_redirects_and_errors_of_personal_pages_are_kept_private_too(
    client, week, method, path, status
):
    answer = client.generic(method, path.format(sign_up(week).token))
    assert answer.status_code == status
    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store", "no-referrer")


@pytest.mark.once
def test_my_page_shows_links_agenda_and_calendar(client, week):
    alice = sign_up(week)
    page = client.get(f"/me/{alice.token}/").content.decode()
    for session in week.sessions.with_details():
        assert f"/join/{alice.token}/{session.slug}/" in page
        assert session.meeting.passcode in page
        assert session.agenda.first().title in page
    assert f"/me/{alice.token}/calendar.ics" in page


def test_my_page_takes_the_same_queries_for_1_session_as_for_6(
    client, week, django_assert_num_queries
):
    for person, sessions in (("Alice", week.sessions.all()[:1]), ("Bob", week.sessions.all())):
        token = sign_up(week, person, sessions=sessions).token
        with django_assert_num_queries(8):
            client.get(f"/me/{token}/")


@pytest.mark.once
def test_my_calendar_contains_the_join_links(client, week):
    alice = sign_up(week)
    calendar = client.get(f"/me/{alice.token}/calendar.ics")
    assert calendar["Content-Type"] == "text/calendar; charset=utf-8"
    assert calendar.content.count(b"BEGIN:VEVENT") == 6
    assert f"/join/{alice.token}/opening/" in calendar.content.decode().replace("\r\n ", "")


def test_canceling_ends_the_registration(client, week):
    alice = sign_up(week)
    for _press in range(2):
        answer = client.post(f"/me/{alice.token}/cancel/")
        assert answer["Location"] == f"/me/{alice.token}/"
    alice.refresh_from_db()
    assert alice.canceled_at is not None


def test_join_link_from_before_a_rename_still_works(client, week, opening):
    alice = sign_up(week)
    with edit_session(opening.pk) as current:
        current.slug = "kickoff"
        current.save()
    for slug in ("opening", "kickoff"):
        answer = client.get(f"/join/{alice.token}/{slug}/")
        assert answer.status_code == 200
        assert opening.title in answer.content.decode()
    assert client.get(f"/join/{alice.token}/never-so-called/").status_code == 404


@pytest.mark.once
def test_my_page_shows_recording_and_notes_once_the_session_is_over(client, week, opening):
    alice = sign_up(week)
    urls = {"recording_url": "https://example.org/r", "notes_url": "https://example.org/n"}
    Session.objects.filter(pk=opening.pk).update(**urls)
    for moment, shown in ((opening.starts_at, False), (opening.ends_at, True)):
        with time_machine.travel(moment):
            page = client.get(f"/me/{alice.token}/").content.decode()
        assert all((url in page) == shown for url in urls.values())


@pytest.mark.parametrize("is_canceled", [False, True])
def test_page_says_once_where_to_write(visit_join_page, opening, is_canceled):
    Event.objects.update(contact_email="week@example.org")
    if is_canceled:
        cancel_session(session=opening)
    page = visit_join_page(-MINUTE).content.decode()
    assert page.count("mailto:") == 1
    assert ("Trouble getting in?" in page) is not is_canceled
