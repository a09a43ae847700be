"""The page that the link in a test email opens: its button says that the email arrived."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods

from registrations.mail import test_emails
from registrations.models import TestEmail


@require_http_methods(["GET", "HEAD", "POST"])
def confirm(request: HttpRequest, test_token: str) -> HttpResponse:
    """Without signing in: the email may be read on another device than it was sent from.

    Only the button confirms it, because email scanners open links, too.
    """
    test = get_object_or_404(TestEmail, token=test_token)
    if request.method == "POST":
        test_emails.confirm_arrival(test=test)
        return redirect(request.get_full_path())
    return render(request, "registrations/test_email.html", {"test": test})
