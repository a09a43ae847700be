"""Two tabs, or two organizers, on a session or an event: the second save overwrites nothing."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.admin.models import LogEntry
from django.core import signing
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.utils import timezone

from events.models import AgendaItem, Event, Session, Speaker
from registrations.models import OutgoingMail
from tests.admin_pages import form_of, messages_of, path
from tests.events.images.pictures import picture
from tests.people import in_english, sign_up

pytestmark = pytest.mark.django_db


def save(client, thing, form):
    return client.post(path(thing), form)


def errors_of(answer) -> dict[str, str]:
    """The errors of the form and of the rows below it, by name of their field."""
    assert answer.status_code == 200
    forms = [answer.context["adminform"].form]
    forms += [each for table in answer.context["inline_admin_formsets"] for each in table.formset]
    return {
        each.add_prefix(name): str(text) for each in forms for name, text in each.errors.items()
    }


def fresh(thing):
    return type(thing).objects.get(pk=thing.pk)


def test_different_fields_of_a_session_are_merged(organizer, opening):
    form = form_of(organizer, path(opening))
    assert save(organizer, opening, form | {"capacity": "40"}).status_code == 302
    answer = organizer.post(path(opening), form | {"title_en": "New title"}, follow=True)
    now = fresh(opening)
    assert (now.title_en, now.capacity) == ("New title", 40)
    said = "Someone else changed this while you were editing. We kept their changes, too: Spots."
    assert ("info", said) in messages_of(answer.content.decode())


def test_same_field_of_a_session_asks_and_then_saves(organizer, opening):
    form = form_of(organizer, path(opening))
    save(organizer, opening, form | {"title_en": "First <b>"})
    answer = save(organizer, opening, form | {"title_en": "Second", "capacity": "40"})
    (text,) = errors_of(answer).values()
    assert "<dt>You wrote</dt><dd>Second</dd><dt>They saved</dt><dd>First &lt;b&gt;</dd>" in text
    assert (fresh(opening).title_en, fresh(opening).capacity) == ("First <b>", opening.capacity)
    page = answer.context["adminform"].form
    again = form | {"title_en": "Second", "capacity": "40", "opened": answer.context["opened"]}
    assert page["title_en"].value() == "Second"
    assert page["capacity"].value() == "40"
    assert save(organizer, opening, again).status_code == 302
    assert (fresh(opening).title_en, fresh(opening).capacity) == ("Second", 40)


def test_other_version_can_be_chosen(organizer, opening):
    form = form_of(organizer, path(opening))
    save(organizer, opening, form | {"title_en": "First"})
    answer = save(organizer, opening, form | {"title_en": "Second", "capacity": "40"})
    again = form | {"title_en": "Second", "capacity": "40", "keep_theirs": "title_en"}
    save(organizer, opening, again | {"opened": answer.context["opened"]})
    assert (fresh(opening).title_en, fresh(opening).capacity) == ("First", 40)


def test_other_version_that_changed_again_is_shown_first(organizer, opening):
    form = form_of(organizer, path(opening))
    save(organizer, opening, form | {"title_en": "First"})
    answer = save(organizer, opening, form | {"title_en": "Second"})
    Session.objects.filter(pk=opening.pk).update(**in_english(title="Third"))
    again = form | {"title_en": "Second", "keep_theirs": "title_en"}
    answer = save(organizer, opening, again | {"opened": answer.context["opened"]})
    assert "<dd>Third</dd>" in errors_of(answer)["title_en"]


def test_same_change_of_both_is_no_conflict(organizer, opening):
    form = form_of(organizer, path(opening)) | {"title_en": "The same"}
    save(organizer, opening, form)
    assert save(organizer, opening, form).status_code == 302


def test_times_and_hosts_are_merged(organizer, opening):
    speakers = [each.pk for each in opening.event.speakers.all()[:2]] or [
        Speaker.objects.create(event=opening.event, name=name).pk for name in "AB"
    ]
    form = form_of(organizer, path(opening))
    times = {"starts_at_1": "08:30", "ends_at_1": "12:45"}
    save(organizer, opening, form | times | {"hosts": speakers})
    assert save(organizer, opening, form | {"title_en": "New title"}).status_code == 302
    now = fresh(opening)
    assert now.starts_at < opening.starts_at
    assert (now.ends_at < opening.ends_at, now.title_en) == (True, "New title")
    assert {each.pk for each in now.hosts.all()} == {*speakers}
    answer = save(organizer, opening, form | {"starts_at_1": "08:45"})
    assert [*errors_of(answer)] == ["starts_at"]


def test_page_with_nothing_changed_writes_nothing(organizer, opening):
    sign_up(opening.event)
    form = form_of(organizer, path(opening))
    save(organizer, opening, form | {"title_en": "New title", "agenda-0-minutes": "7"})
    before = Session.objects.filter(pk=opening.pk).values().get(), OutgoingMail.objects.count()
    assert save(organizer, opening, form).status_code == 302
    after = Session.objects.filter(pk=opening.pk).values().get(), OutgoingMail.objects.count()
    assert after == before
    assert opening.agenda.first().minutes == 7


@pytest.mark.parametrize("opened", ["", "tampered", "\0"])
def test_page_without_its_signature_asks(organizer, opening, opened):
    form = form_of(organizer, path(opening))
    title = opening.title_en
    answer = save(organizer, opening, form | {"title_en": "New title", "opened": opened})
    assert [*errors_of(answer)] == ["title_en"]
    assert fresh(opening).title_en == title


def test_signature_of_another_session_asks(organizer, opening, week):
    other = form_of(organizer, path(week.sessions.last()))["opened"]
    form = form_of(organizer, path(opening)) | {"title_en": "New title", "opened": other}
    assert [*errors_of(save(organizer, opening, form))] == ["title_en"]


def test_signed_field_does_not_tell_what_it_signs(organizer, opening):
    Session.objects.filter(pk=opening.pk).update(**in_english(title="secret"))
    signed = form_of(organizer, path(opening))["opened"]
    salt = f"opened:events.Session:{opening.pk}"
    assert "secret" not in str(signing.loads(signed, salt=salt))


# Rows of the agenda


def test_different_rows_and_fields_of_the_agenda_are_merged(organizer, opening):
    form = form_of(organizer, path(opening))
    save(organizer, opening, form | {"agenda-0-minutes": "7", "agenda-1-minutes": "8"})
    assert save(organizer, opening, form | {"agenda-0-title_en": "Hello"}).status_code == 302
    one, two = opening.agenda.all()[:2]
    assert (one.minutes, one.title_en, two.minutes) == (7, "Hello", 8)


def test_same_field_of_a_row_asks_and_then_saves(organizer, opening):
    form = form_of(organizer, path(opening))
    save(organizer, opening, form | {"agenda-1-minutes": "7"})
    mine = form | {"agenda-1-minutes": "8"}
    answer = save(organizer, opening, mine)
    assert [*errors_of(answer)] == ["agenda-1-minutes"]
    assert save(organizer, opening, mine | {"opened": answer.context["opened"]}).status_code == 302
    assert opening.agenda.all()[1].minutes == 8


def test_row_deleted_by_someone_else_stays_deleted(organizer, opening):
    form = form_of(organizer, path(opening))
    titles = [each.title_en for each in opening.agenda.all()]
    opening.agenda.first().delete()
    assert save(organizer, opening, form | {"agenda-1-minutes": "7"}).status_code == 302
    assert [each.title_en for each in opening.agenda.all()] == titles[1:]
    assert opening.agenda.first().minutes == 7


def test_row_deleted_by_someone_else_and_edited_asks_and_then_comes_back(organizer, opening):
    form = form_of(organizer, path(opening)) | {"agenda-0-title_en": "Hello"}
    count = opening.agenda.count()
    opening.agenda.first().delete()
    answer = save(organizer, opening, form)
    last = f"agenda-{count - 1}"
    assert "Someone else deleted this" in errors_of(answer)[f"{last}-__all__"]
    assert save(organizer, opening, form_of_answer(answer)).status_code == 302
    assert opening.agenda.count() == count
    assert opening.agenda.filter(title_en="Hello").exists()


def form_of_answer(answer) -> dict:
    """What a browser would post from this page, which was posted before."""
    form = dict(answer.wsgi_request.POST.lists())
    return {name: values[-1] if len(values) == 1 else values for name, values in form.items()}


def test_row_deleted_in_both_tabs_is_gone(organizer, opening):
    form = form_of(organizer, path(opening)) | {"agenda-0-DELETE": "on"}
    count = opening.agenda.count()
    for _tab in range(2):
        assert save(organizer, opening, form).status_code == 302
        assert opening.agenda.count() == count - 1


def test_row_that_someone_else_edited_is_not_deleted_unseen(organizer, opening):
    form = form_of(organizer, path(opening))
    item = opening.agenda.first()
    save(organizer, opening, form | {"agenda-0-title_en": "Hello"})
    answer = save(organizer, opening, form | {"agenda-0-DELETE": "on"})
    assert [*errors_of(answer)] == ["agenda-0-__all__"]
    again = form_of_answer(answer) | {"agenda-0-DELETE": "on"}
    assert save(organizer, opening, again).status_code == 302
    assert not AgendaItem.objects.filter(pk=item.pk).exists()


def test_rows_added_by_both_are_kept(organizer, opening):
    form = form_of(organizer, path(opening))
    count = opening.agenda.count()
    new = f"agenda-{count}"
    form |= {"agenda-TOTAL_FORMS": count + 1, f"{new}-position": "90", f"{new}-minutes": "5"}
    for title in ("Mine", "Yours"):
        assert save(organizer, opening, form | {f"{new}-title_en": title}).status_code == 302
    assert opening.agenda.filter(title_en__in=["Mine", "Yours"]).count() == 2
    assert opening.agenda.count() == count + 2


def test_meeting_entered_in_both_tabs_asks(organizer, opening):
    opening.meeting.delete()
    form = form_of(organizer, path(opening))
    links = [f"https://zoom.us/j/9{number}23456789" for number in range(2)]
    assert save(organizer, opening, form | {"meeting-0-join_url": links[0]}).status_code == 302
    answer = save(organizer, opening, form | {"meeting-0-join_url": links[1]})
    assert "meeting-0-join_url" in errors_of(answer)
    assert fresh(opening).join_url == links[0]
    assert save(organizer, opening, form_of_answer(answer)).status_code == 302
    assert fresh(opening).join_url == links[1]


# Events


def test_different_fields_of_an_event_are_merged(organizer, week):
    form = form_of(organizer, path(week))
    save(organizer, week, form | {"host": "Someone", "tracks-0-name_en": "Laws"})
    mine = form | {"settle_minutes": "20", "tracks-1-name_en": "Mercy", "has_asl": "on"}
    assert save(organizer, week, mine).status_code == 302
    now = fresh(week)
    assert (now.host, now.settle_minutes, now.has_asl) == ("Someone", 20, True)
    assert [each.name_en for each in now.tracks.all()[:2]] == ["Laws", "Mercy"]


def test_same_field_of_an_event_asks_and_then_saves(organizer, week):
    form = form_of(organizer, path(week))
    save(organizer, week, form | {"host": "Someone"})
    answer = save(organizer, week, form | {"host": "Someone else"})
    assert [*errors_of(answer)] == ["host"]
    assert save(organizer, week, form_of_answer(answer)).status_code == 302
    assert fresh(week).host == "Someone else"


def test_registration_times_stay_when_someone_else_changes_the_zone(organizer, week):
    form = form_of(organizer, path(week)) | {
        "registration_opens_at_0": "2020-01-02",
        "registration_opens_at_1": "09:00",
    }
    save(organizer, week, form)
    opens_at = fresh(week).registration_opens_at
    form = form_of(organizer, path(week))
    Event.objects.update(time_zone="America/New_York")
    assert save(organizer, week, form | {"host": "Someone"}).status_code == 302
    now = fresh(week)
    assert (now.time_zone, now.registration_opens_at, now.host) == (
        *("America/New_York", opens_at, "Someone"),
    )


def test_photo_changed_in_both_tabs_asks(organizer, week):
    alice = week.speakers.first() or Speaker.objects.create(event=week, name="Alice")
    form = form_of(organizer, path(week))
    number = [each.pk for each in week.speakers.all()].index(alice.pk)
    name = f"speakers-{number}-picture"

    def upload(**changes):
        file = SimpleUploadedFile("a.jpg", picture(**changes).getvalue(), "image/jpeg")
        return save(organizer, week, form | {name: file})

    assert upload().status_code == 302
    first = fresh(alice).photo_id
    assert first
    assert [*errors_of(upload(width=300))] == [name]
    assert fresh(alice).photo_id == first
    assert save(organizer, week, form | {f"{name}-clear": "on"}).status_code == 200
    assert save(organizer, week, form | {"host": "Someone"}).status_code == 302
    assert (fresh(alice).photo_id, fresh(week).host) == (first, "Someone")


def test_photo_follows_its_speaker_to_another_row(organizer, week):
    names = ("Alice", "Bob")
    week.speakers.all().delete()
    alice, bob = [Speaker.objects.create(event=week, name=name) for name in names]
    form = form_of(organizer, path(week))
    alice.delete()
    number = int(str(form["speakers-0-id"]) != str(bob.pk))
    file = SimpleUploadedFile("a.jpg", picture().getvalue(), "image/jpeg")
    mine = form | {f"speakers-{number}-picture": file}
    assert save(organizer, week, mine).status_code == 302
    assert fresh(bob).photo_id
    assert [each.name_en for each in week.speakers.all()] == ["Bob"]


# At the same moment


@pytest.mark.django_db(transaction=True)
def test_saves_at_the_same_moment_are_merged_or_asked_about(organizer, opening, admin_user):
    form = form_of(organizer, path(opening))
    changes = [{"title_en": "A"}, {"title_en": "B"}, {"capacity": "40"}, {"agenda-0-minutes": "7"}]
    barrier = Barrier(len(changes))

    def save_at_once(change) -> int:
        client = Client()
        client.cookies = organizer.cookies
        try:
            barrier.wait(10)
            return save(client, opening, form | change).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(changes)) as pool:
        one, other, *rest = pool.map(save_at_once, changes)
    assert (sorted([one, other]), rest) == ([200, 302], [302, 302])
    now = fresh(opening)
    assert (now.title_en, now.capacity) == ("A" if one == 302 else "B", 40)
    assert now.agenda.first().minutes == 7


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(2))
def test_organizers_hold_undo_cancel_and_edit_at_the_same_moment(organizer, week, opening, _round):
    sign_up(week)
    sent_at = timezone.now() - dt.timedelta(hours=1)
    OutgoingMail.objects.update(state="sent", sent_at=sent_at, claimed_at=sent_at)
    title = opening.title_en
    save(organizer, opening, form_of(organizer, path(opening)) | {"title_en": "New title"})
    notices = f"/admin/events/session/notices/{week.pk}/"
    button = {"session": opening.pk, "revision": fresh(opening).revision}
    posts = [
        (notices, button | {"do": "hold"}),
        (notices, button | {"do": "undo"}),
        (path(opening).replace("change", "cancel"), {"cancel_reason_en": "Our speaker is ill."}),
        (path(opening), form_of(organizer, path(opening)) | {"capacity": "40"}),
        (path(week), form_of(organizer, path(week)) | {"host": "Others"}),
    ]
    barrier = Barrier(len(posts))

    def post_at_once(post: tuple[str, dict]) -> int:
        client = Client()
        client.cookies = organizer.cookies
        try:
            barrier.wait(10)
            return client.post(*post).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(len(posts)) as pool:
        assert list(pool.map(post_at_once, posts)) == [302] * len(posts)
    now = fresh(opening)
    assert (now.is_canceled, now.cancel_reason_en) == (True, "Our speaker is ill.")
    assert (now.capacity, fresh(week).host) == (40, "Others")
    # Undone before it was canceled, or not at all.
    said = set(LogEntry.objects.values_list("change_message", flat=True))
    is_undone = any(text.startswith("The title, time") for text in said)
    assert now.title_en == (title if is_undone else "New title")
    # None was lost: renamed, canceled, maybe undone.
    assert now.revision == (3 if is_undone else 2)
    assert "Canceled. The reason: Our speaker is ill." in said
