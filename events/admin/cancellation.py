"""Canceling and restoring sessions: a page for one session, and actions of the list."""

import functools
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.utils import unquote
from django.contrib.admin.widgets import AdminTextareaWidget
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from events import languages, schedule
from events.admin.history.recording import HistoryAdmin
from events.admin.notified import explain_emails
from events.admin.shared import EACH_LANGUAGE, TextsForm, counted, show_result
from events.languages import codes, column, columns
from events.models import Session
from events.templatetags.times import is_over

View = Callable[[HistoryAdmin, HttpRequest, Session], HttpResponse]


class ReasonField(forms.CharField):
    """Browsers send two characters for a line break, but count it as one."""

    def to_python(self, value: Any) -> Any:
        return super().to_python(value.replace("\r\n", "\n") if value else value)


class ReasonMeta:
    """For forms with the reason in each language."""

    widgets = {name: AdminTextareaWidget(attrs={"rows": 3}) for name in columns("cancel_reason")}
    field_classes = dict.fromkeys(columns("cancel_reason"), ReasonField)


class CancelForm(TextsForm):
    class Meta(ReasonMeta):
        pass

    def reason(self) -> dict[str, str]:
        """The reason by language."""
        written = ((code, self.cleaned_data[column("cancel_reason", code)]) for code in codes())
        return {code: text for code, text in written if text}


def urls(model_admin: HistoryAdmin) -> list[URLPattern]:
    pages: dict[str, View] = {"cancel": cancel_page, "restore": restore_page}
    return [
        path(
            f"<path:object_id>/{name}/",
            model_admin.admin_site.admin_view(_for_session(model_admin, page)),
            name=f"events_session_{name}",
        )
        for name, page in pages.items()
    ]


def _for_session(model_admin: HistoryAdmin, page: View) -> Callable[..., HttpResponse]:
    """Make the view of a page about one session, for people who may change it."""

    @require_http_methods(["GET", "HEAD", "POST"])
    @functools.wraps(page)
    def view(request: HttpRequest, object_id: str) -> HttpResponse:
        session: Session | None = model_admin.get_object(request, unquote(object_id))
        if session is None:
            raise Http404
        if not model_admin.has_change_permission(request, session):
            raise PermissionDenied
        return page(model_admin, request, session)

    return view


def cancel_page(model_admin: HistoryAdmin, request: HttpRequest, session: Session) -> HttpResponse:
    """Ask once more, with the number of people and for a reason that they get to read."""
    form_class = forms.modelform_factory(Session, form=CancelForm, fields=columns("cancel_reason"))
    form: Any = form_class(request.POST if request.method == "POST" else None)
    is_sure = form.is_valid()
    reason = form.reason() if is_sure else {}
    model_admin.remember(request, session)
    if is_over(session) and not session.is_canceled:
        text = _("This session is over, so it can't be canceled. Nothing was changed.")
        return _unchanged(request, session, text)
    if session.is_canceled or (
        is_sure and not schedule.cancel_session(session=session, reason=reason)
    ):
        text = _("This session is already canceled. Nothing was changed.")
        return _unchanged(request, session, text)
    if is_sure:
        text = _("“%(session)s” is canceled. Its pages, join links and calendars are updated.")
        return _changed(model_admin, request, session, canceled_text(reason), text)
    title = _("Cancel “%(session)s”?") % {"session": session}
    context = {"form": form, "each_language": EACH_LANGUAGE}
    return _page(model_admin, request, "cancel", title, session=session, **context)


def restore_page(model_admin: HistoryAdmin, request: HttpRequest, session: Session) -> HttpResponse:
    """Ask once more, with the number of people."""
    is_sure = request.method == "POST"
    reason = dict(languages.written(session, "cancel_reason"))
    model_admin.remember(request, session)
    try:
        is_restored = is_sure and schedule.restore_session(session=session)
    except schedule.SessionIsOver:
        # The page says why it can't be restored.
        return redirect(request.path)
    if is_restored:
        text = _("“%(session)s” is back on. Its pages, join links and calendars are updated.")
        return _changed(model_admin, request, session, restored_text(reason), text)
    if is_sure or not session.is_canceled:
        text = _("This session isn't canceled. Nothing was changed.")
        return _unchanged(request, session, text)
    title = _("Restore “%(session)s”?") % {"session": session}
    return _page(model_admin, request, "restore", title, session=session)


def _changed(
    model_admin: HistoryAdmin, request: HttpRequest, session: Session, logged: str, text: str
) -> HttpResponse:
    """Log what was done, and say it with who gets an email."""
    model_admin.log_change(request, session, logged)
    messages.success(request, text % {"session": session})
    explain_emails(request, [session])
    return redirect("admin:events_session_change", session.pk)


def _unchanged(request: HttpRequest, session: Session, text: str) -> HttpResponse:
    messages.warning(request, text)
    return redirect("admin:events_session_change", session.pk)


def canceled_text(reason: dict[str, str]) -> str:
    """What the session's history says."""
    if not reason:
        return _("Canceled, without a reason.")
    return _("Canceled. The reason: %(reason)s") % {"reason": " / ".join(reason.values())}


def restored_text(reason: dict[str, str]) -> str:
    if not reason:
        return _("Restored.")
    text = _("Restored. It had been canceled for this reason: %(reason)s")
    return text % {"reason": " / ".join(reason.values())}


def _page(
    model_admin: HistoryAdmin, request: HttpRequest, name: str, title: str, **context: Any
) -> HttpResponse:
    context |= {**model_admin.admin_site.each_context(request), "opts": model_admin.opts}
    template = f"admin/events/session/{name}.html"
    return TemplateResponse(request, template, {**context, "title": title})


@admin.action(description=gettext_lazy("Cancel the selected sessions…"), permissions=["change"])
def cancel(
    model_admin: HistoryAdmin, request: HttpRequest, queryset: QuerySet[Session]
) -> HttpResponse | None:
    found = [session for session in queryset.select_related("event") if not session.is_canceled]
    chosen = [session for session in found if not is_over(session)]
    over = len(found) - len(chosen)
    if not found:
        messages.warning(request, _("They're already canceled."))
        return None
    title = counted(len(chosen), "Cancel %(count)s session?", "Cancel %(count)s sessions?")
    if page := _confirmation_page(model_admin, request, "cancel", title, chosen):
        return page
    for session in chosen:
        model_admin.remember(request, session)
    done = [session for session in chosen if schedule.cancel_session(session=session)]
    for session in done:
        model_admin.log_change(request, session, canceled_text({}))
    text = counted(
        len(done),
        "%(count)s session canceled. Its pages, join links and calendars are updated.",
        "%(count)s sessions canceled. Their pages, join links and calendars are updated.",
    )
    left = len(queryset) - len(done) - over
    show_result(request, len(done), text, left=left, reason=_("already canceled."))
    show_result(request, 0, "", left=over, reason=_("already over."))
    if done:
        explain_emails(request, done)
    return None


def _confirmation_page(
    model_admin: HistoryAdmin, request: HttpRequest, action: str, title: str, chosen: list[Session]
) -> HttpResponse | None:
    """Ask once more. Returns None if the button was pressed for these sessions as they are.

    Also if there are none.
    """
    sure = " ".join(sorted(f"{session.pk}.{session.revision}" for session in chosen))
    if not chosen or request.POST.get("sure") == sure:
        return None
    if "sure" in request.POST:
        messages.warning(request, _("Your selection has changed. Please check it again."))
    return _page(
        model_admin,
        request,
        f"{action}_selected",
        title,
        action=action,
        sessions=chosen,
        sure=sure,
        checkbox=ACTION_CHECKBOX_NAME,
        selected=request.POST.getlist(ACTION_CHECKBOX_NAME),
        select_across=request.POST.get("select_across", "0"),
    )


@admin.action(
    description=gettext_lazy("Restore the selected canceled sessions…"), permissions=["change"]
)
def restore(
    model_admin: HistoryAdmin, request: HttpRequest, queryset: QuerySet[Session]
) -> HttpResponse | None:
    found = [session for session in queryset.select_related("event") if session.is_canceled]
    chosen = [session for session in found if not is_over(session)]
    title = counted(len(chosen), "Restore %(count)s session?", "Restore %(count)s sessions?")
    if page := _confirmation_page(model_admin, request, "restore", title, chosen):
        return page
    done, over = [], len(found) - len(chosen)
    for session in chosen:
        reason = dict(languages.written(session, "cancel_reason"))
        model_admin.remember(request, session)
        try:
            if schedule.restore_session(session=session):
                model_admin.log_change(request, session, restored_text(reason))
                done.append(session)
        except schedule.SessionIsOver:
            over += 1
    text = counted(
        len(done),
        "%(count)s session restored. People who got an email about the cancellation get one about "
        "this, too.",
        "%(count)s sessions restored. People who got an email about the cancellation get one about "
        "this, too.",
    )
    left = len(queryset) - len(done) - over
    show_result(request, len(done), text, left=left, reason=_("not canceled."))
    show_result(
        request, 0, "", left=over, reason=_("the time has passed. Choose a later date first.")
    )
    if done:
        explain_emails(request, done)
    return None
