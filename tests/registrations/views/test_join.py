"""The link in the email: it waits, redirects to Zoom, or explains why not."""

import datetime as dt

import pytest
import time_machine
from django.db.models import F

from events.models import Event, Meeting, Session
from events.schedule import cancel_session, edit_session, restore_session
from registrations import signup
from registrations.models import Registration, new_token
from tests.people import sign_up

pytestmark = pytest.mark.django_db

MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def visit_join_page(client, week, opening):
    """Open Alice's link this long after (or before) the start of the session."""
    alice = sign_up(week)

    def at(after_start: dt.timedelta = dt.timedelta(), slug: str = "opening"):
        with time_machine.travel(opening.starts_at + after_start, tick=False):
            return client.get(f"/join/{alice.token}/{slug}/")

    return at


@pytest.mark.once
def test_join_page_counts_down_until_the_doors_open(visit_join_page):
    answer = visit_join_page(-16 * MINUTE)
    assert answer.status_code == 200
    assert answer.context["status"].seconds_to_doors == 60
    assert 'data-seconds="60"' in answer.content.decode()
    assert answer["Refresh"] == "62"


@pytest.mark.once
def test_join_page_reloads_at_least_every_five_minutes(visit_join_page):
    assert visit_join_page(-600 * MINUTE)["Refresh"] == "300"


@pytest.mark.once
def test_join_page_hides_the_zoom_link_until_the_doors_open(visit_join_page):
    assert "zoom.example" not in visit_join_page(-16 * MINUTE).content.decode()


@pytest.mark.once
@pytest.mark.parametrize("minutes", [-15, 0, 239])
def test_join_page_redirects_to_zoom_while_the_doors_are_open(visit_join_page, opening, minutes):
    answer = visit_join_page(minutes * MINUTE)
    assert answer.status_code == 302
    assert answer["Location"] == opening.join_url


@pytest.mark.once
def test_doors_open_as_early_as_the_event_says(visit_join_page, week):
    Event.objects.update(doors_open_minutes=60)
    assert visit_join_page(-61 * MINUTE).status_code == 200
    assert visit_join_page(-60 * MINUTE).status_code == 302


def test_join_page_redirects_to_the_current_zoom_link(visit_join_page):
    Meeting.objects.update(join_url="https://zoom.example/j/moved")
    assert visit_join_page()["Location"] == "https://zoom.example/j/moved"


def test_session_moved_earlier_opens_earlier(visit_join_page):
    Session.objects.update(starts_at=F("starts_at") - dt.timedelta(hours=1))
    assert visit_join_page(-70 * MINUTE).status_code == 302


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
def test_join_page_redirects_after_the_end_while_zoom_reports_the_meeting_as_running(
    visit_join_page, opening
):
    meeting = Meeting.objects.filter(session=opening)
    meeting.update(started_at=opening.starts_at)
    assert visit_join_page(250 * MINUTE)["Location"] == opening.join_url
    assert visit_join_page(301 * MINUTE).context["status"].phase == "ended"
    meeting.update(ended_at=opening.ends_at)
    assert visit_join_page(250 * MINUTE).context["status"].phase == "ended"


@pytest.mark.once
def test_join_page_of_a_canceled_session_says_so(visit_join_page, opening):
    cancel_session(session=opening)
    answer = visit_join_page()
    assert answer.status_code == 200
    assert answer.context["status"].phase == "canceled"
    assert "zoom.example" not in answer.content.decode()
    restore_session(session=opening)
    assert visit_join_page().status_code == 302


def test_join_link_of_another_session_leads_to_the_persons_own_page(client, week):
    first, second = week.sessions.all()[:2]
    alice = sign_up(week, sessions=[first])
    with time_machine.travel(second.starts_at):
        answer = client.get(f"/join/{alice.token}/{second.slug}/", follow=True)
    assert answer.redirect_chain == [(f"/me/{alice.token}/?notice=no-seat", 302)]
    assert "You have no place in that session." in answer.text
    assert client.get(f"/join/{alice.token}/no-such-session/").status_code == 404


def test_join_link_of_a_waitlisted_session_leads_to_the_persons_own_page(client, opening):
    Session.objects.filter(pk=opening.pk).update(capacity=0)
    opening.refresh_from_db()
    alice = sign_up(opening.event, sessions=[opening])
    answer = client.get(f"/join/{alice.token}/{opening.slug}/", follow=True)
    assert "You are number 1 in line." in answer.text


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
    answer = client.get(path.format(token))
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


def test_opening_links_changes_nothing(client, week):
    """An email scanner opens every link of an email."""
    alice = sign_up(week)
    before = Registration.objects.values().get()
    own = f"/me/{alice.token}/"
    for path in (own, f"/join/{alice.token}/opening/", f"{own}cancel/", f"{own}renew/"):
        client.get(path)
        client.head(path)
    assert Registration.objects.values().get() == before


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
