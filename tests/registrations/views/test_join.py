"""The link in the mail: it waits, it leads on, or it says why not."""

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
def knock(client, week, opening):
    """Open Alice's link so long after (or before) the session's start."""
    alice = sign_up(week)

    def at(after_start: dt.timedelta = dt.timedelta(), slug: str = "opening"):
        with time_machine.travel(opening.starts_at + after_start, tick=False):
            return client.get(f"/join/{alice.token}/{slug}/")

    return at


@pytest.mark.once
def test_before_the_doors_open_the_page_waits(knock):
    answer = knock(-16 * MINUTE)
    assert answer.status_code == 200
    assert answer.context["door"].seconds == 60
    assert 'data-seconds="60"' in answer.content.decode()
    assert answer["Refresh"] == "62"


@pytest.mark.once
def test_waiting_page_looks_again_within_five_minutes(knock):
    assert knock(-600 * MINUTE)["Refresh"] == "300"


@pytest.mark.once
def test_waiting_page_does_not_give_the_zoom_link_away(knock):
    assert "zoom.example" not in knock(-16 * MINUTE).content.decode()


@pytest.mark.once
@pytest.mark.parametrize("minutes", [-15, 0, 239])
def test_open_doors_lead_to_zoom(knock, opening, minutes):
    answer = knock(minutes * MINUTE)
    assert answer.status_code == 302
    assert answer["Location"] == opening.join_url


@pytest.mark.once
def test_doors_open_when_the_event_says(knock, week):
    Event.objects.update(doors_open_minutes=60)
    assert knock(-61 * MINUTE).status_code == 200
    assert knock(-60 * MINUTE).status_code == 302


def test_link_leads_to_the_zoom_link_valid_now(knock):
    Meeting.objects.update(join_url="https://zoom.example/j/moved")
    assert knock()["Location"] == "https://zoom.example/j/moved"


def test_session_moved_earlier_opens_earlier(knock):
    Session.objects.update(starts_at=F("starts_at") - dt.timedelta(hours=1))
    assert knock(-70 * MINUTE).status_code == 302


@pytest.mark.once
@pytest.mark.parametrize("without", ["no row", "no link"])
def test_open_doors_without_a_link_wait_for_one(knock, without):
    if without == "no row":
        Meeting.objects.all().delete()
    else:
        Meeting.objects.update(join_url="")
    answer = knock()
    assert answer.status_code == 200
    assert answer["Refresh"] == "15"


@pytest.mark.once
def test_ended_session_says_so_and_helps_while_it_may_run_over(knock, opening):
    soon, late = knock(240 * MINUTE), knock(301 * MINUTE)
    for answer in (soon, late):
        assert answer.status_code == 200
        assert answer.context["door"].state == "ended"
        assert "Refresh" not in answer
    assert opening.join_url in soon.content.decode().replace("&amp;", "&")
    assert "zoom.example" not in late.content.decode()


@pytest.mark.once
def test_canceled_session_says_so(knock, opening):
    cancel_session(session=opening)
    answer = knock()
    assert answer.status_code == 200
    assert answer.context["door"].state == "canceled"
    assert "zoom.example" not in answer.content.decode()
    restore_session(session=opening)
    assert knock().status_code == 302


def test_only_registered_sessions_open(client, week):
    first, second = week.sessions.all()[:2]
    alice = sign_up(week, sessions=[first])
    with time_machine.travel(second.starts_at):
        answer = client.get(f"/join/{alice.token}/{second.slug}/", follow=True)
    assert answer.redirect_chain == [(f"/me/{alice.token}/?said=no-place", 302)]
    assert "You have no place in that session." in answer.text
    assert client.get(f"/join/{alice.token}/no-such-session/").status_code == 404


def test_link_of_a_session_that_one_waits_for_leads_to_ones_page(client, opening):
    Session.objects.filter(pk=opening.pk).update(capacity=0)
    opening.refresh_from_db()
    alice = sign_up(opening.event, sessions=[opening])
    answer = client.get(f"/join/{alice.token}/{opening.slug}/", follow=True)
    assert "You are number 1 in line." in answer.text


@pytest.mark.once
def test_draft_session_does_not_open(knock):
    Session.objects.update(status="draft")
    assert knock().status_code == 404


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
def test_odd_tokens_are_no_server_error(client, week, token):
    for path in (f"/me/{token}/", f"/join/{token}/opening/"):
        assert client.get(path).status_code in {400, 404}


@pytest.mark.once
@pytest.mark.parametrize("path", ["/me/{}/", "/me/{}/calendar.ics", "/join/{}/opening/"])
@pytest.mark.parametrize("token_is", ["known", "unknown"])
def test_personal_pages_stay_out_of_caches_and_referrers(client, week, path, token_is):
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
def test_redirects_and_errors_at_personal_addresses_are_kept_private_too(
    client, week, method, path, status
):
    answer = client.generic(method, path.format(sign_up(week).token))
    assert answer.status_code == status
    assert (answer["Cache-Control"], answer["Referrer-Policy"]) == ("no-store", "no-referrer")


def test_opening_links_changes_nothing(client, week):
    """A mail scanner opens every link of a mail."""
    alice = sign_up(week)
    before = Registration.objects.values().get()
    own = f"/me/{alice.token}/"
    for path in (own, f"/join/{alice.token}/opening/", f"{own}cancel/", f"{own}renew/"):
        client.get(path)
        client.head(path)
    assert Registration.objects.values().get() == before


@pytest.mark.once
def test_own_page_shows_links_agenda_and_calendar(client, week):
    alice = sign_up(week)
    page = client.get(f"/me/{alice.token}/").content.decode()
    for session in week.sessions.with_details():
        assert f"/join/{alice.token}/{session.slug}/" in page
        assert session.meeting.passcode in page
        assert session.agenda.first().title in page
    assert f"/me/{alice.token}/calendar.ics" in page


def test_own_page_takes_the_same_queries_for_1_session_as_for_6(
    client, week, django_assert_num_queries
):
    for person, sessions in (("Alice", week.sessions.all()[:1]), ("Bob", week.sessions.all())):
        token = sign_up(week, person, sessions=sessions).token
        with django_assert_num_queries(8):
            client.get(f"/me/{token}/")


@pytest.mark.once
def test_own_calendar_holds_the_links(client, week):
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


def test_link_mailed_before_a_session_was_renamed_still_leads_there(client, week, opening):
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
def test_recording_and_notes_stand_on_ones_own_page_when_the_session_is_over(client, week, opening):
    alice = sign_up(week)
    urls = {"recording_url": "https://example.org/r", "notes_url": "https://example.org/n"}
    Session.objects.filter(pk=opening.pk).update(**urls)
    for moment, shown in ((opening.starts_at, False), (opening.ends_at, True)):
        with time_machine.travel(moment):
            page = client.get(f"/me/{alice.token}/").content.decode()
        assert all((url in page) == shown for url in urls.values())
