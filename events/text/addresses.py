"""Email addresses in the ASCII form that they are compared in and delivered to."""

import idna
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _


def ascii_address(email: str) -> str:
    """The address with its domain as the DNS knows it. Raises UnicodeError if it has none.

    IDNA 2008 with UTS 46, nontransitional: faß.de is not fass.de. Python's own codec (IDNA 2003)
    takes them for the same, so mail would go to a stranger.
    """
    if email.isascii():
        return email
    local, _at, domain = email.rpartition("@")
    return f"{local}@{idna.encode(domain, uts46=True).decode()}"


def validate_deliverable(email: str) -> None:
    if not email.rpartition("@")[0].isascii():
        raise ValidationError(_("Use only letters without accents before the @."))
    try:
        ascii_address(email)
    except UnicodeError as error:
        raise ValidationError(_("Check the part after the @.")) from error
