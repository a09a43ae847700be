"""All the weeks a person is registered for, if they like to sign in. Nobody has to."""

from allauth.account.models import EmailAddress
from django.contrib.auth.decorators import login_required
from django.db.models import F, Min
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from events.models import Event
from registrations.models import Registration, email_key_or_blank


@require_safe
@login_required(login_url="account_request_login_code")
def my_weeks(request: HttpRequest) -> HttpResponse:
    """Registrations under the user's verified addresses, the newest week first."""
    verified = EmailAddress.objects.filter(user=request.user.pk, verified=True).order_by("pk")
    addresses = list(verified.values_list("email", flat=True))
    registrations = Registration.objects.active().filter(
        email_key__in={*map(email_key_or_blank, addresses)} - {""},
        event__status=Event.Status.PUBLISHED,
    )
    weeks = registrations.exclude(approval=Registration.Approval.DECLINED).select_related("event")
    weeks = weeks.annotate(begins_at=Min("event__sessions__starts_at"))
    weeks = weeks.order_by(F("begins_at").desc(nulls_last=True), "-pk")
    context = {"addresses": addresses, "weeks": weeks}
    return render(request, "registrations/my_weeks.html", context)
