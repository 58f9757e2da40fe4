"""Whether a run has the items that the last one had, or others in their place."""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from batchcast.steps.answers.item_arrays import of_items
from batchcast.steps.answers.item_names import ItemNames
from batchcast.steps.checks.flags import MOST, Flag
from batchcast.steps.outcome.comparison import Array
from batchcast.steps.outcome.last_run import LastRun, items_beside
from batchcast.steps.store.objects import ObjectStore

_EXAMPLES = 2


def other_items(
    store: ObjectStore, last_run: LastRun, item_ids: pa.ChunkedArray, by_step: Array | None
) -> Iterator[Flag]:
    """A flag where most items of the last run are gone, and most of these items are new.

    `by_step` are that run's values of these items, if they were read: where most of its items are among them, its files
    need not be read for their names.
    """
    if by_step is not None and np.count_nonzero(of_items(_known, by_step)) >= (1 - MOST) * last_run.items:
        return
    if (found := items_beside(store, last_run, item_ids)) is None:
        return
    shared, gone = found
    new, names = np.flatnonzero(~shared), ItemNames(item_ids)
    then = len(shared) - len(new) + len(gone)
    if len(gone) > MOST * then and len(new) > MOST * len(shared):
        lost = f"{len(gone):,} of the {then:,} items of run {last_run.run_id} are gone, such as {_some(gone)}"
        detail = f"{lost}; {len(new):,} of these {len(shared):,} are new, such as {_some(names[int(at)] for at in new)}"
        yield Flag(kind="other_items", item_id="", detail=detail, size=len(gone) / then)


def _known(by_step: Array) -> npt.NDArray[np.bool_]:
    return np.asarray(np.isfinite(by_step).any(axis=(1, 2)))


def _some(names: Iterable[str]) -> str:
    return " and ".join(islice(names, _EXAMPLES))
