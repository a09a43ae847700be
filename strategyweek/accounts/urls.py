"""The pages of django-allauth that this site uses."""

from allauth.account import views
from allauth.socialaccount.providers import registry
from allauth.socialaccount.providers.oauth2.urls import default_urlpatterns
from allauth.socialaccount.views import login_cancelled, login_error, signup
from csp.decorators import csp_update
from django.conf import settings
from django.urls import path, re_path
from django.views.generic import RedirectView, TemplateView

from strategyweek.accounts.adapters import require_existing_account

allow_sign_in_buttons = csp_update({"form-action": settings.SIGN_IN_ORIGINS})
request_code = allow_sign_in_buttons(views.request_login_code)
confirm_code = require_existing_account(views.confirm_login_code)
verify_email = require_existing_account(views.email_verification_sent)
signed_out = TemplateView.as_view(template_name="account/signed_out.html")
# allauth redirects to its own account pages, which this site does not have.
my_weeks = RedirectView.as_view(pattern_name="my_weeks")

urlpatterns = [
    path("login/", views.login, name="account_login"),
    path("login/code/", request_code, name="account_request_login_code"),
    path("login/code/confirm/", confirm_code, name="account_confirm_login_code"),
    path("confirm-email/", verify_email, name="account_email_verification_sent"),
    path("logout/", views.logout, name="account_logout"),
    path("signed-out/", signed_out, name="account_signed_out"),
    path("inactive/", views.account_inactive, name="account_inactive"),
    path("password/reset/", views.password_reset, name="account_reset_password"),
    path("password/reset/done/", views.password_reset_done, name="account_reset_password_done"),
    path(
        "password/reset/key/done/",
        views.password_reset_from_key_done,
        name="account_reset_password_from_key_done",
    ),
    re_path(
        r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        views.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("email/", my_weeks, name="account_email"),
]

if settings.SOCIALACCOUNT_PROVIDERS:
    urlpatterns += [
        path("elsewhere/canceled/", login_cancelled, name="socialaccount_login_cancelled"),
        path("elsewhere/error/", login_error, name="socialaccount_login_error"),
        path("elsewhere/signup/", signup, name="socialaccount_signup"),
        path("elsewhere/", my_weeks, name="socialaccount_connections"),
        *(url for each in registry.get_class_list() for url in default_urlpatterns(each)),
    ]
