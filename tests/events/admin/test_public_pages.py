"""What organizers enter for the public pages: a contact, hosts with photos, and what is shown."""

from html import unescape
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from events.models import Event, Session, Speaker, StoredImage
from tests.admin_pages import form_of, messages_of, path
from tests.events.images.pictures import bomb, picture
from tests.people import published_event, sign_up

pytestmark = [pytest.mark.django_db, pytest.mark.once]


def errors_of(answer) -> dict[str, list[str]]:
    return dict(answer.context["adminform"].form.errors) if answer.status_code == 200 else {}


def file(content: bytes) -> SimpleUploadedFile:
    return SimpleUploadedFile("me.jpg", content, "image/jpeg")


def photo_field(form: dict[str, Any], speaker: Speaker) -> str:
    """The name of a speaker's file input in the event's form."""
    ids = {name: value for name, value in form.items() if name.startswith("speakers-")}
    own = (name for name, value in ids.items() if name.endswith("-id") and value == speaker.pk)
    return next(own).replace("-id", "-picture")


def test_publishing_needs_a_contact_and_a_draft_does_not(admin_client, week):
    form: dict[str, Any] = form_of(admin_client, path(week)) | {"contact_email": ""}
    answer = admin_client.post(path(week), form)
    assert errors_of(answer) == {
        "contact_email": ["Enter an email, so people have someone to write to. Or keep it a draft."]
    }
    assert admin_client.post(path(week), form | {"status": "draft"}).status_code == 302
    week.refresh_from_db()
    assert (week.contact_email, week.status) == ("", "draft")


def test_invalid_contact_of_a_published_event_has_one_error(admin_client, week):
    form: dict[str, Any] = form_of(admin_client, path(week)) | {"contact_email": "maria@"}
    errors = errors_of(admin_client.post(path(week), form))
    assert errors == {"contact_email": ["Enter a valid email address."]}


def test_published_event_that_says_nothing_about_recording_is_pointed_out(admin_client, week):
    form: dict[str, Any] = form_of(admin_client, path(week))
    silent = {"recording_note_en": "", "recording_note_es": ""}
    note = (
        "What do you record? Under “Everyone can take part”, say what, and who gets to see it, or "
        "that you don't record. People want to know before they register."
    )
    for changes, is_said in (
        ({}, False),
        (silent, True),
        (silent | {"recording_note_es": "Nada."}, False),
        (silent | {"status": "draft"}, False),
    ):
        answer = admin_client.post(path(week), form | changes, follow=True)
        found = messages_of(answer.content.decode())
        assert (("warning", note) in found) == is_said, changes


def test_photo_of_a_host_is_on_the_sessions_page_and_in_the_detailed_schedule(
    admin_client, client, week, opening
):
    host = opening.hosts.get()
    form: dict[str, Any] = form_of(admin_client, path(week))
    form[photo_field(form, host)] = file(picture().getvalue())
    assert admin_client.post(path(week), form).status_code == 302
    host.refresh_from_db()
    photo = f'src="/images/{host.photo_id}.webp"'
    assert (host.photo.width, host.photo.height) == (192, 192)
    assert photo in client.get(opening.get_absolute_url()).content.decode()
    schedule = client.get(f"{sign_up(week).get_absolute_url()}schedule/").content.decode()
    assert photo in schedule
    assert photo in admin_client.get(path(week)).content.decode()


def test_photo_of_a_speaker_who_hosts_nothing_is_for_attendees_only(
    admin_client, client, week, opening
):
    speaker = week.speakers.get(name_en="Families of people serving LWOP")
    form: dict[str, Any] = form_of(admin_client, path(week))
    form[photo_field(form, speaker)] = file(picture().getvalue())
    admin_client.post(path(week), form)
    speaker.refresh_from_db()
    assert speaker.photo_id not in client.get(opening.get_absolute_url()).content.decode()
    schedule = client.get(f"{sign_up(week).get_absolute_url()}schedule/").content.decode()
    assert speaker.photo_id in schedule


def test_photo_is_removed(admin_client, week, opening):
    host = opening.hosts.get()
    form: dict[str, Any] = form_of(admin_client, path(week))
    name = photo_field(form, host)
    admin_client.post(path(week), form | {name: file(picture().getvalue())})
    assert StoredImage.objects.count() == 1
    admin_client.post(path(week), form_of(admin_client, path(week)) | {f"{name}-clear": "on"})
    host.refresh_from_db()
    assert (host.photo_id, StoredImage.objects.count()) == (None, 0)


@pytest.mark.parametrize("content", [b"GIF89a", b"<svg/>", bomb(20_000).getvalue()])
def test_file_that_is_no_photo_is_refused_and_nothing_is_saved(admin_client, week, content):
    host = week.speakers.first()
    form: dict[str, Any] = form_of(admin_client, path(week)) | {"host": "Someone else"}
    answer = admin_client.post(path(week), form | {photo_field(form, host): file(content)})
    errors = [
        each.errors
        for inline in answer.context["inline_admin_formsets"]
        for each in inline.formset.forms
        if each.errors
    ]
    assert [[*each] for each in errors] == [["picture"]]
    assert not StoredImage.objects.exists()
    assert Event.objects.get().host == week.host


def test_new_speaker_may_have_a_photo(admin_client, week):
    form: dict[str, Any] = form_of(admin_client, path(week))
    number = form["speakers-TOTAL_FORMS"]
    form["speakers-TOTAL_FORMS"] = number + 1
    form[f"speakers-{number}-name_en"] = "Maria M"
    form[f"speakers-{number}-picture"] = file(picture().getvalue())
    assert admin_client.post(path(week), form).status_code == 302
    assert week.speakers.get(name_en="Maria M").photo_id


def test_hosts_are_chosen_from_the_sessions_own_event(admin_client, week, opening):
    foreign = published_event(name="Other", slug="other").speakers.create(name="Else")
    page = admin_client.get(path(opening)).content.decode()
    assert "Week hosts" in page
    assert "Else" not in page
    form: dict[str, Any] = form_of(admin_client, path(opening)) | {"hosts": [foreign.pk]}
    assert [*errors_of(admin_client.post(path(opening), form))] == ["hosts"]


def test_new_title_with_the_old_short_one_is_pointed_out(admin_client, week, opening):
    note = "You changed the title. The short title is still “%s”."
    for changes, is_said in (
        ({"summary_en": "New"}, False),
        ({"title_en": "Kickoff", "short_title_en": "Start"}, False),
        ({"title_en": "Our kickoff", "short_title_en": "Start"}, True),
        ({"title_en": "Kickoff", "short_title_en": "", "short_title_es": ""}, False),
        ({"title_en": "Our kickoff", "short_title_en": "", "short_title_es": ""}, False),
    ):
        form: dict[str, Any] = form_of(admin_client, path(opening))
        answer = admin_client.post(path(opening), form | changes, follow=True)
        found = [text for _color, text in messages_of(answer.content.decode())]
        assert (note % "Start" in found) == is_said, changes


def test_session_stays_in_its_event(admin_client, week, opening):
    other = published_event(name="Other", slug="other")
    add = admin_client.get(path(Session, "add")).content.decode()
    assert ('name="event"' in add, "You can't change this later." in unescape(add)) == (True, True)
    page = admin_client.get(path(opening)).content.decode()
    assert 'name="event"' not in page
    form: dict[str, Any] = form_of(admin_client, path(opening))
    form |= {"event": other.pk, "shown_event": other.pk}
    assert admin_client.post(path(opening), form).status_code == 302
    assert Session.objects.get(pk=opening.pk).event == week


def test_new_session_has_only_hosts_of_its_event(admin_client, week, opening):
    other = published_event(name="Other", slug="other")
    host = opening.hosts.first()
    form: dict[str, Any] = form_of(admin_client, path(Session, "add")) | {"event": other.pk}
    answer = admin_client.post(path(Session, "add"), form | {"hosts": [host.pk]})
    assert "hosts" in errors_of(answer)
