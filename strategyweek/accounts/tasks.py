from celery import shared_task

from strategyweek.accounts import adapters


@shared_task
def delete_unproven_accounts() -> None:
    """Forget addresses that somebody typed on the sign-in page and nobody proved."""
    adapters.delete_unproven()
