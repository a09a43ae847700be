"""Which texts of events and sessions have a column for each language; see events/languages.py.

Addresses, links and a host's name don't: they are the same for everyone. A field's own column, such
as `title`, isn't used: it depends on the language of the last save.
"""

from modeltranslation.translator import TranslationOptions, register

from events.models import AgendaItem, Event, Revision, Session, Speaker, Track


class Texts(TranslationOptions):
    # What isn't written is NULL, also if it comes from a form: unique constraints ignore it.
    empty_values = None


@register(Event)
class EventTexts(Texts):
    fields = (
        *("name", "summary", "introduction", "recording_note"),
        *("name_of_kickoff", "name_of_strategy", "name_of_closing"),
        *("word_for_track", "word_for_tracks"),
    )


@register(Track)
class TrackTexts(Texts):
    fields = ("name", "description")


# For groups, such as "Families of people serving LWOP". A person's name is written once.
@register(Speaker)
class SpeakerTexts(Texts):
    fields = ("name", "affiliation", "about")


@register(Session)
class SessionTexts(Texts):
    fields = ("title", "short_title", "summary", "cancel_reason")


# The rest of a revision is only compared.
@register(Revision)
class RevisionTexts(Texts):
    fields = ("title",)


@register(AgendaItem)
class AgendaItemTexts(Texts):
    fields = ("title", "description")
