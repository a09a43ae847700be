import functools
from collections.abc import Callable
from typing import Any

from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from anymail import urls as anymail_urls
from anymail.utils import get_request_basic_auth
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, include, path
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext_lazy as _

from strategyweek import dev_mailbox
from strategyweek.accounts import admin as account_admin  # noqa: F401
from strategyweek.accounts import urls as account_urls

# Organizers do not need allauth's lists. The keys of other sites come from the environment.
admin.site.unregister([EmailAddress, SocialAccount, SocialApp, SocialToken])
admin.site.site_header = admin.site.site_title = _("Strategy Week")
admin.site.index_title = _("For organizers")
# allauth's sign-in page, which has rate limits.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]


def has_permission(request: HttpRequest) -> bool:
    """Requires a password: someone may have signed in by a code before becoming an organizer."""
    user: User = request.user  # type: ignore[assignment]
    return user.is_active and user.is_staff and user.has_usable_password()


admin.site.has_permission = has_permission  # type: ignore[method-assign]

urlpatterns = [
    path("admin/", admin.site.urls),
    path("accounts/", include(account_urls)),
    path("", include("registrations.urls")),
    path("", include("events.urls")),
]

handler400 = "strategyweek.error_pages.bad_request"
handler403 = "strategyweek.error_pages.permission_denied"
handler404 = "strategyweek.error_pages.page_not_found"


def bounce_urls(provider: str) -> list[URLPattern]:
    """The URL where this email provider reports bounces.

    The views of others would raise errors for lack of their settings.
    """
    urls = {str(each.pattern): each.callback for each in anymail_urls.urlpatterns}
    paths = (f"{provider}/tracking/", f"{provider}/")
    return [path(each, with_secret(urls[each])) for each in paths if each in urls]


def with_secret(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Check the secret first: some of anymail's views parse the body, and may fail, before."""

    @functools.wraps(view)
    def wrapped(request: HttpRequest, **kwargs: Any) -> HttpResponse:
        given = get_request_basic_auth(request) or ""
        if request.method == "POST" and not constant_time_compare(
            given, settings.ANYMAIL["WEBHOOK_SECRET"]
        ):
            raise SuspiciousOperation("An email provider's report has a wrong secret.")
        return view(request, **kwargs)

    return wrapped


if "WEBHOOK_SECRET" in settings.ANYMAIL:
    provider = settings.EMAIL_URL.removeprefix("anymail://").strip("/")
    urlpatterns.insert(0, path("webhooks/mail/", include((bounce_urls(provider), "anymail"))))

if settings.DEBUG:
    urlpatterns.insert(0, path("mailbox/", include(dev_mailbox.urlpatterns)))
