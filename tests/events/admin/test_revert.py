"""Reverting a change from its history: it asks, and then saves like any other edit."""

import datetime as dt
import re
from html import unescape

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.contrib.contenttypes.models import ContentType
from django.db import connection
from django.utils import timezone

from events.languages import texts
from events.models import Event, HistoryEntry, Meeting, Revision, Session, Speaker
from registrations import tasks
from registrations.models import Announcement, MailText, OutgoingMail, Question
from tests.admin_pages import form_of, messages_of, path
from tests.people import in_english, sign_up
from tests.strategyweek.test_permissions import client_of, member

pytestmark = pytest.mark.django_db

# 4:04 PM in Los Angeles.
NOW = dt.datetime(2026, 9, 1, 23, 4, tzinfo=dt.UTC)
HOUR = dt.timedelta(hours=1)


@pytest.fixture(autouse=True)
def clock():
    with time_machine.travel(NOW, tick=False) as clock:
        yield clock


def save(client, thing, **changes: str) -> str:
    """Save a change, and return where it's reverted."""
    form = form_of(client, path(thing)) | changes
    assert client.post(path(thing), form).status_code == 302
    own_type = ContentType.objects.get_for_model(thing)
    entry = LogEntry.objects.filter(content_type=own_type, object_id=thing.pk).latest("pk")
    return path(thing).replace("/change/", f"/history/{entry.pk}/")


def text(html: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())


def hidden_of(page: str) -> dict[str, str]:
    found = re.findall(r'<input type="hidden" name="(seen|notify_now)" value="([^"]*)"', page)
    return dict(found)


def revert(client, url: str):
    """Press the button of the page that asks."""
    page = client.get(url).content.decode()
    return client.post(url, hidden_of(page), follow=True)


def said(answer) -> list[str]:
    return [text for _color, text in messages_of(answer.content.decode())]


def title_of(session: Session) -> str | None:
    return texts(Session.objects.get(pk=session.pk), "title")[0]


def test_history_has_a_button_that_leads_to_the_page_that_asks(organizer, opening):
    url = save(organizer, opening, title_en="Wrong", capacity="5")
    page = organizer.get(path(opening).replace("/change/", "/history/")).content.decode()
    assert f'href="{url}"' in page
    page = text(organizer.get(url).content.decode())
    assert "Title (English) Now Wrong After reverting Opening session" in page
    assert "Spots Now 5 After reverting empty" in page
    assert title_of(opening) == "Wrong"


def test_texts_times_and_spots_are_set_back_and_logged(organizer, opening):
    before = Session.objects.get(pk=opening.pk)
    later_by_an_hour = timezone.localtime(before.ends_at, before.event.zone) + HOUR
    url = save(
        organizer,
        opening,
        title_en="Wrong",
        capacity="5",
        ends_at_1=f"{later_by_an_hour:%H:%M}",
        **{"agenda-0-title_en": "Wrong item"},
    )
    item = opening.agenda.first()
    assert item.title_en == "Wrong item"
    answer = revert(organizer, url)
    after = Session.objects.get(pk=opening.pk)
    assert (after.title, after.capacity) == (before.title, None)
    assert (after.starts_at, after.ends_at) == (before.starts_at, before.ends_at)
    assert opening.agenda.first().title_en == "Welcome"
    assert said(answer)[0] == f"“{before.title}”: the change is reverted."
    entry = LogEntry.objects.latest("pk")
    assert entry.change_message == "Reverted the change from Sep 1, 2026, 4:04 PM PDT."
    assert {each["field"] for each in entry.details.changes} == {"title_en", "capacity", "ends_at"}


def test_people_are_notified_as_after_any_edit(organizer, opening, clock):
    sign_up(opening.event)
    OutgoingMail.objects.update(state="sent", sent_at=NOW - HOUR, claimed_at=NOW - HOUR)
    url = save(organizer, opening, title_en="Wrong")
    clock.shift(HOUR)
    tasks.queue_due_mails()
    OutgoingMail.objects.update(state="sent", sent_at=NOW + HOUR, claimed_at=NOW + HOUR)
    assert OutgoingMail.objects.filter(kind="changed").count() == 1
    organizer.force_login(User.objects.get(is_superuser=True))
    assert "1 person is registered." in text(organizer.get(url).content.decode())
    answer = revert(organizer, url)
    assert any("1 person gets an email about this at 5:14 PM PDT" in each for each in said(answer))
    assert Session.objects.get(pk=opening.pk).revision == 2
    clock.shift(HOUR)
    tasks.queue_due_mails()
    assert OutgoingMail.objects.filter(kind="changed").count() == 2


def test_revert_that_would_be_announced_right_away_asks_again(organizer, opening):
    url = save(organizer, opening, title_en="Wrong")
    Session.objects.filter(pk=opening.pk).update(
        starts_at=NOW + 2 * HOUR, ends_at=NOW + 6 * HOUR, revision=0, revised_at=None
    )
    Revision.objects.all().delete()
    sign_up(opening.event)
    OutgoingMail.objects.update(state="sent", sent_at=NOW - HOUR, claimed_at=NOW - HOUR)
    page = revert(organizer, url).content.decode()
    assert "1 person would get an email about this right away." in page
    assert title_of(opening) == "Wrong"
    organizer.post(url, hidden_of(page))
    assert title_of(opening) != "Wrong"


def test_change_that_someone_else_made_meanwhile_is_not_overwritten(organizer, opening):
    url = save(organizer, opening, title_en="Wrong")
    seen = hidden_of(organizer.get(url).content.decode())
    Session.objects.filter(pk=opening.pk).update(**in_english(title="Someone else's"))
    answer = organizer.post(url, seen, follow=True)
    assert said(answer) == [
        "Someone just changed this, so nothing was done. Please check it again."
    ]
    assert title_of(opening) == "Someone else's"


def test_there_is_nothing_to_revert_twice(organizer, opening):
    url = save(organizer, opening, title_en="Wrong")
    revert(organizer, url)
    page = text(organizer.get(url).content.decode())
    assert "There's nothing to revert" in page
    assert "Yes, revert it" not in page


@pytest.mark.parametrize("field", ["starts_at", "ends_at"])
def test_time_that_has_passed_is_not_set_back(organizer, opening, field):
    url = save(organizer, opening, capacity="5")
    entry = HistoryEntry.objects.get()
    entry.changes[0] |= {"field": field, "old": (NOW - HOUR).isoformat()}
    entry.save()
    Session.objects.filter(pk=opening.pk).update(starts_at=NOW - 2 * HOUR)
    time = getattr(Session.objects.get(pk=opening.pk), field)
    answer = revert(organizer, url)
    assert said(answer) == ["Nothing was reverted: The old time has passed."]
    assert getattr(Session.objects.get(pk=opening.pk), field) == time


def test_value_that_is_no_longer_valid_is_not_set_back(organizer, week):
    url = save(organizer, week, contact_email="other@example.org")
    entry = HistoryEntry.objects.get()
    entry.changes[0]["old"] = None
    entry.save()
    (problem,) = said(revert(organizer, url))
    assert problem == "Nothing was reverted: A published event needs a contact email."
    assert Event.objects.get().contact_email == "other@example.org"


def test_zoom_link_and_its_passcode_are_set_back_together(organizer, opening):
    before = Meeting.objects.get(session=opening)
    url = save(
        organizer,
        opening,
        **{
            "meeting-0-join_url": "https://zoom.us/j/81234567890?pwd=another",
            "meeting-0-meeting_id": "812 3456 7890",
            "meeting-0-passcode": "another",
        },
    )
    page = text(organizer.get(url).content.decode())
    assert (
        "Zoom link Now https://zoom.us/j/81234567890?... After reverting https://zoom.example/j/1?..."
        in page
    )
    revert(organizer, url)
    after = Meeting.objects.get(session=opening)
    for name in ("join_url", "meeting_id", "passcode"):
        assert getattr(after, name) == getattr(before, name)


def test_meeting_stays_if_its_secrets_cannot_be_read(organizer, opening, settings):
    changes = {"meeting-0-meeting_id": "812 3456 7890", "meeting-0-passcode": "another"}
    url = save(organizer, opening, **changes)
    HistoryEntry.objects.update(sealed="broken")
    page = text(organizer.get(url).content.decode())
    assert "There's nothing to revert" in page


def test_secrets_are_read_with_an_earlier_key(organizer, opening, settings, admin_user):
    url = save(organizer, opening, **{"meeting-0-passcode": "another"})
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "a new key" * 8
    organizer.force_login(admin_user)
    revert(organizer, url)
    assert Meeting.objects.get(session=opening).passcode == "code-1"


def test_meeting_that_we_keep_in_step_with_zoom_is_left_alone(organizer, opening):
    url = save(organizer, opening, **{"meeting-0-dial_in": "+1 669 900 6833"})
    Event.objects.update(zoom_mode="shared")
    assert "There's nothing to revert" in text(organizer.get(url).content.decode())


def test_links_to_recordings_are_set_back(organizer, opening):
    link = "https://video.example/rec?pwd=hidden-one"
    save(organizer, opening, recording_url=link)
    url = save(organizer, opening, recording_url="https://video.example/wrong")
    revert(organizer, url)
    assert Session.objects.get(pk=opening.pk).recording_url == link


@pytest.mark.parametrize("is_canceled", [False, True])
def test_cancellation_is_reverted_on_the_page_that_restores(organizer, opening, is_canceled):
    own = path(opening).replace("/change/", "/{}/")
    organizer.post(own.format("cancel"), {"cancel_reason_en": "Illness."})
    if not is_canceled:
        organizer.post(own.format("restore"))
    entry = LogEntry.objects.latest("pk")
    answer = organizer.get(own.format(f"history/{entry.pk}"))
    assert answer.url == own.format("restore" if is_canceled else "cancel")


def test_settings_and_choices_are_not_reverted(organizer, week, opening):
    url = save(organizer, opening, kind="closing", slug="another")
    assert "There's nothing to revert" in text(organizer.get(url).content.decode())


def test_entry_without_values_has_nothing_to_revert(organizer, week):
    url = save(organizer, week, host="Another")
    HistoryEntry.objects.update(changes=[])
    assert "There's nothing to revert" in text(organizer.get(url).content.decode())


def test_reason_of_a_cancellation_is_set_back(organizer, opening):
    organizer.post(path(opening).replace("/change/", "/cancel/"), {"cancel_reason_en": "Illness."})
    url = save(organizer, opening, cancel_reason_en="Wrong")
    revert(organizer, url)
    assert texts(Session.objects.get(pk=opening.pk), "cancel_reason")[0] == "Illness."


def test_added_agenda_item_is_not_emptied(organizer, opening):
    count = opening.agenda.count()
    url = save(
        organizer,
        opening,
        **{
            "agenda-TOTAL_FORMS": str(count + 1),
            f"agenda-{count}-position": "900",
            f"agenda-{count}-minutes": "20",
            f"agenda-{count}-title_en": "A song",
        },
    )
    assert "There's nothing to revert" in text(organizer.get(url).content.decode())


def test_texts_of_events_questions_and_emails_are_set_back(organizer, week):
    question = Question.objects.create(event=week, **in_english(text="Which?"))
    mail_text = MailText.objects.create(event=week, kind="links", **in_english(subject="Hello"))
    for row, name in ((week, "summary_en"), (question, "text_en"), (mail_text, "subject_en")):
        before = getattr(type(row).objects.get(pk=row.pk), name)
        url = save(organizer, row, **{name: "Wrong"})
        page = text(organizer.get(url).content.decode())
        assert "No one gets an email about this." in page
        revert(organizer, url)
        assert getattr(type(row).objects.get(pk=row.pk), name) == before


def test_speakers_name_in_agendas_tells_who_gets_an_email(organizer, week, opening):
    speaker = Speaker.objects.create(event=week, **in_english(name="Dr. Miller"))
    opening.agenda.first().speakers.add(speaker)
    sign_up(week)
    OutgoingMail.objects.update(state="sent", sent_at=NOW - HOUR, claimed_at=NOW - HOUR)
    number = list(week.speakers.all()).index(speaker)
    url = save(organizer, week, **{f"speakers-{number}-name_en": "Wrong"})
    Revision.objects.all().delete()
    Session.objects.update(revision=0, revised_at=None)
    page = text(organizer.get(url).content.decode())
    assert "1 person gets an email about this at 4:14 PM PDT, unless you undo it first." in page
    assert "No one gets an email" not in page
    assert Speaker.objects.get(pk=speaker.pk).name == "Wrong"
    assert Session.objects.get(pk=opening.pk).revision == 0
    revert(organizer, url)
    assert Speaker.objects.get(pk=speaker.pk).name == "Dr. Miller"


def test_announcement_that_was_started_meanwhile_stays(organizer, week):
    draft = Announcement.objects.create(event=week, **in_english(subject="News", body="Hello"))
    url = save(organizer, draft, body_en="Wrong")
    seen = hidden_of(organizer.get(url).content.decode())

    def start(execute, sql, *args):
        """Start it once its page has checked that it may be changed."""
        answer = execute(sql, *args)
        if "django_admin_log" in sql:
            started = {"started_at": NOW, "state": Announcement.State.SENDING}
            Announcement.objects.filter(state=Announcement.State.DRAFT).update(**started)
        return answer

    with connection.execute_wrapper(start):
        assert organizer.post(url, seen).status_code == 403
    assert texts(Announcement.objects.get(), "body")[0] == "Wrong"


def test_announcement_does_not_touch_its_session(organizer, week, opening, clock):
    draft = Announcement.objects.create(
        event=week, session=opening, audience="session", **in_english(subject="News", body="Hello")
    )
    url = save(organizer, draft, body_en="Wrong")
    before = Session.objects.get(pk=opening.pk).updated_at
    clock.shift(60)
    revert(organizer, url)
    assert texts(Announcement.objects.get(), "body")[0] == "Hello"
    assert Session.objects.get(pk=opening.pk).updated_at == before


def test_reverting_needs_permission_to_change(organizer, opening):
    url = save(organizer, opening, capacity="5")
    viewer = client_of(member("view_session"))
    assert viewer.get(url).status_code == 403
    assert viewer.post(url).status_code == 403
    history = viewer.get(path(opening).replace("/change/", "/history/")).content.decode()
    assert url not in history


@pytest.mark.parametrize(("permission", "expected"), [("view", "another"), ("change", "code-1")])
def test_reverting_a_meeting_needs_permission_to_change_it(
    organizer, opening, permission, expected
):
    url = save(organizer, opening, capacity="5", **{"meeting-0-passcode": "another"})
    client = client_of(member("view_session", "change_session", f"{permission}_meeting"))
    revert(client, url)
    assert Session.objects.get(pk=opening.pk).capacity is None
    assert Meeting.objects.get(session=opening).passcode == expected


def test_entry_of_another_row_is_not_found(organizer, opening, later):
    url = save(organizer, opening, capacity="5")
    assert organizer.get(url.replace(f"/{opening.pk}/", f"/{later.pk}/", 1)).status_code == 404
    assert organizer.get(url.replace(f"/{opening.pk}/", "/0/", 1)).status_code == 404


def test_spots_that_come_back_to_people_who_wait_ask_first(organizer, week, opening):
    Session.objects.filter(pk=opening.pk).update(capacity=2)
    url = save(organizer, opening, capacity="1")
    opening.refresh_from_db()
    for name in ("Alice Adams", "Bob B"):
        sign_up(week, name, sessions=[opening])
    page = revert(organizer, url).content.decode()
    assert "1 person on the waitlist would get a spot and an email about it" in page
    assert Session.objects.get(pk=opening.pk).capacity == 1
    answer = organizer.post(url, hidden_of(page), follow=True)
    assert "1 person on the waitlist gets a spot and an email about it." in said(answer)
    assert Session.objects.get(pk=opening.pk).capacity == 2
