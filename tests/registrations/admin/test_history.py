"""The history of what organizers do with people, questions, email texts and announcements."""

import pytest
from django.contrib.admin.models import LogEntry

from events.languages import texts
from events.models import HistoryEntry
from registrations.models import AccessNeed, Announcement, MailText, OutgoingMail, Question
from tests.admin_pages import act, act_surely, form_of, path
from tests.events.admin.test_history import entries, history_of, values
from tests.events.admin.test_revert import revert
from tests.people import in_english, published_event, sign_up
from tests.strategyweek.test_permissions import client_of, member

pytestmark = pytest.mark.django_db


@pytest.fixture
def alice(week):
    return sign_up(week, needs=["asl"])


def save(client, thing, **changes) -> None:
    form = form_of(client, path(thing)) | changes
    assert client.post(path(thing), form).status_code == 302


def test_changes_of_a_person_are_in_words(organizer, alice):
    save(organizer, alice, name="Alice Brown", us_state="CA", needs=["asl", "captions"])
    assert values(alice) == [
        ("name", "Alice Adams", "Alice Brown"),
        ("us_state", None, "CA"),
        ("needs", ["asl"], ["captions", "asl"]),
    ]
    (entry,) = entries(organizer, alice)
    assert "Name Before Alice Adams After Alice Brown" in entry
    assert "State Before empty After California" in entry
    assert "Access needs Before ASL interpretation After Live captions, ASL interpretation" in entry


def test_attendance_is_recorded_at_its_session(organizer, alice, opening):
    form = form_of(organizer, path(alice))
    (number,) = [
        name.split("-")[1]
        for name, value in form.items()
        if name.startswith("seats-")
        and name.endswith("-id")
        and value == alice.seats.get(session=opening).pk
    ]
    save(organizer, alice, **{f"seats-{number}-attended": "on"})
    (entry,) = entries(organizer, alice)
    assert f"Spot “Alice Adams in {opening}” Attended Before No After Yes" in entry


def test_needs_are_shown_only_to_those_who_may_see_them(organizer, week, alice):
    save(organizer, alice, name="Alice Brown", needs_other="A chair")
    permissions = ("view_registration", "view_event")
    client = client_of(member(*permissions))
    for page in (entries(client, alice), entries(client, week)):
        assert "Alice Brown" in page[0]
        assert "A chair" not in page[0]
    client = client_of(member(*permissions, "view_sensitive_data", name="trusted"))
    assert "A chair" in entries(client, alice)[0]


def test_people_are_only_in_the_history_of_those_who_may_view_them(organizer, week, alice):
    save(organizer, alice, name="Alice Brown")
    assert "Alice Brown" in entries(organizer, week)[0]
    assert "Alice" not in history_of(client_of(member("view_event")), week).content.decode()


def test_decisions_and_emails_sent_by_hand_are_in_the_weeks_history(organizer, week, alice):
    act(organizer, type(alice), "send_links_again", alice)
    act_surely(organizer, "decline", alice)
    act(organizer, type(alice), "approve", alice)
    done = [each.split(" Registration ")[1] for each in entries(organizer, week)]
    assert done == [
        f"“{alice}” Approved.",
        f"“{alice}” Declined.",
        f"“{alice}” Emailed their links again, unless that had just been done or they aren't "
        "coming.",
    ]


def test_exports_are_in_the_history_of_each_event(organizer, week, alice):
    other = published_event(name="Other", slug="other", summary="S")
    bob = sign_up(other, "Bob B", sessions=[])
    act(organizer, type(alice), "export_csv", alice, bob)
    for event in (week, other):
        (entry,) = entries(organizer, event)
        assert "Registrations Exported 1 person, with access needs and answers." in entry


def test_resent_emails_are_in_the_weeks_history(organizer, week, alice):
    OutgoingMail.objects.update(state="failed")
    act(organizer, OutgoingMail, "send_again", *OutgoingMail.objects.all())
    assert "Resent emails that had failed or come back." in entries(organizer, week)[0]


def test_note_in_the_list_of_access_needs_is_recorded(organizer, week, alice):
    need = AccessNeed.objects.first()
    url = path(need, "changelist")
    formset = organizer.get(url).context["cl"].formset
    form = {f"form-{name}": value for name, value in formset.management_form.initial.items()}
    for number, each in enumerate(formset.forms):
        form |= {f"form-{number}-id": each.instance.pk, f"form-{number}-note": ""}
        if each.instance == need:
            form[f"form-{number}-note"] = "Ines interprets"
    organizer.post(url, {**form, "_save": "Save"})
    assert values(need) == [("note", None, "Ines interprets")]
    act(organizer, AccessNeed, "arrange", need)
    assert [each.split("” ")[1] for each in entries(organizer, need)] == [
        "Marked as arranged.",
        "Changed: Note Before empty After Ines interprets",
    ]
    assert len(entries(organizer, week)) == 2


def test_texts_and_questions_are_recorded_in_each_language(organizer, week):
    question = Question.objects.create(event=week, **in_english(text="Which?"))
    mail_text = MailText.objects.create(event=week, kind="links", **in_english(subject="Hello"))
    draft = Announcement.objects.create(event=week, **in_english(subject="News", body="Hello"))
    save(organizer, question, text_es="¿Cuál?")
    save(organizer, mail_text, subject_en="Hi")
    save(organizer, draft, body_en="Good evening")
    assert values(question) == [("text_es", None, "¿Cuál?")]
    assert values(mail_text) == [("subject_en", "Hello", "Hi")]
    assert values(draft) == [("body_en", "Hello", "Good evening")]
    assert len(entries(organizer, week)) == 3


def test_test_emails_of_announcements_are_recorded_without_the_address(organizer, week, alice):
    draft = Announcement.objects.create(event=week, **in_english(subject="News", body="Hello"))
    organizer.post(path(draft).replace("/change/", "/review/"), {"do": "test"})
    assert LogEntry.objects.get().change_message == "Sent a test to their own address."


def test_every_entry_of_the_admin_knows_its_event(organizer, week, alice):
    need, seat = AccessNeed.objects.first(), alice.seats.first()
    act(organizer, AccessNeed, "arrange", need)
    act(organizer, type(seat), "take_out", seat)
    assert set(HistoryEntry.objects.values_list("event", flat=True)) == {week.pk}
    assert HistoryEntry.objects.count() == LogEntry.objects.count() == 2


def test_link_in_an_announcement_is_stored_without_its_passcode(organizer, week):
    link = "https://zoom.us/j/1?pwd=Verysecret"
    announcement = Announcement.objects.create(
        event=week, **in_english(subject="Hello", body=f"Join: {link}")
    )
    save(organizer, announcement, body_en="Another")
    assert values(announcement) == [("body_en", "Join: https://zoom.us/j/1?...", "Another")]
    entry = LogEntry.objects.latest("pk")
    assert "Verysecret" not in entry.details.sealed
    url = path(announcement).replace("/change/", f"/history/{entry.pk}/")
    revert(organizer, url)
    assert texts(Announcement.objects.get(), "body")[0] == f"Join: {link}"
