"""Which texts of an event are in one language, but not yet in another."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.db.models import Model, prefetch_related_objects
from django.urls import reverse
from django.utils.text import get_text_list
from django.utils.translation import gettext as _

from events import languages
from events.admin.shared import counted, text_fields
from events.models import Event, Session


class Place(NamedTuple):
    """A row whose page in the admin has texts to add, and which ones they are."""

    row: Model
    fields: str

    @property
    def url(self) -> str:
        meta = self.row._meta
        return reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[self.row.pk])


class Missing(NamedTuple):
    """The texts that lack a language: "3 texts aren't in Spanish yet:", and where to add them."""

    text: str
    places: list[Place]
    language: str


class _Text(NamedTuple):
    """A text of a row's page, and the languages that it's written in."""

    row: Model
    label: str
    languages: list[str]


def missing_texts(event: Event, sessions: Iterable[Session]) -> Iterator[Missing]:
    """What lacks each language, if any of the event's texts has been translated into it.

    Not the names of speakers: a person's is the same in each language.
    """
    texts = [each for each in _texts(event, list(sessions)) if each.languages]
    for code in languages.codes():
        if not any(code in each.languages and len(each.languages) > 1 for each in texts):
            continue
        labels: dict[Model, list[str]] = {}
        for each in texts:
            if code not in each.languages:
                labels.setdefault(each.row, []).append(each.label)
        if labels:
            yield Missing(
                counted(
                    sum(map(len, labels.values())),
                    "%(count)s text isn't in %(language)s yet:",
                    "%(count)s texts aren't in %(language)s yet:",
                    language=languages.names([code]),
                ),
                [
                    Place(row, get_text_list([*dict.fromkeys(found)], _("and")))
                    for row, found in labels.items()
                ],
                languages.names([code]),
            )


def _texts(event: Event, sessions: list[Session]) -> Iterator[_Text]:
    yield from _texts_of(event)
    for track in event.tracks.all():
        yield from _texts_of(track, on=event, label=event.tracks_label())
    prefetch_related_objects(sessions, "agenda")
    for session in sessions:
        yield from _texts_of(session)
        for item in session.agenda.all():
            yield from _texts_of(item, on=session)
    for row in (*event.questions.filter(is_asked=True), *event.mail_texts.all()):
        yield from _texts_of(row)


def _texts_of(row: Any, *, on: Model | None = None, label: str = "") -> Iterator[_Text]:
    """The row's texts. They may be on another row's page, under the name of these rows."""
    for name in text_fields(type(row)):
        field_label = row._meta.get_field(name).verbose_name
        shown = label or (row._meta.verbose_name_plural if on else field_label)
        written = [code for code, _text in languages.written(row, name)]
        yield _Text(on or row, str(shown), written)
