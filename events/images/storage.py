"""Stores pictures, and deletes those that nothing shows any more."""

from django.db import models, transaction

from events.images.processing import ProcessedImage
from events.models import StoredImage


def store(image: ProcessedImage) -> StoredImage:
    return StoredImage.objects.create(content=image.content, width=image.width, height=image.height)


@transaction.atomic
def replace_images(*, owner: models.Model, images: dict[str, ProcessedImage | None]) -> None:
    """Let these foreign keys of a row show new pictures, or none. Saves the row and these fields.

    What it showed before is deleted.
    """
    for field, image in images.items():
        setattr(owner, field, store(image) if image else None)
    owner.save(update_fields=list(images))
    delete_unused_images()


def delete_unused_images() -> None:
    """Delete pictures that were replaced, and those of deleted rows."""
    StoredImage.objects.unused().delete()
