"""The checklist that publishes an event: each line, what can be left out, and what is recorded."""

import datetime as dt
import re
from html import unescape

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.utils import timezone
from django.utils.html import escape

from events.models import AgendaItem, Event, Meeting, Session
from registrations import models
from registrations.mail import test_emails
from tests.admin_pages import form_of, messages_of, path, post_twice
from tests.people import in_english, in_spanish, sign_up
from tests.strategyweek.test_permissions import client_of, member

pytestmark = pytest.mark.django_db

LINES = ["sessions", "links", "contact", "test", "people", "languages", "times"]


@pytest.fixture
def draft(week) -> Event:
    """A week that's ready to be published: only its times aren't checked."""
    Event.objects.update(status="draft", **in_english(recording_note="We don't record."))
    Event.objects.update(**in_spanish(recording_note="No grabamos."))
    arrive(User.objects.create_user("bob", "bob@example.org"))
    event = Event.objects.get()
    assert not event.has_interpretation
    return event


def arrive(user: User) -> None:
    test_emails.confirm_arrival(test=test_emails.send_test_email(user=user, language="en"))


def url(event: Event) -> str:
    return f"/admin/events/event/{event.pk}/publish/"


def lines(client, event: Event, **query: object) -> dict:
    found = client.get(url(event), query).context["lines"]
    assert [each.item.key for each in found] == LINES
    return {each.item.key: each for each in found}


def undone(client, event: Event) -> list[str]:
    return [key for key, each in lines(client, event).items() if not each.line.is_done]


def links_of(checked) -> list[str]:
    return [link.url for link in checked.links]


def publish(client, event: Event, *ticks: str, drafts=None):
    """Tick these lines, and press the button."""
    found = lines(client, event)
    chosen = event.sessions.filter(status="draft") if drafts is None else drafts
    form = {
        "do": "publish",
        "chosen": "1",
        "session": [each.pk for each in chosen],
        "tick": [found[key].mark for key in ticks],
    }
    return client.post(url(event), form, follow=True)


def status() -> str:
    return Event.objects.get().status


def still_open(answer) -> list[str]:
    return [each.item.key for each in answer.context["open"]]


def log_of(thing) -> list[str]:
    model = thing._meta.model_name
    entries = LogEntry.objects.filter(object_id=thing.pk, content_type__model=model)
    return [each.get_change_message() for each in entries.order_by("pk")]


# Publishing


def test_ready_week_is_published_once_its_times_are_checked(organizer, draft):
    assert undone(organizer, draft) == ["times"]
    answer = publish(organizer, draft)
    assert (still_open(answer), status()) == (["times"], "draft")
    assert "Not published yet" in answer.content.decode()
    answer = publish(organizer, draft, "times")
    assert messages_of(answer.content.decode()) == [
        ("success", "“Drop LWOP Strategy Week” is published."),
        ("info", "No one gets an email about this."),
    ]
    assert (status(), answer.redirect_chain) == ("published", [(path(draft), 302)])
    assert log_of(draft) == ["Published."]


def test_what_was_left_out_is_in_the_history(organizer, draft, settings):
    Meeting.objects.filter(session=draft.sessions.first()).delete()
    models.TestEmail.objects.all().delete()
    assert undone(organizer, draft) == ["links", "test", "times"]
    answer = publish(organizer, draft, "links", "times")
    assert (still_open(answer), status()) == (["test"], "draft")
    # In the main language, whoever reads it.
    organizer.cookies[settings.LANGUAGE_COOKIE_NAME] = "es"
    publish(organizer, draft, "links", "test", "times")
    assert status() == "published"
    assert log_of(draft) == ["Published without: Zoom links and a test email that arrived."]


def test_line_that_says_something_else_must_be_left_out_again(organizer, draft):
    first, second = draft.sessions.all()[:2]
    Meeting.objects.filter(session=first).delete()
    found = lines(organizer, draft)
    Meeting.objects.filter(session=second).delete()
    ticks = [found["links"].mark, found["times"].mark]
    answer = organizer.post(url(draft), {"do": "publish", "chosen": "1", "tick": ticks})
    assert (still_open(answer), status()) == (["links"], "draft")


def test_moved_session_must_be_checked_again(organizer, draft):
    mark = lines(organizer, draft)["times"].mark
    session = draft.sessions.first()
    ends_at = session.ends_at.replace(minute=30)
    Session.objects.filter(pk=session.pk).update(ends_at=ends_at)
    answer = organizer.post(url(draft), {"do": "publish", "chosen": "1", "tick": mark})
    assert (still_open(answer), status()) == (["times"], "draft")


def test_contact_can_not_be_left_out(organizer, draft):
    Event.objects.update(contact_email="")
    contact = lines(organizer, draft)["contact"]
    assert links_of(contact) == [f"{path(draft)}#id_contact_email"]
    assert contact.mark not in organizer.get(url(draft)).content.decode()
    answer = publish(organizer, draft, "contact", "times")
    assert (still_open(answer), status()) == (["contact"], "draft")


def test_published_week_is_not_published_again(organizer, draft):
    publish(organizer, draft, "times")
    answer = organizer.post(url(draft), {"do": "publish", "chosen": "1"}, follow=True)
    page = answer.content.decode()
    assert messages_of(page) == [
        ("warning", "Nothing was done: someone may have beaten you to it. Here's how it is now.")
    ]
    assert ("This week is published." in page, 'value="publish"' in page) == (True, False)
    assert log_of(draft) == ["Published."]


def test_missing_note_about_recording_is_said_after_publishing(organizer, draft):
    Event.objects.update(**in_english(recording_note=None), **in_spanish(recording_note=None))
    page = publish(organizer, draft, "times").content.decode()
    assert "What do you record?" in messages_of(page)[-1][1]


@pytest.mark.parametrize("form", [{}, {"do": "erase"}, {"do": "sessions"}])
def test_unknown_button_does_nothing(organizer, draft, form):
    assert organizer.post(url(draft), form).status_code == 400
    assert status() == "draft"


@pytest.mark.parametrize("pk", ["0", "x", "99999999999999999999"])
def test_unknown_event_has_no_page(organizer, draft, pk):
    assert organizer.get(f"/admin/events/event/{pk}/publish/").status_code == 404


# Draft sessions


def make_drafts(event: Event, count: int) -> list[Session]:
    drafts = list(event.sessions.all()[:count])
    Session.objects.filter(pk__in=[each.pk for each in drafts]).update(status="draft")
    return drafts


def test_draft_sessions_are_published_with_the_week_if_they_are_checked(organizer, draft):
    first, second = make_drafts(draft, 2)
    answer = organizer.get(url(draft))
    assert [*answer.context["drafts"]] == [first, second]
    assert lines(organizer, draft)["sessions"].line.text == "People will see 6 sessions."
    publish(organizer, draft, "times", drafts=[second])
    assert status() == "published"
    assert list(draft.sessions.filter(status="draft")) == [first]
    assert (log_of(first), log_of(second)) == ([], ["Published with the event."])


def test_session_without_link_matters_only_if_people_will_see_it(organizer, draft):
    (first,) = make_drafts(draft, 1)
    Meeting.objects.filter(session=first).delete()
    found = lines(organizer, draft)["links"]
    assert found.line.text == "1 session has no working Zoom link yet."
    assert links_of(found) == [f"{path(first)}#meeting-group"]
    assert still_open(publish(organizer, draft, "times")) == ["links"]
    publish(organizer, draft, "times", drafts=[])
    assert status() == "published"


def test_week_of_drafts_needs_one_to_be_chosen(organizer, draft):
    make_drafts(draft, 6)
    answer = publish(organizer, draft, "times", drafts=[])
    assert still_open(answer) == ["sessions", "links"]
    assert "All sessions are drafts." in answer.content.decode()


def test_week_without_sessions_says_so(organizer, draft):
    draft.sessions.all().delete()
    assert undone(organizer, draft) == ["sessions", "links"]
    publish(organizer, draft, "sessions", "links")
    assert log_of(draft) == ["Published without: sessions and Zoom links."]


def test_canceled_and_past_sessions_are_not_published(organizer, draft):
    canceled, past = make_drafts(draft, 2)
    Session.objects.filter(pk=canceled.pk).update(canceled_at=canceled.starts_at)
    week_ago = timezone.now() - dt.timedelta(days=7)
    times = {"starts_at": week_ago, "ends_at": week_ago + dt.timedelta(hours=1)}
    Session.objects.filter(pk=past.pk).update(**times)
    publish(organizer, draft, "times", drafts=[canceled, past])
    assert (status(), draft.sessions.filter(status="draft").count()) == ("published", 2)


# Zoom


@pytest.fixture
def creating(draft, settings) -> Event:
    """The site creates the meetings, and has made those of the sessions that aren't drafts."""
    settings.ZOOM_ACCOUNT_ID = settings.ZOOM_CLIENT_ID = settings.ZOOM_CLIENT_SECRET = "x"
    make_drafts(draft, 1)
    Event.objects.update(zoom_mode="shared")
    for number, meeting in enumerate(Meeting.objects.all(), start=1):
        Meeting.objects.filter(pk=meeting.pk).update(state="made", zoom_id=number)
    Meeting.objects.filter(session__status="draft").delete()
    return Event.objects.get()


def test_meetings_of_drafts_are_created_after_publishing(organizer, creating):
    found = lines(organizer, creating)["links"].line
    assert (found.is_done, found.text) == (
        True,
        "We'll create the Zoom meetings within a few minutes after you publish.",
    )


def test_meeting_of_a_draft_that_has_a_problem_is_not_ready(organizer, creating):
    session = creating.sessions.get(status="draft")
    Meeting.objects.create(session=session, problem="Wrong host.")
    assert links_of(lines(organizer, creating)["links"]) == [f"{path(session)}#meeting-group"]


def test_meetings_can_not_be_created_without_credentials(organizer, creating, settings):
    settings.ZOOM_CLIENT_SECRET = ""
    assert lines(organizer, creating)["links"].line.is_done is False


def test_meeting_that_is_not_created_yet_or_has_a_problem_is_not_ready(organizer, creating):
    last = creating.sessions.last()
    Meeting.objects.filter(session=last).update(problem="Wrong host.")
    assert links_of(lines(organizer, creating)["links"]) == [f"{path(last)}#meeting-group"]
    Meeting.objects.filter(session=last).delete()
    assert links_of(lines(organizer, creating)["links"]) == [f"{path(last)}#meeting-group"]


# The test email


def send_test(client, event: Event, **form: object):
    return client.post(url(event), {"do": "test", "chosen": "1", **form}, follow=True)


def test_test_email_is_sent_from_the_page_and_confirmed(organizer, draft, mailoutbox):
    models.TestEmail.objects.all().delete()
    mailoutbox.clear()
    line = lines(organizer, draft)["test"].line
    assert line.button == "Send me a test email"
    assert "We'll send one to admin@example.com." in line.text
    page = send_test(organizer, draft).content.decode()
    assert messages_of(page) == [
        (
            "success",
            "We sent a test email to admin@example.com. Open its link to confirm that it arrived.",
        )
    ]
    assert [each.to for each in mailoutbox] == [["admin@example.com"]]
    line = lines(organizer, draft)["test"].line
    assert line.text.startswith("We sent one to admin@example.com on ")
    test_emails.confirm_arrival(test=models.TestEmail.objects.get())
    assert lines(organizer, draft)["test"].line.text.startswith("A test email arrived on ")


def test_what_was_checked_stays_checked_when_a_test_email_is_sent(organizer, draft):
    models.TestEmail.objects.all().delete()
    first, second = make_drafts(draft, 2)
    times = lines(organizer, draft)["times"].mark
    answer = send_test(organizer, draft, session=second.pk, tick=times)
    shown = {each.item.key: each.is_ticked for each in answer.context["lines"]}
    assert shown == {**dict.fromkeys(LINES, False), "times": True}
    assert (first in answer.context["chosen"], second in answer.context["chosen"]) == (False, True)


def test_failed_test_email_is_explained(organizer, draft, smtp):
    models.TestEmail.objects.all().delete()
    smtp.refuse("admin@example.com", "550 5.7.1 Not from you")
    page = send_test(organizer, draft).content.decode()
    assert messages_of(page) == []
    text = lines(organizer, draft)["test"].line.text
    assert text.endswith("The email server refused the email. It said: 5.7.1 Not from you")
    assert escape(text) in page


def test_test_of_another_organizer_does_not_show_their_address(organizer, draft):
    models.TestEmail.objects.all().delete()
    test_emails.send_test_email(user=User.objects.get(username="bob"), language="en")
    assert "bob@example.org" not in organizer.get(url(draft)).content.decode()


def test_page_works_after_the_sender_of_the_test_was_deleted(organizer, draft):
    User.objects.get(username="bob").delete()
    assert lines(organizer, draft)["test"].line.is_done
    User.objects.filter(is_superuser=True).update(email="")
    models.TestEmail.objects.all().delete()
    assert "Add an email to your account" in lines(organizer, draft)["test"].line.text


# Languages, times, people


def test_texts_that_lack_a_language_are_named_with_where_to_add_them(organizer, draft):
    first = draft.sessions.first()
    Session.objects.filter(pk=first.pk).update(**in_spanish(title=None))
    found = lines(organizer, draft)["languages"]
    assert found.line.text.startswith("Some texts aren't in Spanish yet.")
    assert [link.text for link in found.links] == [f"{first}: title (Spanish)"]
    assert links_of(found) == [path(first)]


def test_promised_interpretation_asks_for_a_page_in_spanish(organizer, draft):
    drop_spanish(draft)
    assert lines(organizer, draft)["languages"].line.is_done
    Event.objects.update(has_interpretation=True)
    found = lines(organizer, draft)["languages"]
    assert (found.line.is_done, links_of(found)) == (False, [path(draft)])


def drop_spanish(event: Event) -> None:
    agenda = AgendaItem.objects.filter(session__event=event)
    for rows in (Event.objects.all(), event.tracks.all(), event.sessions.all(), agenda):
        columns = [each.name for each in rows.model._meta.fields if each.name.endswith("_es")]
        rows.update(**dict.fromkeys(columns))


def times_of(client, event: Event) -> list[list[str]]:
    """Of each session: when it is in the event's zone, and in others."""
    found = re.findall(r"<dd>(.*?)</dd>", lines(client, event)["times"].line.more, re.DOTALL)
    return [re.split(r"<[^>]+>", unescape(each).replace("</span>", "")) for each in found]


def test_times_are_shown_in_the_events_zone_and_on_the_other_coast(organizer, draft):
    rows = times_of(organizer, draft)
    assert len(rows) == 6
    assert re.fullmatch(r"Saturday, \w+ \d+, \d{4}, 9:00 AM to 1:00 PM P[SD]T", rows[0][0])
    assert [row.endswith(("EST", "EDT")) for row in rows[0][1:]] == [True]
    assert "12:00 PM to 4:00 PM" in rows[0][1]
    Event.objects.update(time_zone="America/New_York")
    assert [row.endswith(("PST", "PDT")) for row in times_of(organizer, draft)[0][1:]] == [True]


def test_times_are_shown_where_most_people_are(organizer, draft):
    for name, zone in (
        ("Alice A", "America/Chicago"),
        ("Bob B", "Europe/Berlin"),
        ("Charlie C", "Europe/Berlin"),
        # Its clocks are those of the event, or of another zone that is shown.
        ("Dora D", "America/Vancouver"),
        ("Eva E", "America/Winnipeg"),
    ):
        sign_up(draft, name, time_zone=zone)
    zones = [row.rpartition("M ")[2] for row in times_of(organizer, draft)[0]]
    assert zones[0] in {"PST", "PDT"}
    assert (zones[1], zones[2] in {"CST", "CDT"}, zones[3:]) == ("Berlin time", True, [])


def test_people_who_are_registered_already_are_counted(organizer, draft):
    line = lines(organizer, draft)["people"].line
    assert line.text == "No one is registered yet, so no one gets an email."
    sign_up(draft)
    line = lines(organizer, draft)["people"].line
    assert (line.is_done, line.text) == (
        True,
        "1 person is registered already. Once the week is published, they get reminders, and "
        "emails about what changes.",
    )


# Other ways to publish lead here


def test_event_page_links_to_the_checklist_of_a_draft(organizer, draft):
    assert url(draft) in organizer.get(path(draft)).content.decode()
    Event.objects.update(status="published")
    assert url(draft) not in organizer.get(path(draft)).content.decode()


@pytest.mark.parametrize("button", ["_save", "_continue", "_addanother"])
def test_status_leads_to_the_checklist_and_saves_the_rest(organizer, draft, button):
    form = form_of(organizer, path(draft)) | {"status": "published", "host": "Others", button: "1"}
    answer = organizer.post(path(draft), form, follow=True)
    assert answer.redirect_chain == [(url(draft), 302)]
    ((color, text),) = messages_of(answer.content.decode())
    assert (color, text.startswith("Everything else is saved.")) == ("info", True)
    event = Event.objects.get()
    assert (event.status, event.host) == ("draft", "Others")
    assert log_of(draft) == ["Changed Host."]


def test_status_without_contact_leads_to_the_checklist_too(organizer, draft):
    form = form_of(organizer, path(draft)) | {"status": "published", "contact_email": ""}
    assert organizer.post(path(draft), form).url == url(draft)
    assert undone(organizer, draft) == ["contact", "times"]


def test_new_event_is_saved_as_a_draft(organizer, week):
    form = form_of(organizer, path(week)) | {"slug": "next", "name_en": "Next", "name_es": ""}
    for inline in ("tracks", "speakers"):
        form |= {f"{inline}-TOTAL_FORMS": "0", f"{inline}-INITIAL_FORMS": "0"}
    answer = organizer.post(path(Event, "add"), form)
    event = Event.objects.get(slug="next")
    assert (event.status, answer.url) == ("draft", url(event))


def test_published_event_is_saved_and_hidden_as_before(organizer, week):
    form = form_of(organizer, path(week))
    assert organizer.post(path(week), form | {"host": "Others"}).url == "/admin/events/event/"
    answer = organizer.post(path(week), form | {"contact_email": ""})
    assert "contact_email" in answer.context["adminform"].form.errors
    assert organizer.post(path(week), form | {"status": "draft"}).url == "/admin/events/event/"
    assert (status(), log_of(week)[-1]) == ("draft", "Changed Status.")


def test_status_that_someone_else_just_published_stays(organizer, draft):
    form = form_of(organizer, path(draft)) | {"host": "Others"}
    publish(organizer, draft, "times")
    post_twice(organizer, path(draft), form)
    event = Event.objects.get()
    assert (event.status, event.host) == ("published", "Others")


# Permissions


def test_page_needs_the_view_permission_and_its_buttons_that_to_change(draft):
    assert client_of(member(name="nobody")).get(url(draft)).status_code == 403
    viewer = client_of(member("view_event", name="viewer"))
    page = viewer.get(url(draft)).content.decode()
    assert "Your account can't publish this week." in page
    assert ("<button" in page.partition('id="content"')[2], 'name="tick"' in page) == (False, False)
    for do in ("publish", "test"):
        assert viewer.post(url(draft), {"do": do, "chosen": "1"}).status_code == 403
    assert (status(), models.TestEmail.objects.count()) == ("draft", 1)


def test_lines_have_no_links_to_what_someone_may_not_change(draft):
    Meeting.objects.filter(session=draft.sessions.first()).delete()
    Session.objects.filter(pk=draft.sessions.last().pk).update(**in_spanish(title=None))
    client = client_of(member("view_event", "change_event"))
    found = lines(client, draft)
    assert undone(client, draft) == ["links", "languages", "times"]
    assert [key for key, each in found.items() if each.links] == ["contact"]
    assert "/admin/events/session/" not in client.get(url(draft)).content.decode()
    publish(client, draft, "links", "languages", "times")
    assert status() == "published"


def test_draft_sessions_stay_drafts_without_permission_to_change_them(draft):
    make_drafts(draft, 2)
    client = client_of(member("view_event", "change_event"))
    assert 'name="session"' not in client.get(url(draft)).content.decode()
    publish(client, draft, "times")
    assert (status(), draft.sessions.filter(status="draft").count()) == ("published", 2)
