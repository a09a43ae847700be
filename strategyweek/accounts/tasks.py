from celery import shared_task

from strategyweek.accounts import adapters


@shared_task
def delete_unverified_accounts() -> None:
    """Delete accounts whose address was entered on the sign-in page but never verified."""
    adapters.delete_unverified()
