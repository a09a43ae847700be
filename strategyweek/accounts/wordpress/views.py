from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.providers.oauth2.client import OAuth2Error
from allauth.socialaccount.providers.oauth2.views import (
    OAuth2Adapter,
    OAuth2CallbackView,
    OAuth2LoginView,
)
from django.http import HttpRequest

from events.text import parsing

API = "https://public-api.wordpress.com"


class WordPressAdapter(OAuth2Adapter):
    provider_id = "wordpress"
    authorize_url = f"{API}/oauth2/authorize"
    access_token_url = f"{API}/oauth2/token"
    profile_url = f"{API}/rest/v1.1/me"

    def complete_login(self, request: HttpRequest, app: Any, token: Any, **kwargs: Any) -> Any:
        headers = {"Authorization": f"Bearer {token.token}"}
        fields = {"fields": "ID,email,email_verified"}
        with get_adapter().get_requests_session() as session:
            response = session.get(self.profile_url, params=fields, headers=headers)
        person = parsing.mapping(response.json() if response.ok else {})
        if not parsing.text(person.get("ID")):
            raise OAuth2Error(f"WordPress.com sent no profile (status {response.status_code}).")
        return self.get_provider().sociallogin_from_response(request, person)


oauth2_login = OAuth2LoginView.adapter_view(WordPressAdapter)
oauth2_callback = OAuth2CallbackView.adapter_view(WordPressAdapter)
