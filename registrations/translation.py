"""Which texts for participants have a column for each language; see events/languages.py."""

from modeltranslation.translator import TranslationOptions, register

from registrations.models import Announcement, MailText, Question


class Texts(TranslationOptions):
    # What isn't written is NULL, also if it comes from a form.
    empty_values = None


@register(Question)
class QuestionTexts(Texts):
    fields = ("text", "help_text", "choices")


@register(Announcement)
class AnnouncementTexts(Texts):
    fields = ("subject", "body")


@register(MailText)
class MailTextTexts(Texts):
    fields = ("subject", "opening")
