"""An uploaded picture is stored, shown, replaced and deleted with what shows it."""

import io

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image

from events.images.fields import ImageField, ImagesForm
from events.images.processing import MAX_UPLOAD_BYTES, Size
from events.models import Event, StoredImage
from events.tasks import delete_unused_images
from strategyweek.uploads import OrganizersUploads
from tests.events.images.pictures import picture

pytestmark = pytest.mark.django_db


class PosterForm(ImagesForm):
    file = ImageField(
        sizes={"poster_wide": Size(300, 300, 9000), "poster_phone": Size(90, 90, 900)}
    )

    class Meta:
        model = Event
        fields: list[str] = []


def upload(event, **posted):
    files = {"file": posted.pop("file")} if "file" in posted else {}
    form = PosterForm(posted, files, instance=Event.objects.get(pk=event.pk))
    assert form.errors == {}
    form.save()
    form.save_images()
    event.refresh_from_db()


def file(**options):
    return SimpleUploadedFile("me.jpg", picture(**options).getvalue(), "image/jpeg")


def sizes():
    return sorted((each.width, each.height) for each in StoredImage.objects.all())


def test_an_upload_is_stored_in_each_size_and_replaced(week):
    upload(week, file=file())
    assert sizes() == [(90, 68), (300, 225)]
    before = week.poster_wide_id
    upload(week, file=file(height=400))
    assert sizes() == [(90, 90), (300, 300)]
    assert week.poster_wide_id != before
    upload(week)
    assert sizes() == [(90, 90), (300, 300)]
    upload(week, **{"file-clear": "on"})
    assert (sizes(), week.poster_wide_id, week.poster_phone_id) == ([], None, None)


def test_a_form_shows_the_current_picture_and_a_way_to_remove_it(week):
    assert "<img" not in str(PosterForm(instance=week)["file"])
    upload(week, file=file())
    html = str(PosterForm(instance=week)["file"])
    assert f'src="/images/{week.poster_wide_id}.webp"' in html
    assert 'name="file-clear"' in html


def test_pictures_of_a_deleted_row_are_deleted(week):
    other = Event.objects.create(name="Other", slug="other", host="Us")
    upload(week, file=file())
    upload(other, file=file())
    other.delete()
    delete_unused_images()
    assert {*StoredImage.objects.values_list("key", flat=True)} == {
        week.poster_wide_id,
        week.poster_phone_id,
    }


def test_a_picture_is_served_and_kept_by_browsers(client, week):
    upload(week, file=file())
    response = client.get(week.poster_wide.get_absolute_url())
    assert Image.open(io.BytesIO(response.content)).size == (300, 225)
    assert response["Content-Type"] == "image/webp"
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Cache-Control"] == "public, immutable, max-age=2592000"


def test_an_unknown_picture_is_not_found(client):
    assert client.get("/images/nothing.webp").status_code == 404


def posted_files(rf, user, path, *contents):
    files = {f"file{n}": SimpleUploadedFile("a.jpg", each) for n, each in enumerate(contents)}
    request = rf.post(path, {"name": "Ana", **files})
    request.user = user
    request.upload_handlers = [OrganizersUploads(request)]
    assert request.POST["name"] == "Ana"
    return {name: (each.size, len(each.read())) for name, each in request.FILES.items()}


def test_uploads_are_kept_for_organizers_in_the_admin_only(rf, admin_user, django_user_model):
    visitor = django_user_model.objects.create_user("ana")
    assert posted_files(rf, admin_user, "/admin/events/", b"photo") == {"file0": (5, 5)}
    assert posted_files(rf, admin_user, "/drop-lwop/register/", b"photo") == {}
    assert posted_files(rf, visitor, "/admin/events/", b"photo") == {}


def test_large_uploads_are_kept_in_part(rf, admin_user):
    large = bytes(MAX_UPLOAD_BYTES + 5)
    assert posted_files(rf, admin_user, "/admin/", large, large, large, large) == {
        "file0": (len(large), MAX_UPLOAD_BYTES),
        "file1": (len(large), MAX_UPLOAD_BYTES),
        "file2": (len(large), MAX_UPLOAD_BYTES),
        "file3": (len(large), 0),
    }


def test_an_upload_that_arrived_in_part_is_refused_in_words(rf, admin_user, week):
    request = rf.post("/admin/", {"file": SimpleUploadedFile("a.jpg", bytes(MAX_UPLOAD_BYTES + 5))})
    request.user = admin_user
    request.upload_handlers = [OrganizersUploads(request)]
    form = PosterForm(request.POST, request.FILES, instance=week)
    assert form.errors == {
        "file": ["This file is too large. Choose pictures of up to 10.0\xa0MB, a few at a time."]
    }
