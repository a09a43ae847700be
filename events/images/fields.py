"""Uploading pictures in the admin."""

import io
from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.html import format_html

from events.images import storage
from events.images.processing import ACCEPT, ProcessedImage, Size, reencode, too_large
from events.models.image import image_url


class CurrentImage:
    """What a field shows before anyone chooses a file."""

    def __init__(self, key: str) -> None:
        self.url = image_url(key)

    def __str__(self) -> str:
        return self.url


class ImageInput(forms.ClearableFileInput):
    """A file input with the current picture, and a checkbox to remove it."""

    template_name = "admin/widgets/image_input.html"

    def __init__(self) -> None:
        super().__init__({"accept": ACCEPT})


class ImageField(forms.FileField):
    """A picture for foreign keys to StoredImage, each in its size.

    Its cleaned value is what `storage.replace_images()` takes: nothing if no one chose a file, and
    None for each key to remove the picture.
    """

    widget = ImageInput

    def __init__(self, *, sizes: Mapping[str, Size], **kwargs: Any) -> None:
        super().__init__(required=False, **kwargs)
        self.sizes = sizes

    def to_python(self, data: Any) -> Any:
        file = super().to_python(data)
        if file is None:
            return None
        # The upload handler has left out the end.
        file.seek(0)
        content = file.read()
        if len(content) < file.size:
            raise too_large()
        images = reencode(io.BytesIO(content), [*self.sizes.values()])
        return dict(zip(self.sizes, images, strict=True))

    def clean(self, data: Any, initial: Any = None) -> dict[str, ProcessedImage | None]:
        cleaned = super().clean(data, initial)
        if cleaned is False:
            return dict.fromkeys(self.sizes)
        return cleaned if isinstance(cleaned, dict) else {}


class ImagesForm(forms.ModelForm):
    """A form with image fields. Call `save_images()` once its row is saved."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self._image_fields().items():
            key = getattr(self.instance, f"{next(iter(field.sizes))}_id")
            if key:
                self.initial[name] = CurrentImage(key)

    def save_images(self) -> None:
        images: dict[str, ProcessedImage | None] = {}
        for name in self._image_fields():
            images |= self.cleaned_data[name]
        if images:
            storage.replace_images(owner=self.instance, images=images)

    def _image_fields(self) -> dict[str, ImageField]:
        return {name: each for name, each in self.fields.items() if isinstance(each, ImageField)}


def picture(key: str | None) -> str:
    """The picture for people who may only look at the page."""
    return format_html('<img class="stored-image" src="{}" alt="">', image_url(key)) if key else "-"
