"""Sign-in with WordPress.com, which django-allauth does not support.

See https://developer.wordpress.com/docs/wpcc/ ("WordPress.com Connect").
"""

from typing import Any

from allauth.socialaccount.providers.base import ProviderAccount
from allauth.socialaccount.providers.oauth2.provider import OAuth2Provider

from events.text import parsing
from strategyweek.accounts.wordpress.views import WordPressAdapter


class WordPressProvider(OAuth2Provider):
    id = "wordpress"
    name = "WordPress.com"
    account_class = ProviderAccount
    oauth2_adapter_class = WordPressAdapter

    def get_default_scope(self) -> list[str]:
        """Only the person's identity, no access to their sites."""
        return ["auth"]

    def extract_uid(self, data: dict[str, Any]) -> str:
        return str(data["ID"])

    def extract_common_fields(self, data: dict[str, Any]) -> dict[str, Any]:
        verified = data.get("email_verified") is True
        return {"email": parsing.text(data.get("email")), "email_verified": verified}


provider_classes = [WordPressProvider]
