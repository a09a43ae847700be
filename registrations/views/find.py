"""For people without their link: have it emailed again, or sign in to see all their weeks."""

from allauth.account.models import EmailAddress
from django.contrib.auth.decorators import login_required
from django.db.models import F, Max, Min
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from events import language_choice
from events.models import Event
from registrations import signup
from registrations.forms import FindForm, forget_errors
from registrations.models import Registration, email_key_or_blank
from registrations.models.registration import PEOPLE_PER_MAILBOX
from registrations.outbox import mailbox_limit
from registrations.views import rate_limit


@require_http_methods(["GET", "HEAD", "POST"])
@language_choice.with_form_switch
def find(request: HttpRequest, event_slug: str) -> HttpResponse:
    """The answer is the same for every address: only its owner may learn if it's registered."""
    event = get_object_or_404(Event.objects.published(), slug=event_slug)
    form = FindForm(request.POST if request.method == "POST" else None)
    is_request = form.is_bound and not language_choice.switched_to(request)
    if not is_request:
        forget_errors(form)
    is_rate_limited = is_request and rate_limit.is_rate_limited(request, "find")
    is_sent = is_request and not is_rate_limited and form.is_valid()
    # As many as it could be, because how many are registered there is only for its owner to know.
    most = PEOPLE_PER_MAILBOX
    if is_sent and mailbox_limit.allow(form.cleaned_data["email"], emails=most):
        signup.resend_lost_links(event=event, email=form.cleaned_data["email"])
    context = {"event": event, "form": form, "is_sent": is_sent, "is_rate_limited": is_rate_limited}
    status = 429 if is_rate_limited else 200
    response = render(request, "registrations/find.html", context, status=status)
    response["Cache-Control"] = "no-store"
    response["Referrer-Policy"] = "no-referrer"
    response["X-Robots-Tag"] = "noindex"
    return response


@require_safe
@login_required(login_url="account_request_login_code")
def my_weeks(request: HttpRequest) -> HttpResponse:
    """Registrations under the user's verified addresses: the current or next week first."""
    verified = EmailAddress.objects.filter(user=request.user.pk, verified=True).order_by("pk")
    addresses = list(verified.values_list("email", flat=True))
    registrations = Registration.objects.active().filter(
        email_key__in={*map(email_key_or_blank, addresses)} - {""},
        event__status=Event.Status.PUBLISHED,
    )
    weeks = registrations.exclude(approval=Registration.Approval.DECLINED).select_related("event")
    weeks = weeks.annotate(
        begins_at=Min("event__sessions__starts_at"), ends_at=Max("event__sessions__ends_at")
    )
    newest_first = list(weeks.order_by(F("begins_at").desc(nulls_last=True), "-pk"))
    ahead = [week for week in newest_first if week.ends_at and week.ends_at >= timezone.now()]
    others = [week for week in newest_first if week not in ahead]
    context = {"addresses": addresses, "weeks": [*reversed(ahead), *others]}
    return render(request, "registrations/my_weeks.html", context)
