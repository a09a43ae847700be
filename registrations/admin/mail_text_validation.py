"""What organizers may write into a mail."""

from django.core.exceptions import ValidationError
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from registrations.mail import default_texts, markdown
from registrations.mail.default_texts import PLACEHOLDERS
from registrations.mail.merge import NAME
from registrations.mail_kinds import MailKind


def validate_line(text: str) -> None:
    """Refuse line breaks, which no header has."""
    if len(text.splitlines()) > 1:
        raise ValidationError("Write the subject on one line.")


def validate_text(text: str, kind: str) -> None:
    """Refuse unknown placeholders, and the sign that our own stand-ins are made of."""
    if NAME[0] in text:
        raise ValidationError("There is an invisible character in this text. Type it anew.")
    default_texts.validate_placeholders(text, kind)


def validate_markdown(text: str) -> None:
    """Refuse what would not arrive as it was meant."""
    if words := markdown.problems(text):
        raise ValidationError(words)


def placeholders(kind: MailKind) -> SafeString:
    """What may stand in braces in this kind of mail, with its meaning."""
    rows = [(f"{{{name}}}", PLACEHOLDERS[name]) for name in kind.spec.placeholders]
    return format_html(
        '<ul class="placeholders">{}</ul>',
        format_html_join("", "<li><code>{}</code> {}</li>", rows),
    )
