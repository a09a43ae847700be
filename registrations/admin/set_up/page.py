"""The page “Set up”: what a new site needs until its first week is published, step by step."""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.conf import settings
from django.contrib import admin, messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import URLPattern, reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters

from events import site_settings
from events.admin.links import change_url, list_url
from events.admin.shared import default_event
from events.languages import in_main_language
from events.models import Event, SiteSettings, ZoomAccount
from events.zoom import client as zoom_client
from events.zoom import scopes, sync
from registrations.admin.publishing import send_test
from registrations.admin.set_up.forms import SenderForm, ServerForm, SetUpForm, ZoomForm
from registrations.admin.shared import ChangeOnlyAdmin, admin_path, log_action, page_response
from registrations.mail import test_emails
from registrations.outbox import mail_queue
from registrations.outbox.connection import problem_with

FORMS: dict[str, type[SetUpForm]] = {"server": ServerForm, "sender": SenderForm, "zoom": ZoomForm}
Forms = dict[str, SetUpForm]


class Step(NamedTuple):
    """A step: its title, whether it's done, and what there is to say.

    It has a form, or a `button` that leads to `url`, or one of BUTTONS. A week can be published
    without a step that isn't needed.
    """

    name: str
    title: str
    is_done: bool
    text: str
    button: str = ""
    url: str = ""
    is_needed: bool = True


@admin.register(SiteSettings)
class SetUpAdmin(ChangeOnlyAdmin):
    """A single page, for superusers."""

    def get_urls(self) -> list[URLPattern]:
        return [admin_path(self, "", set_up_page, "changelist", methods=("GET", "HEAD", "POST"))]

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.is_active and request.user.is_superuser

    has_change_permission = has_view_permission

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)


@sensitive_post_parameters("password", "client_secret")
def press(request: HttpRequest) -> Forms | None:
    """Do what a button says. Returns the forms if one of them has errors."""
    do = request.POST.get("do", "")
    if do in BUTTONS:
        BUTTONS[do](request)
        return None
    if do not in FORMS or FORMS[do]().is_from_environment:
        raise BadRequest
    form = FORMS[do](request.POST)
    if not form.is_valid():
        return {name: make() for name, make in FORMS.items()} | {do: form}
    form.save()
    log(request, do)
    AFTER_SAVING[do](request)
    return None


def set_up_page(model_admin: SetUpAdmin, request: HttpRequest) -> HttpResponse:
    """Show the steps, and do what a button says."""
    site_settings.load(fresh=True)
    forms = press(request) if request.method == "POST" else None
    if request.method == "POST" and forms is None:
        return redirect(list_url(SiteSettings))
    forms = forms or {name: make() for name, make in FORMS.items()}
    shown = steps()
    wrong = next((name for name, form in forms.items() if form.errors), "")
    return page_response(
        model_admin,
        request,
        "set_up/steps.html",
        title=_("Set up your site"),
        steps=[(step, forms.get(step.name)) for step in shown],
        next=wrong or next((step.name for step in shown if not step.is_done), ""),
        has_errors=bool(wrong),
        is_unreadable=site_settings.unreadable(),
        asks_zoom=zoom_client.is_configured(),
        can_send=site_settings.can_send(),
        scopes=scopes.SCOPES,
        domain=sender_domain(),
        webhook_url=f"{settings.SITE_URL}{reverse('zoom_webhook')}",
    )


def sender_domain() -> str:
    """The domain that emails are from; "" if it's none of the internet's."""
    domain = site_settings.sender_address().rpartition("@")[2]
    return domain if "." in domain else ""


# The steps


def steps() -> list[Step]:
    return [*email_steps(), zoom_step(), *week_steps()]


def email_steps() -> list[Step]:
    sender, address = site_settings.sender(), arrived_at()
    text = _("Send one to yourself and press the link in it, so you know that emails arrive.")
    if address:
        text = _("A test arrived at %(address)s.") % {"address": address}
    return [
        server_step(bool(address)),
        Step("sender", _("Sender"), bool(sender), sender or _("Who our emails are from.")),
        Step("test", _("Test email"), bool(address), text, _("Send a test"), is_needed=False),
    ]


def server_step(has_arrived: bool) -> Step:
    server, is_done = site_settings.stored_email_server(), True
    if settings.EMAIL_URL:
        text = _("This is set on the server, so you can't change it here.")
    elif server:
        text, where = _("%(server)s, port %(port)s."), {"server": server.host, "port": server.port}
        is_done = has_arrived or bool(site_settings.load().email_answered_at)
        if not is_done:
            text = _("%(server)s, port %(port)s. It hasn't accepted a connection yet.")
        text %= where
    elif settings.EMAIL_BACKEND:
        text = _("This site is for trying out: emails only show up on the mailbox page.")
    else:
        text, is_done = _("Without it, no email goes out. Emails wait until you enter it."), False
    return Step("server", _("Email server"), is_done, text)


def arrived_at() -> str:
    """Where a test arrived since the server and the sender were last changed; "" if none did."""
    test = test_emails.latest_arrived()
    return test.address if test else ""


def zoom_step() -> Step:
    problem = ZoomAccount.objects.exclude(problem="").values_list("problem", flat=True).first()
    has_answered = bool(site_settings.load().zoom_answered_at)
    if not zoom_client.is_configured():
        text = _("With it, we create the meetings. Or skip this, and paste each session's link.")
    elif problem:
        text = _(problem)
    elif has_answered:
        text = _("Zoom answers.")
    else:
        text = _("Ask Zoom whether it accepts the credentials, and which scopes are missing.")
    is_done = zoom_client.is_configured() and has_answered and not problem
    return Step("zoom", _("Zoom"), is_done, text, _("Ask Zoom"), is_needed=False)


def week_steps() -> list[Step]:
    # A published one, if there is any.
    event = default_event()
    create = reverse("admin:events_event_create")
    if event is None:
        later = _("First create your week.")
        return [
            Step(
                "week",
                _("Your week"),
                False,
                _("Its name, its first day, and its sessions."),
                _("Create your week"),
                create,
            ),
            Step("contact", _("Contact"), False, later),
            Step("publish", _("Publish it"), False, later),
        ]
    return [
        Step("week", _("Your week"), True, str(event), _("Open it"), change_url(event)),
        contact_step(event),
        publish_step(event),
    ]


def contact_step(event: Event) -> Step:
    contact, url = event.contact_email, change_url(event, "id_contact_email")
    if contact:
        return Step("contact", _("Contact"), True, contact, _("Change the contact"), url)
    text = _("Where people's questions go, and replies to our emails.")
    return Step("contact", _("Contact"), False, text, _("Enter the contact"), url)


def publish_step(event: Event) -> Step:
    if event.status == Event.Status.PUBLISHED:
        button, url = _("See the public page"), event.get_absolute_url()
        return Step("publish", _("Publish it"), True, _("Anyone can see it."), button, url)
    text = _("Look it over, then publish it.")
    url = reverse("admin:events_event_publish", args=[event.pk])
    return Step("publish", _("Publish it"), False, text, _("Publish it"), url)


def set_up_context(request: HttpRequest) -> dict[str, Any]:
    """For the desk: how far this is, while something is missing. Empty for others."""
    if not admin.site.get_model_admin(SiteSettings).has_view_permission(request):
        return {}
    site_settings.load(fresh=True)
    needed = [step for step in steps() if step.is_needed]
    missing = [step for step in needed if not step.is_done]
    if not missing:
        return {}
    done = len(needed) - len(missing)
    return {"set_up": {"done": done, "all": len(needed), "next": missing[0].title}}


# What buttons do


def log(request: HttpRequest, name: str) -> None:
    """Record who changed what, without any value."""
    with in_main_language():
        texts = {
            "server": _("Changed the email server."),
            "sender": _("Changed the sender."),
            "zoom": _("Changed the Zoom credentials."),
        }
        log_action(request, [site_settings.load(fresh=True)], texts[name])


def try_server(request: HttpRequest) -> None:
    server = site_settings.stored_email_server()
    problem = problem_with(server) if server else ""
    if problem:
        text = _("Saved, but the email server can't be used yet. It said: %(problem)s")
        messages.error(request, text % {"problem": problem[:300]})
        return
    site_settings.record_email_answer()
    mail_queue.wake_workers()
    messages.success(request, _("Saved. The email server answers, and accepts the password."))


def confirm_sender(request: HttpRequest) -> None:
    mail_queue.wake_workers()
    values = {"sender": site_settings.load(fresh=True).sender}
    messages.success(request, _("Saved. Emails are from %(sender)s.") % values)


def ask_zoom(request: HttpRequest) -> None:
    """Ask whether Zoom accepts the credentials, and have work that waits for it go on."""
    try:
        missing = scopes.missing_scopes()
    except zoom_client.ZoomError as error:
        site_settings.record_zoom_answer(is_complete=False)
        messages.error(request, str(error))
        return
    site_settings.record_zoom_answer(is_complete=not missing)
    sync.end_pauses()
    if missing:
        text = _("Zoom answers, but the app lacks these scopes: %(scopes)s. Add them in Zoom.")
        messages.warning(request, text % {"scopes": ", ".join(missing)})
    else:
        messages.success(request, _("Zoom answers, and the app has every scope."))


Press = Callable[[HttpRequest], None]
BUTTONS: dict[str, Press] = {"test": send_test, "ask": ask_zoom}
AFTER_SAVING: dict[str, Press] = {"server": try_server, "sender": confirm_sender, "zoom": ask_zoom}
