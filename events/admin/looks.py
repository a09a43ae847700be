"""How an event's form shows its posters and colors."""

from typing import Any

from django.contrib.admin.widgets import AdminRadioSelect
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from events.images.fields import ImageField, ImagesForm
from events.images.processing import Size
from events.models import Event

# A phone's is part of what a visitor loads first: all of that is to stay within 50 kilobytes.
POSTER_SIZES = {
    "poster_wide": Size(1600, 1600, max_bytes=140_000),
    "poster_phone": Size(800, 400, max_bytes=14_000, crop=True),
}


class PosterSelect(AdminRadioSelect):
    option_template_name = "admin/widgets/poster_option.html"

    def create_option(self, name: str, value: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        drawing = f"events/posters/{value}.svg"
        return {**super().create_option(name, value, *args, **kwargs), "drawing": drawing}


class ColorsSelect(AdminRadioSelect):
    option_template_name = "admin/widgets/colors_option.html"


class LookForm(ImagesForm):
    """The part of an event's form about its poster and colors. A new picture becomes the poster."""

    poster_upload = ImageField(
        sizes=POSTER_SIZES,
        label=gettext_lazy("Your own picture"),
        help_text=gettext_lazy(
            "A photo or a drawing. Leave out words: they'd be cut off on some screens. If you "
            "choose one, it becomes the poster. We make it smaller and remove hidden details, such "
            "as where a photo was taken."
        ),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # People who may only view the event get a form without these.
        if "poster" in self.fields:
            self.fields["poster"].widget = PosterSelect(choices=Event.Poster.choices)
            self.fields["colors"].widget = ColorsSelect(choices=Event.Colors.choices)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or self.cleaned_data
        if "poster_upload" not in cleaned:
            return cleaned
        uploaded = cleaned["poster_upload"].get("poster_phone")
        if uploaded and "poster" not in self.changed_data:
            cleaned["poster"] = Event.Poster.OWN
        is_removed = bool(cleaned["poster_upload"]) and not uploaded
        has_one = uploaded or (self.instance.poster_phone_id and not is_removed)
        if cleaned.get("poster") == Event.Poster.OWN and not has_one:
            text = _("Choose a picture here, or another poster above.")
            self.add_error("poster_upload", ValidationError(text))
        return cleaned
