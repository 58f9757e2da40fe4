"""An object store that fails at a chosen operation, for the tests of what a crash leaves behind."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from batchcast.steps.store.objects import ObjectStore


class Crash(BaseException):
    """The process ends here: nothing that handles errors sees it."""


class FailingStore:
    """Passes everything on up to operation `at` (from 0): that one does not happen, or happens unnoticed (`after`)."""

    def __init__(self, store: ObjectStore, *, at: int | None = None, after: bool = False) -> None:
        self._store, self._at, self._after = store, at, after
        self.operations: list[str] = []

    def __getattr__(self, name: str) -> Callable[..., Any]:
        operation = getattr(self._store, name)

        def counted(uri: Any, *rest: Any) -> Any:
            self.operations.append(f"{name} {uri}")
            last = len(self.operations) - 1 == self._at
            if last and not self._after:
                raise Crash(self.operations[-1])
            if not last:
                return operation(uri, *rest)
            with contextlib.suppress(Exception):
                result = operation(uri, *rest)
                if name == "open":
                    result.close()
            raise Crash(self.operations[-1])

        return counted
