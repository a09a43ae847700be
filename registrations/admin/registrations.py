"""Who comes, what became of the mails to them, and who was there."""

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.admin.utils import unquote
from django.core.exceptions import BadRequest, PermissionDenied, ValidationError
from django.db import models
from django.db.models import Count, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.defaultfilters import linebreaksbr
from django.urls import path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.views.decorators.http import require_POST

from events.models import Event
from events.timezones import offered_time_zones
from registrations import access_needs, questions, signup
from registrations.admin import confirmation, readiness
from registrations.admin.csv_export import ExportMixin
from registrations.admin.outgoing_mail import MailTimes
from registrations.admin.readiness import short_day
from registrations.admin.retention import RetentionMixin
from registrations.formatting import counted, moment, people
from registrations.models import (
    UNREACHED_STATES,
    AccessNeed,
    OutgoingMail,
    Registration,
    Seat,
    email_key,
)
from registrations.validators import validate_address, validate_plain_line

Approval = Registration.Approval


class OpenedForm(forms.ModelForm):
    """Its `changed_data` is what this organizer changed, of the page as it was when opened.

    The database may hold something else by now. What is posted without the page's hidden values
    is compared with that.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        opened = any(self.add_initial_prefix(name) in self.data for name in self.fields)
        for field in self.fields.values():
            field.show_hidden_initial = opened or not self.is_bound


class ChosenBefore(forms.MultipleHiddenInput):
    """Says also that nothing was chosen."""

    def format_value(self, value: Any) -> Any:
        return ["", *super().format_value(value)]

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        return [each for each in super().value_from_datadict(data, files, name) or [] if each]


class RegistrationChangeForm(OpenedForm):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        # Whoever may only look has no fields.
        if fields:
            fields["time_zone"].widget = forms.Select(
                choices=offered_time_zones(self.instance.time_zone)
            )
            fields["strategies"].queryset = self.instance.event.tracks.all()
            fields["strategies"].hidden_widget = ChosenBefore

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        validate_plain_line(name)
        return name

    def clean_needs_other(self) -> str:
        words: str = self.cleaned_data["needs_other"]
        validate_plain_line(words)
        return words

    def clean_email(self) -> str:
        email = self.cleaned_data["email"]
        validate_address(email)
        others = Registration.objects.active().filter(
            event=self.instance.event, email_key=email_key(email)
        )
        if not self.instance.canceled_at and others.exclude(pk=self.instance.pk).exists():
            raise ValidationError("Someone else is registered with this address.")
        return email


class SeatInline(admin.TabularInline):
    model = Seat
    form = OpenedForm
    extra = 0
    fields = ["session", "state", "attended"]
    readonly_fields = ["session", "state"]
    # The column's heading is no label.
    formfield_overrides = {
        models.BooleanField: {"widget": forms.CheckboxInput(attrs={"aria-label": "Attended"})}
    }
    can_delete = False
    verbose_name_plural = "sessions"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Seat]:
        return super().get_queryset(request).select_related("registration", "session")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class MailInline(MailTimes, admin.TabularInline):
    model = OutgoingMail
    extra = 0
    fields = ["kind", "session", "status", "last_error", "attempts", "queued", "next", "sent"]
    readonly_fields = [
        *("kind", "session", "status", "last_error", "attempts"),
        *("queued", "next", "sent"),
    ]
    can_delete = False
    verbose_name_plural = "mails to this person"

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutgoingMail]:
        mails = super().get_queryset(request)
        return mails.select_related("registration__event", "session")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class UnreachableFilter(admin.SimpleListFilter):
    title = "mail"
    parameter_name = "links"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("failed", "The newest mail did not get there")]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Registration]:
        return queryset.unreachable() if self.value() == "failed" else queryset


class StandingFilter(admin.SimpleListFilter):
    title = "coming"
    parameter_name = "coming"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("yes", "Yes"),
            (Approval.PENDING, Approval.PENDING.label),
            (Approval.DECLINED, Approval.DECLINED.label),
            ("canceled", "Canceled"),
            ("erased", "Erased"),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> QuerySet[Registration]:
        match self.value():
            case None:
                return queryset
            case "yes":
                return queryset.admitted()
            case "canceled":
                return queryset.exclude(canceled_at=None).filter(erased_at=None)
            case "erased":
                return queryset.exclude(erased_at=None)
            case approval:
                return queryset.active().filter(approval=approval)


class UsStateFilter(admin.AllValuesFieldListFilter):
    """Those that somebody named: a link to none would have no words."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lookup_choices = self.lookup_choices.exclude(us_state="")


@admin.register(Registration)
class RegistrationAdmin(RetentionMixin, ExportMixin, admin.ModelAdmin):
    form = RegistrationChangeForm
    list_display = [
        "who",
        "coming",
        "email",
        "mail",
        "origin",
        "access",
        "registered",
    ]
    list_filter = [
        "event",
        StandingFilter,
        UnreachableFilter,
        "needs_captions",
        "needs_asl",
        "needs_interpretation",
        "needs_dial_in",
        ("us_state", UsStateFilter),
    ]
    list_select_related = ["event"]
    search_fields = ["name", "email", "organization"]
    readonly_fields = [
        *("event", "arrangements", "answers", "announcements"),
        *("own_page", "registered", "decision", "canceled"),
    ]
    formfield_overrides = {models.ManyToManyField: {"widget": forms.CheckboxSelectMultiple}}
    view_on_site = False
    inlines = [SeatInline, MailInline]
    actions = [
        *("approve", "decline", "send_links_again", "renew_links", "cancel"),
        *("export_csv", "erase"),
    ]
    fieldsets = [
        (
            None,
            {
                "fields": ["event", "name", "email", "organization", "us_state", "time_zone"],
                "description": "A new email address of someone approved gets the links at once. "
                "People register on the public page, or you do it there for them.",
            },
        ),
        (
            "Access needs",
            {
                "fields": [
                    "needs_captions",
                    "needs_asl",
                    "needs_interpretation",
                    "needs_dial_in",
                    "needs_other",
                    "arrangements",
                ]
            },
        ),
        ("Answers to your questions", {"fields": ["answers"]}),
        (
            "Mails",
            {
                "fields": ["wants_doors_email", "announcements"],
                "description": "People stop announcements by themselves, with the link in each. "
                "Links, changes and reminders of what they registered for still come.",
            },
        ),
        ("More", {"fields": ["strategies", "own_page", "registered", "decision", "canceled"]}),
    ]

    def get_urls(self) -> list[Any]:
        view = self.admin_site.admin_view(require_POST(self.decide_view))
        name = "registrations_registration_decide"
        return [
            path("<path:object_id>/decide/", view, name=name),
            *readiness.urls(self),
            *super().get_urls(),
        ]

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        pending = Registration.objects.active().filter(approval=Approval.PENDING)
        waiting = pending.order_by("event").values_list("event", "event__name")
        context = {
            "waiting": [
                (pk, name, people(count)) for pk, name, count in waiting.annotate(count=Count("pk"))
            ]
        }
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def decide_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """The buttons on a person's page."""
        person = self.get_object(request, unquote(object_id))
        if person is None:
            raise Http404
        if not self.has_change_permission(request, person):
            raise PermissionDenied
        button = {"approve": self.approve, "decline": self._decline}.get(request.POST.get("do", ""))
        if button is None:
            raise BadRequest
        button(request, Registration.objects.filter(pk=person.pk))
        return redirect("admin:registrations_registration_change", person.pk)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Registration]:
        registrations: Any = super().get_queryset(request)
        return registrations.with_last_outcome()

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        found: Any = super().get_object(request, object_id, from_field)
        if found:
            found.shows_own_page = self.has_change_permission(request, found)
        return found

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """To cancel is enough, and it can be looked up later who was there."""
        return False

    def save_model(self, request: HttpRequest, obj: Registration, form: Any, change: bool) -> None:
        """Write what this organizer changed and no more: the rest may be another by now."""
        columns = {field.name for field in obj._meta.concrete_fields}
        obj.save(update_fields=columns.intersection(form.changed_data) - {"email"})
        person, email = Registration.objects.select_related("event").get(pk=obj.pk), obj.email
        if any(name.startswith("needs_") for name in form.changed_data):
            access_needs.update(registration=person)
        if "email" not in form.changed_data or email == person.email:
            return
        try:
            signup.correct_email(registration=person, email=email)
        except signup.AddressTaken:
            messages.error(request, f"Someone else has just registered as {email}.")
        else:
            if person.is_admitted:
                messages.info(request, f"New links go to {email}; the old ones have ended.")
            elif person.is_pending:
                messages.info(request, f"We tell {email} that you look at the registration first.")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Strategies too are written only when this organizer changed them."""
        if "strategies" not in form.changed_data:
            form.cleaned_data.pop("strategies", None)
        super().save_related(request, form, formsets, change)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """Write what was ticked and no more: a place may have come free meanwhile."""
        formset.save(commit=False)
        for thing, fields in formset.changed_objects:
            thing.save(update_fields=fields)

    @admin.display(description="name", ordering="name")
    def who(self, registration: Registration) -> str:
        return "Erased" if registration.erased_at else registration.name

    @admin.display(description="registered", ordering="created_at")
    def registered(self, registration: Registration) -> str:
        return moment(registration.created_at, registration.event.zone)

    @admin.display(description="organization", ordering="organization", empty_value="")
    def origin(self, registration: Registration) -> str:
        """Families for Justice, CA"""
        return ", ".join(filter(None, (registration.organization, registration.us_state)))

    @admin.display(description="mail", empty_value="")
    def mail(self, registration: Any) -> str:
        """That mail does not get there, and that the person wants no announcements."""
        words = []
        if registration.last_outcome in UNREACHED_STATES:
            said = OutgoingMail.State(registration.last_outcome).label
            words.append(format_html('<b class="warning">{}</b>', said))
        if registration.unsubscribed_at:
            words.append(format_html('<span class="quiet">{}</span>', "announcements: no"))
        return format_html_join(mark_safe("<br>"), "{}", zip(words))

    @admin.display(description="announcements")
    def announcements(self, registration: Registration) -> str:
        when = registration.unsubscribed_at
        return f"no, since {moment(when, registration.event.zone)}" if when else "yes"

    @admin.display(description="canceled")
    def canceled(self, registration: Registration) -> str:
        when = registration.canceled_at
        return moment(when, registration.event.zone) if when else "no"

    @admin.display(description="access needs", empty_value="")
    def access(self, registration: Registration) -> str:
        return ", ".join(
            word
            for word, needed in (
                ("captions", registration.needs_captions),
                ("ASL", registration.needs_asl),
                ("interpretation", registration.needs_interpretation),
                ("dial-in", registration.needs_dial_in),
                (registration.needs_other, registration.needs_other),
            )
            if needed
        )

    @admin.display(description="answers")
    def answers(self, registration: Registration) -> str:
        """Each question and, below it, what the person said."""
        said = [
            (answer.question, linebreaksbr(questions.shown(answer)))
            for answer in registration.answers.select_related("question")
        ]
        return format_html_join("", "<p><b>{}</b><br>{}</p>", said) or "none"

    @admin.display(description="how far they are")
    def arrangements(self, registration: Registration) -> str:
        """ASL interpretation: Arranged (Sat, Oct 16; Mon, Oct 18)"""
        needs = AccessNeed.objects.filter(seat__registration=registration)
        days: dict[tuple[str, str], list[str]] = {}
        for need in needs.select_related("seat__session__event"):
            days.setdefault((str(need), need.get_state_display()), []).append(
                short_day(need.seat.session)
            )
        rows = ((*what, "; ".join(when)) for what, when in days.items())
        return format_html_join(mark_safe("<br>"), "{}: {} ({})", rows) or "nothing asked for"

    @admin.display(description="coming", ordering="approval")
    def coming(self, registration: Registration) -> str:
        if registration.canceled_at:
            return "Erased" if registration.erased_at else "Canceled"
        if registration.is_admitted:
            return "Yes"
        word = registration.get_approval_display()
        return format_html('<b class="badge">{}</b>', word) if registration.is_pending else word

    @admin.display(description="approval")
    def decision(self, registration: Registration) -> str:
        """Declined on Nov 22, 2026, 4:51 AM PST"""
        word, when = registration.get_approval_display(), registration.decided_at
        if when:
            return f"{word} on {moment(when, registration.event.zone)}"
        return "Not asked for" if registration.approval == Approval.APPROVED else word

    @admin.display(description="own page")
    def own_page(self, registration: Registration) -> str:
        """A secret, so it is for those only who may change the registration."""
        if not getattr(registration, "shows_own_page", False):
            return "hidden"
        return format_html(
            '<a href="{}">Open it</a> (secret: whoever has this address can join as this person)',
            registration.get_absolute_url(),
        )

    @admin.action(description="Take their links away, and mail new ones", permissions=["change"])
    def renew_links(
        self, request: HttpRequest, queryset: QuerySet[Registration]
    ) -> HttpResponse | None:
        """Asked once more on a page of its own. Who waits for a yes has a link too."""
        chosen = [each for each in queryset if each.is_admitted or each.is_pending]
        if not chosen:
            messages.warning(request, "They have no links: they were declined, or have canceled.")
            return None
        if not confirmation.is_confirmed(request, chosen):
            title = f"Take the links of {people(len(chosen))} away?"
            return confirmation.confirmation_page(self, request, chosen, title=title)
        done = signup.renew_links(registrations=chosen)
        words = "Took the links away, and mailed new ones."
        LogEntry.objects.log_actions(request.user.pk, chosen, CHANGE, words)  # type: ignore[arg-type]
        messages.success(
            request,
            f"New links are on their way to {people(done)}. The old ones work no more, nor do "
            "their personal links at Zoom.",
        )
        if left := len(queryset) - done:
            messages.warning(request, f"{left} left out: declined, or canceled.")
        return None

    @admin.action(description="Approve: they get their links", permissions=["change"])
    def approve(self, request: HttpRequest, queryset: QuerySet[Registration]) -> None:
        done, left = self._decide(request, queryset, signup.approve, Approval.APPROVED)
        if done:
            messages.success(request, f"{people(done)} approved. Their links are on the way.")
        if left:
            messages.warning(request, f"{left} left out: approved already, or canceled.")

    @admin.action(description="Decline: links they have end…", permissions=["change"])
    def decline(
        self, request: HttpRequest, queryset: QuerySet[Registration]
    ) -> HttpResponse | None:
        """Asked once more on a page of its own when anyone has links already."""
        linked = [each for each in queryset if each.is_admitted]
        if linked and not confirmation.is_confirmed(request, linked):
            title = f"Decline {people(len(linked))} who had your yes?"
            return confirmation.confirmation_page(self, request, linked, title=title)
        self._decline(request, queryset)
        return None

    def _decline(self, request: HttpRequest, queryset: QuerySet[Registration]) -> None:
        done, left = self._decide(request, queryset, signup.decline, Approval.DECLINED)
        if done:
            messages.success(
                request,
                f"{people(done)} declined. Links they had no longer work, and no mail tells them. "
                "Approve them to take it back: then new links go out.",
            )
            if queryset.exclude(event__zoom_mode=Event.ZoomMode.PERSONAL).exists():
                messages.warning(
                    request,
                    "Where Zoom links are not personal, they may still know a meeting's ID and "
                    "passcode from an earlier mail.",
                )
        if left:
            messages.warning(request, f"{left} left out: declined already, or canceled.")

    def _decide(
        self,
        request: HttpRequest,
        queryset: Any,
        verb: Callable[..., int],
        approval: Approval,
    ) -> tuple[int, int]:
        """To how many it was new, and to how many not. Who pressed can be read under History."""
        chosen = len(queryset)
        new = [each for each in queryset if not each.canceled_at and each.approval != approval]
        done = verb(registrations=new)
        LogEntry.objects.log_actions(request.user.pk, new, CHANGE, f"{approval.label}.")  # type: ignore[arg-type]
        return done, chosen - done

    @admin.action(description="Mail the links again", permissions=["change"])
    def send_links_again(self, request: HttpRequest, queryset: QuerySet[Registration]) -> None:
        sent = signup.resend_links(registrations=queryset)
        mails = "mail is" if sent == 1 else "mails are"
        messages.success(request, f"{sent} {mails} on the way.")
        if sent < len(queryset):
            messages.warning(
                request,
                f"{len(queryset) - sent} were left out: not coming, or mailed within ten minutes.",
            )

    @admin.action(description="Cancel the selected registrations…", permissions=["change"])
    def cancel(self, request: HttpRequest, queryset: QuerySet[Registration]) -> HttpResponse | None:
        """Asked once more on a page of its own."""
        chosen = [each for each in queryset if not each.canceled_at]
        if not chosen:
            messages.warning(request, "They have canceled already.")
            return None
        if not confirmation.is_confirmed(request, chosen):
            title = f"Cancel {counted(len(chosen), 'registration', 'registrations')}?"
            return confirmation.confirmation_page(self, request, chosen, title=title)
        done = [person for person in chosen if signup.cancel(registration=person)]
        LogEntry.objects.log_actions(request.user.pk, done, CHANGE, "Canceled.")  # type: ignore[arg-type]
        registrations = counted(len(done), "registration", "registrations")
        messages.success(request, f"{registrations} canceled. Their links no longer work.")
        if left := len(queryset) - len(done):
            messages.warning(request, f"{left} left out: canceled already.")
        return None
