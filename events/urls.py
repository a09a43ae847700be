from django.urls import path

from events import views
from events.sharing import views as sharing

urlpatterns = [
    path("", views.home, name="home"),
    path("robots.txt", sharing.robots, name="robots"),
    path("sitemap.xml", sharing.sitemap, name="sitemap"),
    path("icon.svg", views.icon, name="icon"),
    path("<slug:slug>/", views.event, name="event"),
    path("<slug:slug>/calendar.ics", views.calendar, name="event_calendar"),
    path("<slug:event_slug>/sessions/<slug:slug>/", views.session, name="session"),
]
