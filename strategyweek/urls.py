from allauth.account.decorators import secure_admin_login
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount, SocialApp, SocialToken
from anymail import urls as anymail_urls
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.urls import URLPattern, include, path

from strategyweek import dev_mailbox
from strategyweek.accounts import admin as account_admin  # noqa: F401
from strategyweek.accounts import urls as account_urls

# Organizers do not need allauth's lists. The keys of other sites come from the environment.
admin.site.unregister([EmailAddress, SocialAccount, SocialApp, SocialToken])
admin.site.site_header = admin.site.site_title = "Strategy Week"
admin.site.index_title = "For organizers"
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
    """The URL where this email provider reports bounces. anymail checks the secret.

    The views of others would raise errors for lack of their settings.
    """
    paths = {f"{provider}/tracking/", f"{provider}/"}
    return [each for each in anymail_urls.urlpatterns if str(each.pattern) in paths]


if "WEBHOOK_SECRET" in settings.ANYMAIL:
    provider = settings.EMAIL_URL.removeprefix("anymail://").strip("/")
    urlpatterns.insert(0, path("webhooks/mail/", include((bounce_urls(provider), "anymail"))))

if settings.DEBUG:
    urlpatterns.insert(0, path("mailbox/", include(dev_mailbox.urlpatterns)))
