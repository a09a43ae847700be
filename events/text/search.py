"""Search without accents: "muller" finds Müller, and "müller" finds Muller."""

import unicodedata
from typing import Any

from anyascii import anyascii
from django.contrib.postgres.indexes import GinIndex
from django.db import models

# More than a name and an address need. The rest of a longer search is ignored.
LONGEST_SEARCH, MOST_WORDS = 300, 10


def search_key(text: str) -> str:
    """The form in which texts are searched: no case and no accents, in plain Latin letters.

    Other scripts keep their own letters: in Latin ones, 李 would find Alice. Each character is
    replaced for itself, so the key of a part is in the key of the whole text. It's also why a long
    run of combining marks, which is slow to normalize, takes no longer than other characters.
    """
    return (text if text.isascii() else "".join(map(_plain, text))).casefold()


def _plain(character: str) -> str:
    is_latin = unicodedata.name(character, "").startswith(("LATIN", "MODIFIER LETTER"))
    if is_latin or unicodedata.category(character)[0] not in "LM":
        return anyascii(character)
    letters = unicodedata.normalize("NFKD", character)
    return "".join(letter for letter in letters if not unicodedata.combining(letter))


def typed_words(search: str) -> list[str]:
    """What someone searches for: rows that have each of these words, in any order."""
    return search[:LONGEST_SEARCH].split()[:MOST_WORDS]


class SearchKeyField(models.TextField):
    """The `search_key` of other fields of the row: `SearchKeyField("name", "email")`.

    Models with such a field are `Searchable`. SQLite has no index for parts of words: there, a
    search reads all keys, which are short.
    """

    def __init__(self, *sources: str, **options: Any) -> None:
        self.sources = sources
        super().__init__(**{**options, "editable": False, "blank": True})

    def deconstruct(self) -> Any:
        name, path, _sources, options = super().deconstruct()
        return name, path, self.sources, options

    def key_of(self, text: str) -> str:
        return search_key(text)

    def pre_save(self, model_instance: models.Model, add: bool) -> str:
        key = self.key_of(" ".join(getattr(model_instance, source) for source in self.sources))
        setattr(model_instance, self.attname, key)
        return key


class Searchable(models.Model):
    """Keeps search keys up to date in `save` and `bulk_create`. Queries that `update` can't."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **options: Any) -> None:
        """Save search keys along with the fields that they are made of."""
        if changed := options.get("update_fields"):
            keys = [each for each in self._meta.fields if isinstance(each, SearchKeyField)]
            stale = {key.name for key in keys if not {*changed}.isdisjoint(key.sources)}
            options["update_fields"] = {*changed, *stale}
        super().save(*args, **options)


def search_index(name: str, *keys: str) -> GinIndex:
    """An index for parts of words. It needs PostgreSQL's extension pg_trgm."""
    return GinIndex(name=name, fields=keys, opclasses=["gin_trgm_ops"] * len(keys))
