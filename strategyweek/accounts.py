"""How django-allauth behaves here: it signs organizers in, and nobody signs up."""

import logging
from typing import Any

from allauth.account.adapter import DefaultAccountAdapter
from django.http import HttpRequest
from kombu.exceptions import KombuError

from .tasks import send_account_mail

logger = logging.getLogger(__name__)


class AccountAdapter(DefaultAccountAdapter):
    def is_open_for_signup(self, request: HttpRequest) -> bool:
        return False

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Leave the mail to a worker: the page answers alike whether there is one to send."""
        message = self.render_mail(template_prefix, email, context)
        try:
            send_account_mail.apply_async((message.subject, message.body, email), retry=False)
        except (KombuError, OSError) as error:
            logger.warning("The broker took no account mail; it must be asked for again: %s", error)
