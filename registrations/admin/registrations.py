"""The people who registered: their details, sessions, emails, and what organizers can do."""

import copy
from collections import defaultdict
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ModelAdmin
from django.db import models
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.defaultfilters import linebreaksbr
from django.urls import path
from django.utils.html import format_html, format_html_join
from django.utils.safestring import mark_safe
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from events import languages
from events.admin.archive import EventFilter
from events.admin.shared import (
    buttons_view,
    choice_filter,
    counted,
    save_entered_fields,
    show_result,
    warning,
)
from events.timezones import offered_time_zones
from registrations import access_needs, mailboxes, questions, signup
from registrations.admin import outgoing_mail, readiness, shared
from registrations.admin.csv_export import export_csv
from registrations.admin.phone_card import phone_card
from registrations.admin.registration_history import RegistrationHistoryAdmin
from registrations.admin.retention import erase, retention_page
from registrations.admin.trial_event import delete_event_page
from registrations.desk.numbers import RETURNING
from registrations.formatting import moment
from registrations.forms import AddressField, NeedsField
from registrations.models import (
    UNREACHED_STATES,
    AccessNeed,
    OutgoingMail,
    Registration,
    RegistrationQuerySet,
    Seat,
    email_key,
    need_choices,
)
from registrations.validators import validate_address

# Shown only to people who may see sensitive data.
NEEDS_SECTION, ANSWERS_SECTION = SENSITIVE_SECTIONS = (
    gettext_lazy("Access needs"),
    gettext_lazy("Answers to your questions"),
)


class RegistrationAdminForm(shared.VersionedForm):
    class Meta:
        field_classes = {"email": AddressField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        fields: dict[str, Any] = self.fields
        # People who may only view registrations get a form without these.
        if "time_zone" in fields:
            self.initial["time_zone"] = self.instance.zone.key
            fields["time_zone"].widget = forms.Select(
                choices=offered_time_zones(self.instance.time_zone)
            )
            fields["strategies"].label = self.instance.event.interests_label()
            fields["strategies"].queryset = self.instance.event.tracks.all()

    def version(self, row: Registration) -> str:
        """Include the attendance, which people change in the table below the form."""
        seats = row.seats.order_by("pk").values_list("pk", "attended")
        return shared.fingerprint(super().version(row), list(seats))

    def clean_email(self) -> str:
        email = self.cleaned_data["email"]
        validate_address(email)
        return email

    def clean(self) -> None:
        """Check that no one else has this name at this address, and that it isn't full."""
        super().clean()
        cleaned = self.cleaned_data
        if {"name", "email"} <= cleaned.keys():
            person = copy.copy(self.instance)
            person.name, person.email_key = cleaned["name"], email_key(cleaned["email"])
            try:
                mailboxes.require_free(person)
            except mailboxes.CannotRegister as error:
                self.add_error("email" if "email" in self.changed_data else "name", str(error.text))


class RegistrationChangeForm(RegistrationAdminForm):
    needs = NeedsField(label=gettext_lazy("Access needs"))


class SeatInline(shared.ChangeOnlyInline):
    model = Seat
    fields = ["session", "standing", "attended"]
    readonly_fields = ["session", "standing"]
    # Screen readers need a label: the column's heading is none.
    formfield_overrides = {
        models.BooleanField: {
            "widget": forms.CheckboxInput(attrs={"aria-label": gettext_lazy("Attended")})
        }
    }
    verbose_name_plural = gettext_lazy("sessions")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Seat]:
        return super().get_queryset(request).select_related("registration", "session")

    @admin.display(description=gettext_lazy("status"))
    def standing(self, seat: Seat) -> str:
        if seat.had_spot:
            return _("On the waitlist: their spot went to the next person in line")
        return seat.get_state_display()


class MailInline(shared.ChangeOnlyInline):
    model = OutgoingMail
    fields: ClassVar[Any] = [
        *("kind", "session", outgoing_mail.status, "last_error", "attempts"),
        *(outgoing_mail.queued, outgoing_mail.next_attempt, outgoing_mail.sent),
    ]
    readonly_fields: ClassVar[Any] = fields
    verbose_name_plural = gettext_lazy("emails to this person")

    def get_queryset(self, request: HttpRequest) -> QuerySet[OutgoingMail]:
        rows = super().get_queryset(request)
        return rows.select_related("registration__event", "session")


def filter_coming(people: RegistrationQuerySet, value: str) -> RegistrationQuerySet:
    match value:
        case "canceled":
            return people.exclude(canceled_at=None).filter(erased_at=None)
        case "erased":
            return people.exclude(erased_at=None)
    return people.admitted() if value == "yes" else people.active().filter(approval=value)


COMING = {
    "yes": gettext_lazy("Coming"),
    Registration.Approval.PENDING: Registration.Approval.PENDING.label,
    Registration.Approval.DECLINED: Registration.Approval.DECLINED.label,
    "canceled": gettext_lazy("Canceled"),
    "erased": gettext_lazy("Erased"),
}
UNREACHABLE = {"failed": gettext_lazy("Our emails aren't arriving")}


class UsStateFilter(admin.AllValuesFieldListFilter):
    """Offers only the states that people entered: a link for none would be empty."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.lookup_choices = self.lookup_choices.exclude(us_state="")


@admin.action(
    description=gettext_lazy("Replace their links and email new ones…"), permissions=["change"]
)
def renew_links(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Registration]
) -> HttpResponse | None:
    # People who wait for approval have a link too, to their own page.
    chosen = [person for person in queryset if person.is_admitted or person.is_pending]
    if not chosen:
        messages.warning(request, _("They have no links: they were declined or have canceled."))
        return None
    title = counted(
        len(chosen),
        "Replace the links of %(count)s person?",
        "Replace the links of %(count)s people?",
    )
    if page := shared.confirmation_page(model_admin, request, chosen, title):
        return page
    done = signup.renew_links(registrations=chosen)
    shared.log_action(request, chosen, _("Replaced the links and emailed new ones."))
    text = counted(
        done,
        "New links are on their way to %(count)s person. The old ones no longer work, and neither "
        "does their personal Zoom link.",
        "New links are on their way to %(count)s people. The old ones no longer work, and neither "
        "do their personal Zoom links.",
    )
    left = len(queryset) - done
    show_result(request, done, text, left=left, reason=_("declined or canceled."))
    return None


@admin.action(description=gettext_lazy("Approve and email their links"), permissions=["change"])
def approve(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Registration]
) -> None:
    decided = Registration.Approval.APPROVED
    chosen = [each for each in queryset if each.approval != decided and not each.canceled_at]
    done = signup.approve(registrations=chosen)
    shared.log_action(request, chosen, _("Approved."))
    text = counted(
        done,
        "%(count)s person approved. Their links are on the way.",
        "%(count)s people approved. Their links are on the way.",
    )
    left = len(queryset) - done
    show_result(request, done, text, left=left, reason=_("already approved, or canceled."))


@admin.action(
    description=gettext_lazy("Decline: any links they have stop working…"), permissions=["change"]
)
def decline(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Registration]
) -> HttpResponse | None:
    """Decline people, with a confirmation when any of them has links already."""
    admitted = [person for person in queryset if person.is_admitted]
    title = counted(
        len(admitted),
        "Decline %(count)s person who was approved?",
        "Decline %(count)s people who were approved?",
    )
    if admitted and (page := shared.confirmation_page(model_admin, request, admitted, title)):
        return page
    decline_all(request, queryset)
    return None


def decline_all(request: HttpRequest, people: QuerySet[Registration]) -> None:
    """Decline them, also those who canceled: they could return."""
    decided = Registration.Approval.DECLINED
    chosen = [each for each in people if each.approval != decided and not each.erased_at]
    done = signup.decline(registrations=chosen)
    shared.log_action(request, chosen, _("Declined."))
    text = counted(
        done,
        "%(count)s person declined. Any links they had no longer work. We didn't email them. "
        "If you change your mind, approve them, and they'll get new links.",
        "%(count)s people declined. Any links they had no longer work. We didn't email them. "
        "If you change your mind, approve them, and they'll get new links.",
    )
    show_result(request, done, text)
    if not all(each.event.has_personal_links for each in chosen):
        messages.warning(
            request,
            _(
                "If they got an email before, they may still know a meeting ID and passcode. Only "
                "personal Zoom links can be taken away."
            ),
        )
    show_result(request, 0, "", left=len(people) - done, reason=_("already declined."))


def approve_one(model_admin: ModelAdmin, request: HttpRequest, person: Registration) -> None:
    approve(model_admin, request, Registration.objects.filter(pk=person.pk))


def decline_one(model_admin: ModelAdmin, request: HttpRequest, person: Registration) -> None:
    decline_all(request, Registration.objects.filter(pk=person.pk))


@admin.action(description=gettext_lazy("Email their links again"), permissions=["change"])
def send_links_again(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Registration]
) -> None:
    sent = signup.resend_links(registrations=queryset)
    text = counted(sent, "%(count)s email is on the way.", "%(count)s emails are on the way.")
    show_result(request, sent, text)
    log = _("Emailed their links again, unless that had just been done or they aren't coming.")
    shared.log_action(request, queryset, log)
    if left := len(queryset) - sent:
        text = counted(
            left,
            "%(count)s person was skipped: they aren't coming, or they got this email in the last "
            "10 minutes.",
            "%(count)s people were skipped: they aren't coming, or they got this email in the last "
            "10 minutes.",
        )
        messages.warning(request, text)


@admin.action(
    description=gettext_lazy("Cancel the selected registrations…"), permissions=["change"]
)
def cancel(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Registration]
) -> HttpResponse | None:
    chosen = [
        person for person in queryset if not (person.canceled_by_organizer or person.erased_at)
    ]
    if not chosen:
        messages.warning(request, _("They're already canceled."))
        return None
    title = counted(
        len(chosen), "Cancel %(count)s registration?", "Cancel %(count)s registrations?"
    )
    if page := shared.confirmation_page(model_admin, request, chosen, title):
        return page
    done = [person for person in chosen if signup.cancel(registration=person, by_organizer=True)]
    shared.log_action(request, done, _("Canceled."))
    text = counted(
        len(done),
        "%(count)s registration canceled. Its links no longer work.",
        "%(count)s registrations canceled. Their links no longer work.",
    )
    left = len(queryset) - len(done)
    show_result(request, len(done), text, left=left, reason=_("already canceled."))
    return None


@admin.action(description=gettext_lazy("Restore canceled registrations"), permissions=["change"])
def restore(
    model_admin: ModelAdmin, request: HttpRequest, queryset: QuerySet[Registration]
) -> None:
    done = []
    for person in queryset:
        try:
            if signup.restore(registration=person, by_organizer=True):
                done.append(person)
        except mailboxes.CannotRegister as error:
            messages.error(request, f"{person.name}: {error.text}")
    shared.log_action(request, done, _("Restored."))
    text = counted(
        len(done),
        "%(count)s registration restored. If a session is full, they're on its waitlist.",
        "%(count)s registrations restored. If a session is full, they're on its waitlist.",
    )
    left = len(queryset) - len(done)
    reason = _("they aren't canceled, are already erased, or have registered again.")
    show_result(request, len(done), text, left=left, reason=reason)


@admin.register(Registration)
class RegistrationAdmin(RegistrationHistoryAdmin):
    # Of the numbers on the front page.
    other_filters = ("created_at", "language", "organization", "strategies")

    form = RegistrationChangeForm
    list_display = ["who", "coming", "email", "mail", "origin", "access", "registered"]
    list_filter = [
        ("event", EventFilter),
        choice_filter(gettext_lazy("status"), "coming", COMING.items, filter_coming),
        choice_filter(
            gettext_lazy("email"),
            "links",
            UNREACHABLE.items,
            lambda rows, _value: rows.unreachable(),
        ),
        choice_filter(
            gettext_lazy("access needs"), "need", need_choices, RegistrationQuerySet.needing
        ),
        choice_filter(
            gettext_lazy("new or returning"),
            "before",
            RETURNING.items,
            lambda rows, value: rows.with_returning().filter(is_returning=value == "yes"),
        ),
        ("us_state", UsStateFilter),
    ]
    list_select_related = ["event"]
    search_fields = ["search_key__contains", "organization_search_key__contains"]
    readonly_fields = [
        *("event", "arrangements", "answers", "announcements"),
        *("own_page", "registered", "decision", "canceled"),
    ]
    formfield_overrides = {models.ManyToManyField: {"widget": forms.CheckboxSelectMultiple}}
    view_on_site = False
    inlines = [SeatInline, MailInline]
    actions = [
        *(approve, decline, send_links_again, renew_links, cancel, restore),
        *(export_csv, erase),
    ]
    fieldsets = [
        (
            None,
            {
                "fields": [
                    "event",
                    "name",
                    "email",
                    "organization",
                    "us_state",
                    "time_zone",
                    "language",
                ],
                "description": gettext_lazy(
                    "If you change the email address of someone who's approved, we send their "
                    "links to the new one right away. To register someone yourself, use the "
                    "public page."
                ),
            },
        ),
        (NEEDS_SECTION, {"fields": ["needs", "needs_other", "arrangements"]}),
        (ANSWERS_SECTION, {"fields": ["answers"]}),
        (
            gettext_lazy("Emails"),
            {
                "fields": ["wants_doors_email", "announcements"],
                "description": gettext_lazy(
                    "Every announcement has a link that stops announcements. People still get "
                    "their links, changes and reminders."
                ),
            },
        ),
        (
            gettext_lazy("More"),
            {"fields": ["strategies", "own_page", "registered", "decision", "canceled"]},
        ),
    ]

    def get_urls(self) -> list[Any]:
        buttons = buttons_view(self, {"approve": approve_one, "decline": decline_one})
        url, delete_url = "readiness/<str:event_id>/", "delete-event/<str:event_id>/"
        posts = {"methods": ("GET", "HEAD", "POST")}
        board = shared.admin_path(self, url, readiness.board_page, "readiness", **posts)
        current = readiness.current_board_page
        return [
            board,
            shared.admin_path(self, delete_url, delete_event_page, "delete_event", **posts),
            shared.admin_path(self, "readiness/", current, "readiness_current"),
            shared.admin_path(self, "retention/", retention_page, "retention"),
            shared.admin_path(self, "<path:object_id>/phone/", phone_card, "phone_card"),
            path("<path:object_id>/decide/", buttons, name="registrations_registration_decide"),
            *super().get_urls(),
        ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        pending = Registration.objects.active().filter(approval=Registration.Approval.PENDING)
        by_event = pending.order_by("event").values("event", *languages.columns("event__name"))
        waiting = [
            (row["event"], languages.shown(row, "event__name"), row["count"])
            for row in by_event.annotate(count=Count("pk"))
        ]
        context = {"waiting": waiting}
        return super().changelist_view(request, {**context, **(extra_context or {})})

    def get_form(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        if not shared.may_see_sensitive_data(request):
            kwargs["form"] = RegistrationAdminForm
        return super().get_form(request, *args, **kwargs)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        shown = shared.may_see_sensitive_data(request)
        return [each for each in self.fieldsets if shown or each[0] not in SENSITIVE_SECTIONS]

    def get_list_display(self, request: HttpRequest) -> list[Any]:
        shown = shared.may_see_sensitive_data(request)
        return [each for each in self.list_display if shown or each != "access"]

    def get_list_filter(self, request: HttpRequest) -> list[Any]:
        if shared.may_see_sensitive_data(request):
            return self.list_filter
        return [each for each in self.list_filter if getattr(each, "parameter_name", "") != "need"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Registration]:
        rows: Any = super().get_queryset(request)
        return rows.with_last_outcome()

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        person: Any = super().get_object(request, object_id, from_field)
        if person:
            person.shows_own_page = self.has_change_permission(request, person)
        return person

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nothing can be entered for someone whose data was erased."""
        is_erased = bool(obj and obj.erased_at)
        return not is_erased and super().has_change_permission(request, obj)

    def save_model(self, request: HttpRequest, obj: Registration, form: Any, change: bool) -> None:
        """Save only the changed columns: others, such as the approval, may change meanwhile."""
        columns = {field.name for field in obj._meta.concrete_fields}
        changed, email = columns.intersection(form.changed_data) - {"email"}, obj.email
        try:
            mailboxes.save(obj, changed)
        except mailboxes.CannotRegister as error:
            messages.error(request, str(error.text))
            return
        person = Registration.objects.select_related("event").get(pk=obj.pk)
        if {"needs", "needs_other"}.intersection(form.changed_data):
            access_needs.update(registration=person)
        if "email" not in form.changed_data or email == person.email:
            return
        try:
            given_back = signup.correct_email(registration=person, email=email)
        except mailboxes.CannotRegister as error:
            messages.error(request, str(error.text))
        else:
            if person.is_admitted:
                text = _("New links are on their way to %(email)s. The old ones no longer work.")
                messages.info(request, text % {"email": email})
            elif person.is_pending:
                text = _("We'll tell %(email)s that you review each registration first.")
                messages.info(request, text % {"email": email})
            for seat in given_back:
                messages.info(request, shared.given_back_text(seat))

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        save_entered_fields(formset)

    @admin.display(description=gettext_lazy("name"), ordering="name")
    def who(self, registration: Registration) -> str:
        return _("Erased") if registration.erased_at else registration.name

    @admin.display(description=gettext_lazy("registered"), ordering="created_at")
    def registered(self, registration: Registration) -> str:
        return moment(registration.created_at, registration.event.zone)

    @admin.display(
        description=gettext_lazy("organization"), ordering="organization", empty_value=""
    )
    def origin(self, registration: Registration) -> str:
        """Families for Justice, CA"""
        return ", ".join(filter(None, (registration.organization, registration.us_state)))

    @admin.display(description=gettext_lazy("email status"), empty_value="")
    def mail(self, registration: Any) -> str:
        """Show that emails don't arrive, and that someone wants no announcements."""
        texts = []
        if registration.last_outcome in UNREACHED_STATES:
            texts.append(warning(OutgoingMail.State(registration.last_outcome).label))
        if registration.unsubscribed_at:
            texts.append(format_html('<span class="quiet">{}</span>', _("No announcements")))
        return format_html_join(mark_safe("<br>"), "{}", zip(texts))

    @admin.display(description=gettext_lazy("announcements"))
    def announcements(self, registration: Registration) -> str:
        when = registration.unsubscribed_at
        if not when:
            return _("Yes")
        return _("No, since %(when)s") % {"when": moment(when, registration.event.zone)}

    @admin.display(description=gettext_lazy("canceled"))
    def canceled(self, registration: Registration) -> str:
        when = registration.canceled_at
        if not when:
            return _("No")
        text = moment(when, registration.event.zone)
        if registration.canceled_by_organizer:
            return _("%(when)s, by an organizer") % {"when": text}
        return text

    @admin.display(description=gettext_lazy("access needs"), empty_value="")
    def access(self, registration: Registration) -> str:
        return ", ".join(registration.need_summary)

    @admin.display(description=gettext_lazy("answers"))
    def answers(self, registration: Registration) -> str:
        """Show each question with the answer below it."""
        answers = registration.answers.select_related("question")
        rows = ((each.question, linebreaksbr(questions.answer_text(each))) for each in answers)
        return format_html_join("", "<p><b>{}</b><br>{}</p>", rows) or pgettext("answers", "None")

    @admin.display(description=gettext_lazy("arrangements"))
    def arrangements(self, registration: Registration) -> str:
        """ASL interpretation: Arranged (Sat, Oct 16; Mon, Oct 18)"""
        needs = AccessNeed.objects.filter(seat__registration=registration)
        days = defaultdict(list)
        for need in needs.select_related("seat__session__event"):
            days[str(need), need.get_state_display()].append(readiness.short_day(need.seat.session))
        rows = ((*what, "; ".join(when)) for what, when in days.items())
        return format_html_join(mark_safe("<br>"), "{}: {} ({})", rows) or _("No requests")

    @admin.display(description=gettext_lazy("status"), ordering="approval")
    def coming(self, registration: Registration) -> str:
        if registration.canceled_at:
            return _("Erased") if registration.erased_at else _("Canceled")
        if registration.is_admitted:
            return _("Coming")
        text = registration.get_approval_display()
        return format_html('<b class="badge">{}</b>', text) if registration.is_pending else text

    @admin.display(description=gettext_lazy("approval"))
    def decision(self, registration: Registration) -> str:
        """Declined on Nov 22, 2026, 4:51 AM PST"""
        text, when = registration.get_approval_display(), registration.decided_at
        if when:
            values = {"decision": text, "when": moment(when, registration.event.zone)}
            return _("%(decision)s on %(when)s") % values
        is_approved = registration.approval == Registration.Approval.APPROVED
        return _("Not required") if is_approved else text

    @admin.display(description=gettext_lazy("their page"))
    def own_page(self, registration: Registration) -> str:
        """Link the page only for people who may change the registration: the URL is secret."""
        if not getattr(registration, "shows_own_page", False):
            return _("Hidden")
        return format_html(
            _(
                '<a href="{url}">Open it</a> (keep this link private: anyone who has it can join '
                "as this person)"
            ),
            url=registration.get_absolute_url(),
        )
