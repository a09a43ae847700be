"""Organizers' texts in English and Spanish: questions, emails, notices and announcements."""

import csv
import datetime as dt
import html
import re
from typing import Any

import pytest
import time_machine
from django.utils import timezone
from django.utils.translation import override

from events.models import AgendaItem, Session, Speaker
from events.schedule import cancel_session, edit_session
from events.templatetags.times import dates
from registrations import questions, tasks
from registrations.admin.csv_export import csv_of
from registrations.mail import announcements, previews, writer
from registrations.mail_kinds import MailKind
from registrations.models import Announcement, Answer, MailText, OutgoingMail, Question
from tests.admin_pages import form_of
from tests.people import filled_form, in_english, in_spanish, sign_up
from tests.registrations.questions.asking import ADD, admin_errors, entered, page_of

pytestmark = pytest.mark.django_db

NOTE = "Parte de este correo electrónico está solo en inglés."
NOW = dt.datetime(2026, 9, 1, 12, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _english():
    """Requests leave their language behind."""
    with override("en"):
        yield


def spanish(week, name: str = "Inés I", **details):
    return sign_up(week, name, language="es", **details)


def written(mail: OutgoingMail) -> tuple[str, str, str]:
    """Subject, text and HTML of an email, as it would be sent now. Blank if it's dropped."""
    message: Any = writer.writer_for([mail])(mail)
    if message is None:
        return "", "", ""
    return message.subject, str(message.body), html.unescape(str(message.alternatives[0][0]))


# Questions


@pytest.fixture
def lunch(week):
    return Question.objects.create(
        event=week,
        kind="choices",
        **in_english(text="Lunch?", choices="Meat\nVegan"),
        **in_spanish(text="¿Almuerzo?", choices="Carne\nVegano"),
    )


def register_in(client, week, language: str, question: Question, chosen: str, email: str):
    url, headers = f"/{week.slug}/register/", {"accept-language": language}
    page = client.get(url, headers=headers).content.decode()
    (value,) = re.findall(rf'value="([^"]*)"[^>]*><span class="choice__title">{chosen}<', page)
    (version,) = re.findall(rf'name="question_{question.pk}_version" value="(\w+)"', page)
    answer = {f"question_{question.pk}": [value], f"question_{question.pk}_version": version}
    form = filled_form(week, email=email, **answer)
    client.post(url, form, headers=headers)


def test_answer_in_spanish_counts_as_the_same_choice(client, week, lunch):
    register_in(client, week, "es", lunch, "Vegano", "ines@example.org")
    register_in(client, week, "en", lunch, "Vegan", "alice@example.org")
    assert list(Answer.objects.values_list("value", flat=True)) == [["Vegan"], ["Vegan"]]
    assert questions.tally(lunch) == [("Meat", 0), ("Vegan", 2)]
    ines = week.registrations.get(email="ines@example.org")
    page = client.get(ines.get_absolute_url()).content.decode()
    assert (">¿Almuerzo?<" in page, ">Vegano<" in page) == (True, True)
    for language in ("en", "es"):
        with override(language):
            _headings, row = csv.reader(csv_of([ines.pk]))
        assert row[-1] == "Vegan"


def test_switching_the_language_is_no_change_of_the_question(week, lunch):
    found = []
    for language in ("en", "es"):
        with override(language):
            found.append(questions.version(lunch))
    assert found[0] == found[1]


def test_choice_keeps_its_answers_when_english_is_added(organizer, week):
    with override("es"):
        question = Question.objects.create(
            event=week, kind="choices", text="¿Almuerzo?", choices="Carne\nVegano"
        )
    ines = spanish(week, answers={question: ["Vegano"]})
    changed = form_of(organizer, page_of(question)) | in_english(choices="Meat\nVegan")
    assert organizer.post(page_of(question), changed).status_code == 302
    question.refresh_from_db()
    assert questions.tally(question) == [("Meat", 0), ("Vegan", 1)]
    assert questions.initial_values(ines) == {f"question_{question.pk}": ["Vegan"]}


@pytest.mark.parametrize(
    ("choices", "problem"),
    [
        ("Carne", "Write at least two choices, one per line."),
        ("Carne\ncarne", "Two choices are the same."),
        (
            "Carne\nVegano\nNada",
            "Write as many choices as in the other language, in the same order.",
        ),
    ],
)
def test_choices_of_each_language_are_checked(organizer, week, choices, problem):
    found = admin_errors(organizer.post(ADD, entered(week, **in_spanish(choices=choices))))
    assert problem in found["choices_es"]


def test_question_in_english_only_is_marked_in_the_spanish_form(client, week, lunch):
    Question.objects.update(**in_spanish(text=None, choices=None))
    page = client.get(f"/{week.slug}/register/", headers={"accept-language": "es"}).content.decode()
    assert '<span lang="en">Lunch?</span>' in page
    assert '<span class="choice__title"><span lang="en">Vegan</span></span>' in page
    assert page.count("Parte de esta página está solo en inglés.") == 1


# Emails


def test_email_in_spanish_has_spanish_texts_and_no_note(week):
    subject, text, page = written(spanish(week).mails.get())
    assert "Semana de Estrategia Drop LWOP" in subject
    for shown in (text, page):
        assert "Legislación y políticas públicas" in shown
        assert (NOTE in shown, "Legislation and Policy" in shown) == (False, False)
    assert re.findall(' lang="(..)"', page) == ["es"]


def test_email_says_once_what_is_in_english_only(week):
    Session.objects.filter(slug="das").update(**in_spanish(title=None))
    _subject, text, page = written(spanish(week).mails.get())
    text = " ".join(text.split())
    assert [text.count(NOTE), page.count(NOTE)] == [1, 1]
    # Before what it is about.
    assert text.startswith(f"{NOTE} Hola, Inés I:")
    assert page.index(NOTE) < page.index("Hola, Inés I:")
    assert re.search('<h3 dir="auto" lang="en" style="[^"]*">Influencing and Countering DAs', page)
    _subject, text, page = written(sign_up(week).mails.get())
    assert ("Part of this" in text, re.findall(' lang="(..)"', page)) == (False, ["en"])


def test_detailed_schedule_marks_the_agenda(week):
    AgendaItem.objects.filter(session__slug="das").update(**in_spanish(description=None))
    with override("es"):
        mail = previews.sample(MailKind.SCHEDULE, week)
    text, page = " ".join(str(mail.body).split()), html.unescape(str(mail.alternatives[0][0]))
    assert [shown.count("Bienvenida") > 0 for shown in (text, page)] == [True, True]
    assert [text.count(NOTE), page.count(NOTE)] == [1, 1]
    assert re.search('<span class="quiet" dir="auto" lang="en" style="[^"]*">Where a DA', page)


@pytest.mark.parametrize(("code", "direction"), [("ar", "rtl"), ("es", "ltr")])
def test_email_is_laid_out_in_the_direction_of_its_language(week, code, direction):
    with override(code):
        page = str(previews.sample(MailKind.ANNOUNCEMENT, week).alternatives[0][0])
    assert f'<html lang="{code}" dir="{direction}">' in page
    assert f'<div role="main" dir="{direction}">' in page


def test_markup_in_a_title_is_no_language(week, opening):
    Session.objects.filter(pk=opening.pk).update(**in_spanish(title='<b lang="en">Hola</b>'))
    _subject, text, page = written(spanish(week).mails.get())
    assert (NOTE in " ".join(text.split()), NOTE in page) == (False, False)


def test_translation_that_was_just_added_is_in_the_next_email(week, opening):
    mail = spanish(week).mails.get()
    Session.objects.filter(pk=opening.pk).update(**in_spanish(title=None))
    assert "Opening session" in written(mail)[1]
    Session.objects.filter(pk=opening.pk).update(**in_spanish(title="¡Empezamos!"))
    _subject, text, page = written(mail)
    assert ("¡Empezamos!" in text, "Opening session" in text) == (True, False)
    assert ("¡Empezamos!" in page, "Opening session" in page) == (True, False)


def test_own_text_is_in_the_readers_language(week):
    MailText.objects.create(
        event=week,
        kind="links",
        **in_english(opening="Come, {name}."),
        **in_spanish(subject="Ven a {event}", opening="Ven, {name}."),
    )
    subject, text, _page = written(spanish(week).mails.get())
    assert subject == "Ven a Semana de Estrategia Drop LWOP"
    assert ("Ven, Inés I." in text, NOTE in text) == (True, False)
    subject, text, _page = written(sign_up(week).mails.get())
    # All of a subject is in one language.
    assert subject == "Ven a Semana de Estrategia Drop LWOP"
    assert "Come, Alice Adams." in text


def test_own_text_in_english_only_is_marked_and_wholly_in_english(week):
    text = "Come to {event}, {name}: {dates}."
    MailText.objects.create(event=week, kind="links", **in_english(opening=text))
    _subject, text, page = written(spanish(week).mails.get())
    shown = week.sessions.order_by("starts_at")
    days = dates(shown.first().starts_at, shown.last().starts_at, week.zone)
    come = f"Come to Drop LWOP Strategy Week, Inés I: {days}."
    assert f'<p dir="auto" lang="en" style="margin:0 0 16px;">{come}</p>' in page
    assert [" ".join(text.split()).count(NOTE), page.count(NOTE)] == [1, 1]


# Notices


def test_speakers_in_english_only_are_marked(client, week, opening):
    ines = spanish(week, with_schedule=True)
    Speaker.objects.all().delete()
    speaker = Speaker.objects.create(event=week, **in_english(name="Legislation group"))
    opening.agenda.first().speakers.add(speaker)
    page = client.get(f"/me/{ines.token}/schedule/").content.decode()
    assert '<span lang="en">Legislation group</span>' in page
    _subject, _text, email = written(ines.mails.get(kind="schedule"))
    assert '<span lang="en">Legislation group</span>' in email


@pytest.fixture
def settled():
    with time_machine.travel(NOW) as clock:

        def settled() -> dict[str, tuple[str, str, str]]:
            """Let edits settle, and return the notices by language, as they would be sent."""
            clock.shift(dt.timedelta(minutes=11))
            tasks.queue_due_mails()
            notices = OutgoingMail.objects.filter(
                kind__in=["changed", "canceled", "schedule_update"]
            )
            return {each.registration.language: written(each) for each in notices}

        yield settled


def everyone(week) -> None:
    sign_up(week)
    spanish(week)
    now = timezone.now()
    OutgoingMail.objects.update(state="sent", sent_at=now, claimed_at=now)


def edit(session: Session, **columns) -> None:
    with edit_session(session.pk):
        Session.objects.filter(pk=session.pk).update(**columns)


def edit_agenda(session: Session, **columns) -> None:
    with edit_session(session.pk):
        item = session.agenda.first()
        AgendaItem.objects.filter(pk=item.pk).update(**columns)


@pytest.fixture
def untranslated(opening):
    """Everyone sees this session in English."""
    Session.objects.filter(pk=opening.pk).update(**in_spanish(title=None))
    opening.agenda.update(**in_spanish(title=None, description=None))
    return opening


def test_first_translation_is_not_announced(week, untranslated, settled):
    everyone(week)
    edit(untranslated, **in_spanish(title="Hola", summary="Resumen"))
    edit_agenda(untranslated, **in_spanish(title="Bienvenida", description="Quiénes somos"))
    assert settled() == {}
    # And its correction is.
    edit(untranslated, **in_spanish(title="Hola a todos"))
    notices = settled()
    assert [*notices] == ["es"]
    text = " ".join(notices["es"][1].split())
    assert ("Antes: Hola Ahora: Hola a todos" in text, "Opening session" in text) == (True, False)


def test_notice_of_a_new_time_lists_no_first_translation(week, untranslated, settled):
    everyone(week)
    later = untranslated.ends_at + dt.timedelta(minutes=5)
    edit(untranslated, ends_at=later, **in_spanish(title="Hola"))
    text = settled()["es"][1]
    assert ("HORA" in text.upper(), "Antes: Opening" in " ".join(text.split())) == (True, False)


@pytest.mark.parametrize(
    ("columns", "reader", "shown"),
    [
        (in_english(title="New title"), "en", "Now: New title"),
        (in_spanish(title="Otro título"), "es", "Ahora: Otro título"),
    ],
)
def test_new_title_is_announced_to_those_who_see_it(week, opening, settled, columns, reader, shown):
    everyone(week)
    edit(opening, **columns)
    notices = settled()
    assert [*notices] == [reader]
    assert shown in " ".join(notices[reader][1].split())


@pytest.mark.parametrize(
    ("columns", "reader"),
    [(in_english(title="Something new"), "en"), (in_spanish(description="Something new"), "es")],
)
def test_new_agenda_is_sent_to_those_who_see_it(week, opening, settled, columns, reader):
    everyone(week)
    edit_agenda(opening, **columns)
    notices = settled()
    assert [*notices] == [reader]
    assert "Something new" in notices[reader][1]


def test_new_english_text_is_announced_where_everyone_sees_it(week, untranslated, settled):
    everyone(week)
    edit_agenda(untranslated, **in_english(title="A new item"))
    assert {*settled()} == {"en", "es"}
    OutgoingMail.objects.filter(kind="schedule_update").delete()
    edit(untranslated, **in_english(title="New title"))
    notices = settled()
    assert {*notices} == {"en", "es"}
    assert "Ahora: New title" in " ".join(notices["es"][1].split())


def test_what_changes_in_every_language_is_announced_to_all(week, opening, settled):
    everyone(week)
    edit_agenda(opening, minutes=7)
    assert {*settled()} == {"en", "es"}
    OutgoingMail.objects.filter(kind="schedule_update").delete()
    later = opening.ends_at + dt.timedelta(minutes=5)
    edit(opening, ends_at=later, **in_spanish(title="Otro título"))
    notices = settled()
    assert ("Title" in notices["en"][1], "Título" in notices["es"][1]) == (False, True)


def test_title_and_time_that_are_undone_are_corrected_for_those_who_saw_them(
    week, opening, settled
):
    """Of an unsent notice's readers, those whose language has no change need none anymore."""
    everyone(week)
    edit(opening, ends_at=opening.ends_at + dt.timedelta(minutes=5))
    assert {*settled()} == {"en", "es"}
    edit(opening, ends_at=opening.ends_at, **in_spanish(title="Otro título"))
    notices = settled()
    assert notices["en"] == ("", "", "")
    assert "Ahora: Otro título" in " ".join(notices["es"][1].split())
    unsent = OutgoingMail.objects.filter(state="waiting", kind="changed")
    assert [each.registration.language for each in unsent] == ["es"]


def test_reminder_waits_only_for_a_notice_that_its_reader_gets(week, opening):
    with time_machine.travel(NOW) as clock:
        Session.objects.filter(pk=opening.pk).update(
            starts_at=NOW + dt.timedelta(hours=25), ends_at=NOW + dt.timedelta(hours=26)
        )
        everyone(week)
        clock.shift(dt.timedelta(minutes=62))
        edit(opening, **in_english(title="New title"))
        tasks.queue_due_mails()
        reminded = OutgoingMail.objects.filter(kind="day")
        assert [each.registration.language for each in reminded] == ["es"]


def test_notice_shows_before_and_after_in_the_readers_language(week, opening, settled):
    everyone(week)
    edit(opening, **in_english(title="New title"), **in_spanish(title="Título nuevo"))
    notices = settled()
    text = " ".join(notices["es"][1].split())
    assert "Antes: Sesión de apertura: cómo reducir la LWOP" in text
    assert "Ahora: Título nuevo" in text
    assert "New title" not in "".join(notices["es"])
    assert "Título nuevo" not in "".join(notices["en"])


def test_cancellation_names_the_session_in_the_readers_language(week, opening, settled):
    everyone(week)
    edit(opening, **in_english(title="New title"))
    cancel_session(session=opening)
    notices = settled()
    assert "Previously called: Opening session" in " ".join(notices["en"][1].split())
    assert "Antes se llamaba" not in notices["es"][1]
    assert "Sesión de apertura: cómo reducir" in notices["es"][1]
    assert "Opening session" not in "".join(notices["es"])
    assert "New title" in notices["en"][1]


# Announcements


@pytest.fixture
def news(week):
    return Announcement.objects.create(event=week, **in_english(subject="News", body="**Hello**"))


def review(client, announcement: Announcement, query: str = "", **post):
    url = f"/admin/registrations/announcement/{announcement.pk}/review/{query}"
    return client.post(url, post) if post else client.get(url)


def text_of(answer) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", answer.content.decode())).split())


def test_announcement_is_sent_to_each_reader_in_their_language(week, news):
    Announcement.objects.update(**in_spanish(subject="Noticias", body="**Hola**, {name}"))
    everyone(week)
    announcements.send_now(announcement=news)
    tasks.queue_due_mails()
    sent = {each.registration.language: written(each) for each in news.mails.all()}
    assert [sent[language][0] for language in ("en", "es")] == ["News", "Noticias"]
    assert "<strong>Hola</strong>, Inés I" in sent["es"][2]
    assert re.findall(' lang="(..)"', sent["es"][2]) == ["es"]


def test_announcement_in_english_only_is_marked_and_noted(week, news):
    everyone(week)
    announcements.send_now(announcement=news)
    tasks.queue_due_mails()
    subject, text, page = written(news.mails.get(registration__language="es"))
    assert (subject, " ".join(text.split()).count(NOTE), page.count(NOTE)) == ("News", 1, 1)
    assert '<div class="announcement" dir="auto" lang="en"' in page


def test_review_counts_readers_by_language_and_warns(admin_client, week, news):
    sign_up(week)
    assert "read" not in text_of(review(admin_client, news)).partition("would get it now")[2][:60]
    spanish(week)
    spanish(week, "Óscar O")
    page = text_of(review(admin_client, news))
    assert "1 person reads in English" in page
    assert "2 people read in Spanish. Not written in Spanish yet They get it in the other" in page
    Announcement.objects.update(**in_spanish(subject="Noticias", body="Hola"))
    page = text_of(review(admin_client, news))
    assert "2 people read in Spanish" in page
    assert "Not written in" not in page


def test_preview_and_test_email_can_be_in_each_language(admin_client, week, news):
    Announcement.objects.update(**in_spanish(subject="Noticias", body="Hola"))
    ines = spanish(week)
    assert review(admin_client, news).context["mail"].subject == "Noticias"
    page = review(admin_client, news, f"?person={ines.pk}&in=en")
    assert page.context["mail"].subject == "News"
    assert "<strong>Hello</strong>" in admin_client.get(page.context["html_url"]).content.decode()
    assert f'href="?person={ines.pk}&amp;in=es">Spanish</a>' in page.content.decode()
    for language, subject in (("es", "[Prueba] Noticias"), ("en", "[Test] News")):
        review(admin_client, news, do="test", person=ines.pk, **{"in": language})
        assert OutgoingMail.objects.filter(kind="test").latest("pk").message["subject"] == subject
    for odd in ("xx", "", "../es"):
        assert review(admin_client, news, f"?in={odd}").status_code == 200


def test_own_text_is_previewed_in_each_language_before_it_is_saved(admin_client, week):
    url = "/admin/registrations/mailtext/preview/"
    form = {
        "event": week.pk,
        "kind": "links",
        **in_english(opening="Hi"),
        **in_spanish(opening="Hola"),
    }
    assert "Hi" in admin_client.post(url, form).context["mail"].body
    page = admin_client.get(url, {"in": "es"})
    assert ("Hola" in page.context["mail"].body, "¡Hola" in page.context["mail"].body) == (
        True,
        False,
    )
    assert "Hola" in admin_client.get(page.context["html_url"]).content.decode()
    assert not MailText.objects.exists()


@pytest.mark.parametrize(
    ("model", "name"), [("mailtext", "opening"), ("mailtext", "subject"), ("announcement", "body")]
)
def test_placeholders_are_checked_in_each_language(admin_client, week, model, name):
    form = {
        "event": week.pk,
        "kind": "links",
        "audience": "all",
        **in_english(subject="A", body="B"),
    }
    answer = admin_client.post(
        f"/admin/registrations/{model}/add/", {**form, **in_spanish(**{name: "{nadie}"})}
    )
    assert list(answer.context["adminform"].form.errors) == [f"{name}_es"]


# Lists of the admin that read titles with a query of another model


def test_lists_name_events_and_sessions_in_the_organizers_language(admin_client, week, opening):
    with override("es"):
        # As an organizer who reads Spanish saves them.
        week.save()
        opening.capacity = 1
        opening.save()
    sign_up(week, sessions=[opening])
    sign_up(week, "Bob B", sessions=[opening])
    page = text_of(admin_client.get("/admin/"))
    seats = page.partition("Spots and waitlists")[2]
    assert seats.startswith(" Opening session: ways")
    assert "1 of 1 spot taken 1 person on the waitlist" in seats
    week.registrations.update(approval="pending")
    page = text_of(admin_client.get("/admin/registrations/registration/"))
    assert "are waiting for approval for Drop LWOP Strategy Week" in page
