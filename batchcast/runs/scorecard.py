"""The scorecard: how good the published forecasts were, added up from what each run has scored."""

import os
from typing import Any

from batchcast.steps.checks.scorecard import scorecard, scored_runs
from batchcast.steps.outcome.last_run import current_run
from batchcast.steps.store.environment import open_store
from batchcast.steps.store.objects import ObjectStore


def read_scorecard(publish_uri: str, *, store: ObjectStore | None = None) -> dict[str, Any]:
    """The scorecard of what `latest.json` names and of what was published before it.

    Of each run date the run counts that was published last; one that was rolled back or pruned does not.
    """
    store = store or open_store(os.environ)
    runs = scored_runs(store, publish_uri, current_run(store, publish_uri))
    return scorecard([(run.run_date, run.manifest["scores"]) for run in runs])
