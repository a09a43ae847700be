"""Pictures that organizers upload."""

import secrets

from django.db import models
from django.urls import reverse


def random_key() -> str:
    return secrets.token_hex(16)


class ImageQuerySet(models.QuerySet["StoredImage"]):
    def unused(self) -> "ImageQuerySet":
        """Those that no row of another model shows."""
        relations = StoredImage._meta.related_objects
        return self.filter(**{f"{each.name}__isnull": True for each in relations})


class StoredImage(models.Model):
    """A small picture, as events.images made it of an uploaded file.

    It's in the database, which all processes share and which is backed up. A row that shows it has
    a foreign key with `on_delete=PROTECT`, of its own: each upload is another image. The key is
    all that its address needs, so that pages don't load it. It's random: no one finds the pictures
    of a draft.
    """

    key = models.CharField(max_length=32, primary_key=True, default=random_key)
    content = models.BinaryField()
    width = models.PositiveSmallIntegerField()
    height = models.PositiveSmallIntegerField()

    objects = ImageQuerySet.as_manager()

    def __str__(self) -> str:
        return self.key

    def get_absolute_url(self) -> str:
        return image_url(self.key)


def image_url(key: str) -> str:
    """The address of an image, such as of `event.poster_wide_id`, without loading it."""
    return reverse("image", args=[key])
