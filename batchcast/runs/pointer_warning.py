"""What `latest.json` would keep readers from seeing, said before a run that costs hours begins."""

from __future__ import annotations

from datetime import date, timedelta

from batchcast.steps.arguments import AUTO
from batchcast.steps.errors import DataError, ServiceError
from batchcast.steps.publish.publication import read_pointer
from batchcast.steps.store.objects import ObjectStore

__all__ = ["pointer_warning"]

_CLOCKS_APART = timedelta(days=1)
"""No two time zones are further apart: a date that is tomorrow here may be today where the run was made."""


def pointer_warning(store: ObjectStore, publish_uri: str, run_date: str, today: date) -> str | None:
    """Why a run of this date (ISO, or `auto`) would be published and not be seen, None when nothing is in its way.

    Says nothing to an identity that may not read the pointer.
    """
    try:
        pointer, _ = read_pointer(store, publish_uri)
    except DataError as error:
        return f"Readers find no run now. {error.problems[0]}"
    except ServiceError:
        return None
    if pointer is None:
        return None
    named = f"latest.json names run {pointer.run_id} of {pointer.run_date}"
    if pointer.run_date > today + _CLOCKS_APART:
        what = f"{named}, a date in the future: until then every run is published and none becomes visible"
        return f"{what}. `published` lists the runs, `rollback --to RUN_ID` lets readers see another one."
    if run_date != AUTO and run_date < pointer.run_date.isoformat():
        return f"{named}: this run is of {run_date}, and will be published without becoming what readers see."
    return None
