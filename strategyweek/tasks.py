from celery import shared_task

from . import accounts


@shared_task
def delete_unproven_accounts() -> None:
    """Forget addresses that somebody typed on the sign-in page and nobody proved."""
    accounts.delete_unproven()
