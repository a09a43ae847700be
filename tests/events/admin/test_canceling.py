"""Canceling and restoring sessions in the admin: it asks once more, for a reason, and is logged."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection
from django.utils import timezone

from events.languages import texts
from events.models import Session
from events.schedule import cancel_session, hold_notices
from registrations import signup
from tests.admin_pages import act, act_surely, form_of, messages_of, path, sure_of
from tests.people import sign_up
from tests.strategyweek.test_permissions import client_of, member

pytestmark = pytest.mark.django_db

REASON = {"cancel_reason_en": "Our speaker is ill.", "cancel_reason_es": "Está enfermo."}
HOUR = dt.timedelta(hours=1)


def page_of(session: Session, name: str) -> str:
    return path(session).replace("/change/", f"/{name}/")


def text(client, url: str) -> str:
    return " ".join(client.get(url).content.decode().split())


def cancel(client, session: Session, **reason: str) -> list[tuple[str, str]]:
    answer = client.post(page_of(session, "cancel"), reason, follow=True)
    return messages_of(answer.content.decode())


def restore(client, session: Session) -> list[tuple[str, str]]:
    return messages_of(client.post(page_of(session, "restore"), follow=True).content.decode())


def state_of(session: Session) -> tuple:
    session = Session.objects.get(pk=session.pk)
    return (session.is_canceled, *texts(session, "cancel_reason"))


def history(session: Session) -> list[str]:
    rows = LogEntry.objects.filter(object_id=session.pk).order_by("pk")
    return list(rows.values_list("change_message", flat=True))


def end(session: Session) -> None:
    ended = timezone.now() - HOUR
    Session.objects.filter(pk=session.pk).update(starts_at=ended - 2 * HOUR, ends_at=ended)


def test_button_on_the_sessions_page_leads_to_the_page_that_asks(organizer, opening):
    assert f'<a href="{page_of(opening, "cancel")}">Cancel this session…' in text(
        organizer, path(opening)
    )
    cancel_session(session=opening)
    page = text(organizer, path(opening))
    assert f'<a href="{page_of(opening, "restore")}">Restore this session…' in page
    assert "Cancel this session…" not in page


def test_page_counts_people_and_changes_nothing(organizer, week, opening):
    Session.objects.filter(pk=opening.pk).update(capacity=2)
    for name in ("Alice Adams", "Bob B", "Charlie C"):
        sign_up(week, name)
    signup.cancel(registration=sign_up(week, "Dana D"))
    week.requires_approval = True
    week.save()
    sign_up(week, "Eve E")
    signup.cancel(registration=sign_up(week, "Frank F"))
    page = text(organizer, page_of(opening, "cancel"))
    assert "4 people" in page
    assert "2 have a spot" in page
    assert "1 is on the waitlist" in page
    assert "1 is waiting for approval, and gets no email" in page
    assert "people get one in 10 minutes" in page
    assert state_of(opening) == (False, None, None)


def test_page_says_when_people_are_told(organizer, week, opening):
    assert "no one gets one." in text(organizer, page_of(opening, "cancel"))
    sign_up(week)
    now = timezone.now()
    for times, expected in (
        ((now + 2 * HOUR, now + 3 * HOUR), "people get one <b>right away</b>"),
        ((now + 4 * HOUR, now + 5 * HOUR), "people get one in 10 minutes"),
    ):
        Session.objects.filter(pk=opening.pk).update(starts_at=times[0], ends_at=times[1])
        assert expected in text(organizer, page_of(opening, "cancel"))
    Session.objects.filter(pk=opening.pk).update(status="draft")
    expected = "because it's over or still a draft"
    assert expected in text(organizer, page_of(opening, "cancel"))


def test_page_says_what_happens_at_zoom(organizer, week, opening):
    assert "delete it in Zoom, too" in text(organizer, page_of(opening, "cancel"))
    type(week).objects.update(zoom_mode="shared")
    assert "we delete its meeting in 10 minutes" in text(organizer, page_of(opening, "cancel"))
    hold_notices(session=opening)
    page = text(organizer, page_of(opening, "cancel"))
    assert "we keep its meeting while the emails are on hold" in page
    assert "we delete its meeting" not in page


def test_canceling_with_a_reason_is_logged(organizer, opening):
    said = cancel(organizer, opening, **REASON)
    assert said[0] == (
        "success",
        f"“{opening}” is canceled. Its pages, join links and calendars are updated.",
    )
    assert state_of(opening) == (True, "Our speaker is ill.", "Está enfermo.")
    assert history(opening) == ["Canceled. The reason: Our speaker is ill. / Está enfermo."]


def test_canceling_without_a_reason(organizer, opening):
    cancel(organizer, opening)
    assert state_of(opening) == (True, None, None)
    assert history(opening) == ["Canceled, without a reason."]


def test_reason_has_at_most_500_characters_however_lines_are_sent(organizer, opening):
    cancel(organizer, opening, cancel_reason_en="x" * 501)
    assert state_of(opening) == (False, None, None)
    longest = "x" * 249 + "\r\n" + "y" * 250
    cancel(organizer, opening, cancel_reason_en=longest)
    assert state_of(opening) == (True, longest.replace("\r\n", "\n"), None)


def test_second_of_two_organizers_changes_nothing(organizer, opening):
    cancel(organizer, opening, cancel_reason_en="First")
    refused = [("warning", "This session is already canceled. Nothing was changed.")]
    said = cancel(organizer, opening, cancel_reason_en="Second")
    assert said[:1] == refused
    # Both had read the session before either of them canceled it.
    assert cancel_session(session=opening, reason={"en": "Third"}) is False
    assert state_of(opening) == (True, "First", None)
    assert history(opening) == ["Canceled. The reason: First"]
    assert Session.objects.get(pk=opening.pk).revision == 1


def test_reason_of_a_canceled_session_can_be_changed_in_its_form(organizer, opening):
    assert "cancel_reason_en" not in form_of(organizer, path(opening))
    cancel(organizer, opening, **REASON)
    form = form_of(organizer, path(opening)) | {"cancel_reason_en": "The hall is closed."}
    assert organizer.post(path(opening), form).status_code == 302
    assert state_of(opening) == (True, "The hall is closed.", "Está enfermo.")


def test_restoring_clears_the_reason_and_is_logged_with_it(organizer, opening):
    cancel(organizer, opening, **REASON)
    page = text(organizer, page_of(opening, "restore"))
    assert "<b>The reason you gave</b> is removed: Our speaker is ill." in page
    assert state_of(opening)[0] is True
    said = restore(organizer, opening)
    assert said[0][1].startswith(f"“{opening}” is back on.")
    assert state_of(opening) == (False, None, None)
    assert history(opening)[1:] == [
        "Restored. It had been canceled for this reason: Our speaker is ill. / Está enfermo."
    ]
    said = restore(organizer, opening)
    assert said[:1] == [("warning", "This session isn't canceled. Nothing was changed.")]


def test_session_whose_time_has_passed_is_not_restored(organizer, opening):
    cancel(organizer, opening, **REASON)
    end(opening)
    answer = organizer.post(page_of(opening, "restore"), follow=True)
    page = answer.content.decode()
    assert "Its time has passed" in page
    assert "Yes, restore this session" not in page
    assert state_of(opening) == (True, "Our speaker is ill.", "Está enfermo.")
    said = messages_of(act(organizer, Session, "restore", opening))
    assert said == [("warning", "1 was skipped: the time has passed. Choose a later date first.")]
    assert state_of(opening)[0] is True


def test_only_people_who_may_change_sessions_cancel_and_restore(opening, later):
    cancel_session(session=later)
    client = client_of(member("view_session"))
    assert "Cancel this session…" not in text(client, path(opening))
    for session, name in ((opening, "cancel"), (later, "restore")):
        assert client.get(page_of(session, name)).status_code == 403
        assert client.post(page_of(session, name)).status_code == 403
        sure = {"sure": f"{session.pk}.{session.revision}"}
        fields = {"action": name, "_selected_action": [session.pk], **sure}
        client.post(path(Session, "changelist"), fields)
    assert [state_of(each)[0] for each in (opening, later)] == [False, True]
    client = client_of(member("view_session", "change_session", name="other"))
    cancel(client, opening)
    restore(client, later)
    assert [state_of(each)[0] for each in (opening, later)] == [True, False]


def test_page_of_a_session_that_does_not_exist(organizer, opening):
    for odd in ("abc", "99999999999999999999", "-1"):
        for name in ("cancel", "restore"):
            assert organizer.get(f"/admin/events/session/{odd}/{name}/").status_code == 404


# The actions of the list


@pytest.mark.once
def test_action_asks_once_more_with_the_number_of_people(organizer, week, opening, later):
    sign_up(week)
    sign_up(week, "Bob B", sessions=[opening])
    page = act(organizer, Session, "cancel", opening, later)
    assert "Cancel 2 sessions?" in page
    assert "2 people" in page
    assert "1 person" in page
    assert [state_of(each)[0] for each in (opening, later)] == [False, False]
    said = messages_of(act_surely(organizer, "cancel", opening, later))
    assert said[0][1].startswith("2 sessions canceled. Their pages, join links")
    assert [state_of(each)[0] for each in (opening, later)] == [True, True]
    assert history(later) == ["Canceled, without a reason."]


@pytest.mark.once
def test_action_asks_again_if_the_session_has_changed(organizer, opening, later):
    sure = sure_of(act(organizer, Session, "cancel", opening))
    fields = {"action": "cancel", "_selected_action": [opening.pk, later.pk], "sure": sure}
    page = organizer.post(path(Session, "changelist"), fields).content.decode()
    assert "Your selection has changed." in page
    assert state_of(opening)[0] is False


@pytest.mark.once
def test_actions_count_only_what_they_changed(organizer, opening, later):
    cancel_session(session=opening)
    said = messages_of(act_surely(organizer, "cancel", opening, later))
    assert said[0][1].startswith("1 session canceled. Its pages")
    assert said[1] == ("warning", "1 was skipped: already canceled.")
    said = messages_of(act(organizer, Session, "cancel", opening, later))
    assert said == [("warning", "They're already canceled.")]
    act_surely(organizer, "restore", opening, later)
    assert [state_of(each)[0] for each in (opening, later)] == [False, False]
    assert history(later) == ["Canceled, without a reason.", "Restored."]


@pytest.mark.once
def test_action_asks_once_more_before_it_restores(organizer, week, opening, later):
    sign_up(week)
    sign_up(week, "Bob B", sessions=[opening])
    cancel(organizer, opening, **REASON)
    page = act(organizer, Session, "restore", opening, later)
    assert "Restore 1 session?" in page
    assert "2 people" in page
    assert "get an email: right away if the session starts soon" in page
    assert state_of(opening) == (True, "Our speaker is ill.", "Está enfermo.")
    said = messages_of(act_surely(organizer, "restore", opening, later))
    assert said[0][1].startswith("1 session restored.")
    assert said[1] == ("warning", "1 was skipped: not canceled.")
    assert state_of(opening) == (False, None, None)


@pytest.mark.once
def test_session_that_is_over_is_not_canceled(organizer, week, opening, later):
    sign_up(week)
    end(opening)
    assert "Cancel this session…" not in text(organizer, path(opening))
    refused = ("warning", "This session is over, so it can't be canceled. Nothing was changed.")
    assert messages_of(organizer.get(page_of(opening, "cancel"), follow=True).text)[0] == refused
    assert cancel(organizer, opening, **REASON)[0] == refused
    skipped = ("warning", "1 was skipped: already over.")
    assert messages_of(act(organizer, Session, "cancel", opening)) == [skipped]
    assert skipped in messages_of(act_surely(organizer, "cancel", opening, later))
    assert [state_of(each)[0] for each in (opening, later)] == [False, True]


def test_form_says_whether_the_session_is_canceled(organizer, opening):
    assert "This session is canceled" not in text(organizer, path(opening))
    cancel(organizer, opening)
    assert "This session is canceled" in text(organizer, path(opening))


@pytest.mark.django_db(transaction=True)
def test_of_organizers_at_the_same_moment_one_gives_the_reason(opening):
    barrier = Barrier(4)

    def cancel_for(reason: str) -> bool:
        try:
            barrier.wait(10)
            return cancel_session(session=opening, reason={"en": reason})
        finally:
            connection.close()

    reasons = ["A", "B", "C", "D"]
    with ThreadPoolExecutor(4) as pool:
        done = dict(zip(reasons, pool.map(cancel_for, reasons), strict=True))
    (reason,) = [reason for reason in reasons if done[reason]]
    assert state_of(opening) == (True, reason, None)
    assert Session.objects.get(pk=opening.pk).revision == 1
