"""Choosing an event's poster and colors in the admin."""

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile

from events.models import Event, StoredImage
from tests.admin_pages import form_of, path
from tests.events.images.pictures import noise, picture

pytestmark = pytest.mark.django_db

MISSING = ["Choose a picture here, or another poster above."]


def photo(file=None) -> SimpleUploadedFile:
    return SimpleUploadedFile("photo.jpg", (file or picture(1800, 1200)).getvalue(), "image/jpeg")


def save(client, week, **changes):
    """Post the event's form with these changes, and return the errors."""
    answer = client.post(path(week), {**form_of(client, path(week)), **changes})
    week.refresh_from_db()
    return {} if answer.status_code == 302 else answer.context["adminform"].form.errors


def test_each_choice_is_shown_with_a_small_picture(admin_client, week):
    page = admin_client.get(path(week)).content.decode()
    # All but one's own.
    assert page.count('<span class="look"><svg class="dawn"') == len(Event.Poster.values) - 1
    for name in Event.Colors.values:
        assert f'class="look look--colors" data-colors="{name}"' in page


def test_poster_and_colors_are_saved(admin_client, week):
    assert (week.poster, week.colors) == ("bars", "sunrise")
    assert save(admin_client, week, poster="road", colors="clay") == {}
    assert (week.poster, week.colors) == ("road", "clay")
    assert (Event().poster, Event().colors) == ("hills", "sunrise")


def test_a_picture_becomes_the_poster_in_two_small_sizes(admin_client, client, week):
    assert save(admin_client, week, poster_upload=photo(noise(1000, 800))) == {}
    assert (week.poster, week.has_own_poster) == ("own", True)
    wide, phone = week.poster_wide, week.poster_phone
    assert len(wide.content) <= 140_000
    assert len(phone.content) <= 14_000
    # It has more details than a photo, and had to become even smaller.
    assert phone.width == 2 * phone.height
    page = client.get(week.get_absolute_url()).content.decode()
    assert f'srcset="/images/{wide.key}.webp"' in page
    assert f'src="/images/{phone.key}.webp" alt=""' in page


def test_another_poster_can_be_chosen_again_and_the_picture_removed(admin_client, week):
    save(admin_client, week, poster_upload=photo())
    assert save(admin_client, week, **{"poster_upload-clear": "on"}) == {"poster_upload": MISSING}
    assert save(admin_client, week, poster="circle") == {}
    assert StoredImage.objects.count() == 2
    assert save(admin_client, week, **{"poster_upload-clear": "on"}) == {}
    assert not StoredImage.objects.exists()
    assert save(admin_client, week, poster="own") == {"poster_upload": MISSING}
    assert week.poster == "circle"


def test_a_file_that_is_no_picture_is_refused_and_nothing_else_is_lost(admin_client, week):
    file = SimpleUploadedFile("photo.svg", b"<svg/>", "image/svg+xml")
    fields = form_of(admin_client, path(week)) | {"host": "New host", "poster_upload": file}
    answer = admin_client.post(path(week), fields)
    assert answer.context["adminform"].form.errors == {
        "poster_upload": ["We can't read this file. Choose a picture: JPEG, PNG or WebP."]
    }
    assert 'value="New host"' in answer.content.decode()
    week.refresh_from_db()
    assert (week.host, week.poster) == ("Drop LWOP Coalition", "bars")
    assert not StoredImage.objects.exists()


def test_people_who_may_only_look_see_the_picture(admin_client, client, django_user_model, week):
    save(admin_client, week, poster_upload=photo())
    helper = django_user_model.objects.create_user("helen", password="correct", is_staff=True)
    helper.user_permissions.add(Permission.objects.get(codename="view_event"))
    client.force_login(helper)
    page = client.get(path(week)).content.decode()
    assert f'src="/images/{week.poster_phone_id}.webp"' in page
    assert 'name="poster_upload"' not in page
