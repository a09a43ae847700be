"""The content of the Drop LWOP Coalition's Strategy Week, as plain data.

Times are in `TIME_ZONE`. Days are counted from the Saturday on which the week starts.
"""

import datetime as dt
from dataclasses import dataclass

from events.models import Session


@dataclass(frozen=True)
class PlannedItem:
    """An agenda item. `speakers` are keys of `SPEAKERS`."""

    minutes: int
    title: str
    description: str = ""
    speakers: tuple[str, ...] = ()


@dataclass(frozen=True)
class PlannedSession:
    """A session. `track` is a key of `TRACKS`, or None for all tracks."""

    slug: str
    kind: Session.Kind
    title: str
    summary: str
    day: int
    starts: dt.time
    ends: dt.time
    agenda: tuple[PlannedItem, ...]
    track: str | None = None


NAME = "Drop LWOP Strategy Week"
HOST = "Drop LWOP Coalition"
TIME_ZONE = "America/Los_Angeles"
SUMMARY = (
    "A week of online sessions to end Life Without Parole (LWOP). "
    "We share what we know, think through four strategies, and leave with a plan we made together."
)
INTRODUCTION = """\
Life Without Parole, or LWOP, is a sentence to stay in prison until death, with no parole \
hearing to hope for. We come together for one week to see it used less, to bring people home, \
and to end it.

This week is for everyone who works toward that or wants to begin: organizers, lawyers, people \
who have been in prison, and the families of people who are still inside. You do not have to be \
an expert. What you have lived through is knowledge that this work needs.

We open on a Saturday with the whole picture. Four weekday evenings follow, each about one \
strategy: changing the law, winning commutations, resentencing, and influencing or countering \
district attorneys (DAs). On the second Saturday we bring the ideas together and decide what \
comes next. Come to all of it, or to the part that matters most to you.

Every session is on Zoom. Registering takes one page, and you need no account. We send you the \
Zoom links and the detailed schedule by email."""

# Name: description, in the order of the evenings.
TRACKS = {
    "Legislation": "Changing the laws that allow Life Without Parole.",
    "Commutations": "Asking governors to shorten sentences, so that people can come home.",
    "Resentencing": "Bringing a sentence back to court, so that a shorter one can take its place.",
    "Influencing/Countering DAs": (
        "Moving district attorneys away from Life Without Parole, "
        "and answering those who hold on to it."
    ),
}

# Name: affiliation. Groups only; organizers add people once they have agreed to speak.
SPEAKERS = {
    "Week hosts": HOST,
    "Legislation working group": HOST,
    "Commutations working group": HOST,
    "Resentencing working group": HOST,
    "DA working group": HOST,
    "Commutation attorneys panel": "",
    "Resentencing attorneys panel": "",
    "Families of people serving LWOP": "",
    "Formerly incarcerated organizers": "",
    "Organizers from around the country": "",
}
WORKING_GROUPS = (
    "Legislation working group",
    "Commutations working group",
    "Resentencing working group",
    "DA working group",
)

SESSIONS = (
    PlannedSession(
        slug="opening",
        kind=Session.Kind.KICKOFF,
        title="Opening session: ways to reduce and end LWOP, opportunities and obstacles, "
        "efforts throughout the country",
        summary="We start with the people whom LWOP touches, then look at the ways to reduce and "
        "end it, at what helps us and what stands in our way, and at the work under way in other "
        "places. A good first session if you are new.",
        day=0,
        starts=dt.time(9),
        ends=dt.time(13),
        agenda=(
            PlannedItem(
                15,
                "Welcome",
                "Who is here, how the week works, and how we look after each other on Zoom.",
                ("Week hosts",),
            ),
            PlannedItem(
                30,
                "What LWOP means to those who live with it",
                "Families and people who have been inside tell what the sentence does.",
                ("Families of people serving LWOP", "Formerly incarcerated organizers"),
            ),
            PlannedItem(
                40,
                "Ways to reduce and end LWOP",
                "The four strategies of this week, ten minutes each.",
                WORKING_GROUPS,
            ),
            PlannedItem(15, "Break"),
            PlannedItem(
                35,
                "Efforts throughout the country",
                "What others are trying, what has moved, and what they would do differently.",
                ("Organizers from around the country",),
            ),
            PlannedItem(
                30,
                "Opportunities and obstacles",
                "Open discussion: ask anything, and add what the speakers left out.",
                ("Week hosts",),
            ),
            PlannedItem(10, "Break"),
            PlannedItem(
                40,
                "Breakout rooms",
                "In small groups: Where could we win something soon? What stands in the way? "
                "Whom are we missing?",
            ),
            PlannedItem(
                15, "Report back", "Each room brings one opportunity and one obstacle to everyone."
            ),
            PlannedItem(
                10,
                "The days ahead",
                "What each evening will be about, and how to prepare for it.",
                ("Week hosts",),
            ),
        ),
    ),
    PlannedSession(
        slug="legislation",
        kind=Session.Kind.STRATEGY,
        title="Legislation and Policy (discussion and brainstorming)",
        summary="How could the law on LWOP change, and who has to be persuaded? We look at how a "
        "bill is made and passed, and collect ideas for the next one.",
        track="Legislation",
        day=2,
        starts=dt.time(18),
        ends=dt.time(20),
        agenda=(
            PlannedItem(
                10,
                "Welcome",
                "What we want to know by the end of the evening.",
                ("Legislation working group",),
            ),
            PlannedItem(
                20,
                "From an idea to a law",
                "The steps a bill takes, and the moments when ordinary people can change its fate.",
                ("Legislation working group",),
            ),
            PlannedItem(
                15,
                "Speaking to lawmakers",
                "What it is like to tell your story at a hearing or in an office.",
                ("Families of people serving LWOP", "Formerly incarcerated organizers"),
            ),
            PlannedItem(10, "Questions"),
            PlannedItem(5, "Break"),
            PlannedItem(
                35,
                "Breakout rooms: brainstorming",
                "Which change should we ask for? Who would carry it? Who would be against it, "
                "and what do we answer?",
            ),
            PlannedItem(15, "Report back", "Each room shares its two strongest ideas."),
            PlannedItem(
                10,
                "Next steps",
                "What we take to the closing session, and who writes it down.",
                ("Legislation working group",),
            ),
        ),
    ),
    PlannedSession(
        slug="commutations",
        kind=Session.Kind.STRATEGY,
        title="Increasing Commutations (discussion and brainstorming)",
        summary="A commutation makes a sentence shorter, and usually it is up to a governor. We "
        "talk about how to prepare a good application and how to build support for many more of "
        "them.",
        track="Commutations",
        day=3,
        starts=dt.time(18),
        ends=dt.time(20),
        agenda=(
            PlannedItem(
                10,
                "Welcome",
                "What we want to know by the end of the evening.",
                ("Commutations working group",),
            ),
            PlannedItem(
                25,
                "How a commutation comes about",
                "Who applies, who decides, what makes an application strong, "
                "and what families can do.",
                ("Commutation attorneys panel",),
            ),
            PlannedItem(
                15,
                "Coming home",
                "What helped before and after release, told by people who went through it.",
                ("Formerly incarcerated organizers",),
            ),
            PlannedItem(5, "Break"),
            PlannedItem(
                40,
                "Breakout rooms: brainstorming",
                "How do we help more people apply? How do we show governors that the public is "
                "behind them?",
            ),
            PlannedItem(15, "Report back", "Each room shares its two strongest ideas."),
            PlannedItem(
                10,
                "Next steps",
                "What we take to the closing session, and who writes it down.",
                ("Commutations working group",),
            ),
        ),
    ),
    PlannedSession(
        slug="resentencing",
        kind=Session.Kind.STRATEGY,
        title="Resentencing (discussion and brainstorming)",
        summary="Sometimes a court can look at a sentence again and replace it with a shorter "
        "one. We talk about the ways to get there and what families and advocates can do.",
        track="Resentencing",
        day=4,
        starts=dt.time(18),
        ends=dt.time(20),
        agenda=(
            PlannedItem(
                10,
                "Welcome",
                "What we want to know by the end of the evening.",
                ("Resentencing working group",),
            ),
            PlannedItem(
                20,
                "Going back to court",
                "What resentencing is, who can ask for it, and what a court looks at.",
                ("Resentencing attorneys panel",),
            ),
            PlannedItem(
                15,
                "Standing by someone",
                "What families can do before, during and after a hearing.",
                ("Families of people serving LWOP",),
            ),
            PlannedItem(
                10,
                "Questions",
                "General ones, please: nobody should have to share a case here.",
                ("Resentencing attorneys panel",),
            ),
            PlannedItem(5, "Break"),
            PlannedItem(
                35,
                "Breakout rooms: brainstorming",
                "How do we find the people who could go back to court? Who can help them prepare? "
                "Where are new ways needed?",
            ),
            PlannedItem(15, "Report back", "Each room shares its two strongest ideas."),
            PlannedItem(
                10,
                "Next steps",
                "What we take to the closing session, and who writes it down.",
                ("Resentencing working group",),
            ),
        ),
    ),
    PlannedSession(
        slug="das",
        kind=Session.Kind.STRATEGY,
        title="Influencing and Countering DAs (discussion and brainstorming)",
        summary="District attorneys (DAs) decide which charges to bring and which sentence to ask "
        "for. We talk about moving those who might listen and answering those who will not.",
        track="Influencing/Countering DAs",
        day=5,
        starts=dt.time(18),
        ends=dt.time(20),
        agenda=(
            PlannedItem(
                10,
                "Welcome",
                "What we want to know by the end of the evening.",
                ("DA working group",),
            ),
            PlannedItem(
                20,
                "What a DA can do",
                "Where a DA's choices lead to LWOP, or away from it.",
                ("DA working group",),
            ),
            PlannedItem(
                20,
                "How communities make themselves heard",
                "Meetings, elections, the press and the courtroom: what organizers have tried.",
                ("Formerly incarcerated organizers", "Organizers from around the country"),
            ),
            PlannedItem(5, "Break"),
            PlannedItem(
                40,
                "Breakout rooms: brainstorming",
                "Half of the rooms think about influencing a DA, the other half about countering "
                "one. Choose the one that fits your county.",
            ),
            PlannedItem(15, "Report back", "Each room shares its two strongest ideas."),
            PlannedItem(
                10,
                "Next steps",
                "What we take to the closing session, and who writes it down.",
                ("DA working group",),
            ),
        ),
    ),
    PlannedSession(
        slug="closing",
        kind=Session.Kind.CLOSING,
        title="Bringing the week's ideas together: tactics, goals, coordination, "
        "how everyone can get involved",
        summary="We put the ideas of the four evenings side by side, choose tactics and goals, "
        "and agree on who does what. Come even if you missed an evening: there is a part for "
        "everyone.",
        day=7,
        starts=dt.time(9),
        ends=dt.time(12),
        agenda=(
            PlannedItem(
                10,
                "Welcome back",
                "Where the week has brought us, and what today is for.",
                ("Week hosts",),
            ),
            PlannedItem(
                40,
                "What the four evenings brought",
                "The strongest ideas of each strategy, ten minutes each.",
                WORKING_GROUPS,
            ),
            PlannedItem(
                20,
                "How it fits together",
                "Open discussion: Which ideas help each other? Which have to wait?",
                ("Week hosts",),
            ),
            PlannedItem(10, "Break"),
            PlannedItem(
                40,
                "Breakout rooms: tactics and goals",
                "One room for each strategy: a goal, the first three steps, and who is needed.",
            ),
            PlannedItem(20, "Report back", "Each room presents its goal and its first steps."),
            PlannedItem(
                20,
                "Coordination",
                "Who does what, when we meet again, and how we stay in touch.",
                ("Week hosts",),
            ),
            PlannedItem(
                15,
                "How everyone can get involved",
                "Something to do for people with an hour a month and for those with more.",
                ("Families of people serving LWOP", "Formerly incarcerated organizers"),
            ),
            PlannedItem(5, "Thanks and goodbye", "", ("Week hosts",)),
        ),
    ),
)
