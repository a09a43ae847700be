from celery import shared_task
from django.core.mail import send_mail


@shared_task(autoretry_for=(OSError,), retry_backoff=5, max_retries=6)
def send_account_mail(subject: str, body: str, email: str) -> None:
    """Send an organizer's mail about the account, such as a password reset."""
    send_mail(subject, body, None, [email])
