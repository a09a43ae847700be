from django.urls import path

from events import views
from events.images import views as images
from events.sharing import views as sharing

urlpatterns = [
    path("", views.home, name="home"),
    path("robots.txt", sharing.robots, name="robots"),
    path("sitemap.xml", sharing.sitemap, name="sitemap"),
    # The site's own icon, and those of events.
    path("icon.svg", views.icon, name="icon"),
    path("touch-icon.png", sharing.touch_icon, name="touch_icon"),
    path("icons/<slug:mark>/<slug:colors>.svg", views.icon, name="icon"),
    path("icons/<slug:mark>/<slug:colors>.png", sharing.touch_icon, name="touch_icon"),
    path("images/<slug:image>.webp", images.image, name="image"),
    path("<slug:slug>/", views.event, name="event"),
    path("<slug:slug>/picture.png", sharing.event_picture, name="event_picture"),
    path("<slug:slug>/embed/", sharing.embed, name="embed"),
    path("<slug:slug>/flyer/", sharing.flyer, name="flyer"),
    path("<slug:slug>/printed-schedule/", sharing.printed_schedule, name="printed_schedule"),
    path("<slug:slug>/calendar.ics", views.calendar, name="event_calendar"),
    path("<slug:event_slug>/sessions/<slug:slug>/", views.session, name="session"),
    path(
        "<slug:event_slug>/sessions/<slug:slug>/calendar.ics",
        views.session_calendar,
        name="session_calendar",
    ),
    path(
        "<slug:event_slug>/sessions/<slug:slug>/picture.png",
        sharing.session_picture,
        name="session_picture",
    ),
]
