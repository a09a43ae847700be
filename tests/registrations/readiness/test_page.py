"""The readiness board's page in the admin: its table, its button, and who may see it."""

import datetime as dt
import html
import re

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.messages import get_messages
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from events.models import Event, Meeting, Session
from registrations.admin.readiness import MAX_NAMED, PER_PAGE, overview_rows
from registrations.models import Registration, Seat
from registrations.readiness import EmailStatus, Progress
from tests.admin_pages import path
from tests.axe import findings
from tests.browser import PHONE, overflow
from tests.people import sign_up
from tests.registrations.readiness.people import (
    HOUR,
    board,
    crowd,
    issue,
    lacking,
    long_ago,
    mailed,
    names,
    queries,
    waiting_kinds,
)

pytestmark = pytest.mark.django_db

LIST = "/admin/registrations/registration/"
LINK = re.compile(r'href="([^"#]*)#people"')


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
def test_first_page_shows_readiness(admin_client, admin_user, week, opening):
    alice = sign_up(week)
    see = "See who has a working link and who came"
    shown = first_page(admin_client)
    assert f"Next: {opening.title}" in shown
    assert f"Expected 1 Without a working link 1 {see}" in shown
    mailed(alice)
    assert f"Expected 1 Without a working link 0 {see}" in first_page(admin_client)
    with time_machine.travel(week.sessions.last().ends_at + HOUR):
        admin_client.force_login(admin_user)
        shown = first_page(admin_client)
        assert "Registrations in all 1" in shown
        assert "working link" not in shown


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
        states = [f"?state={progress}" for progress in Progress.values]
        asked = ["", *states, f"?session={opening.pk}"]
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
        assert findings(page, ".review") == []
        assert overflow(page) == 0
    page.get_by_role("button", name="Fix all").click()
    page.get_by_text("We're emailing links to 1 person again.").wait_for()
    assert waiting_kinds(alice) == ["links"]
