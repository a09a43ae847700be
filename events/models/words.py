"""What an event calls its kinds of sessions and its strategies, if not as we do."""

from typing import TYPE_CHECKING, Any

from django.db import models
from django.db.models import Q
from django.utils.safestring import SafeString
from django.utils.text import capfirst
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from events import languages

if TYPE_CHECKING:
    from events.models.session import Session


class EventWords:
    """An event's own words. Where it has none, pages have our texts."""

    # Texts in each language: the model's fields.
    word_for_track: Any
    word_for_tracks: Any

    def kind_name(self, kind: "Session.Kind") -> str:
        return getattr(self, kind_field(kind)) or str(kind.label)

    @property
    def renames_tracks(self) -> bool:
        return bool(self.word_for_tracks)

    def worded(self, usual: str, own: str) -> str:
        """`usual` or, in the event's own words, `own` with its %(word)s and %(words)s."""
        if not self.renames_tracks:
            return usual
        return own % {"word": self.word_for_track, "words": self.word_for_tracks}

    def worded_html(self, usual: str, own: str, **values: str) -> SafeString:
        """The same as HTML, with more values, and marked if the words are in another language."""
        words = {
            "word": languages.marked(self, "word_for_track"),
            "words": languages.marked(self, "word_for_tracks"),
        }
        return languages.filled(own if self.renames_tracks else usual, **words, **values)

    def wrong_event_text(self) -> str:
        """Of a strategy that isn't one of this event's."""
        return self.worded(
            gettext("This strategy belongs to another event."),
            gettext("This one belongs to another event."),
        )

    def track_label(self) -> str:
        """For a field or a heading of an organizer's page."""
        return self.worded(gettext("strategy"), "%(word)s")

    def interests_label(self) -> str:
        """For the strategies someone is interested in."""
        text = self.worded(gettext("strategies of interest"), gettext("%(words)s of interest"))
        return capfirst(text)

    def tracks_label(self) -> str:
        return self.worded(gettext("strategies"), "%(words)s")


def kind_field(kind: "Session.Kind") -> str:
    """The event's field with the name of this kind."""
    return f"name_of_{kind.value}"


def both_words_or_none() -> list[models.CheckConstraint]:
    """Constraints: a language has the word for one strategy and for several, or neither."""
    pairs = zip(
        languages.codes(),
        languages.columns("word_for_track"),
        languages.columns("word_for_tracks"),
        strict=True,
    )
    return [
        models.CheckConstraint(
            name=f"event_has_both_words_for_strategies_{code}",
            condition=Q(**{f"{one}__isnull": True, f"{several}__isnull": True})
            | Q(**{f"{one}__isnull": False, f"{several}__isnull": False}),
            violation_error_message=_("Write the word for one and for several."),
        )
        for code, one, several in pairs
    ]
