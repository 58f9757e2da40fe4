"""pyarrow imports pandas, where it is installed, to know its types when it sees them. No step has any, and the import
costs each process a fifth of a second and 50 MB."""

import sys
from importlib.abc import MetaPathFinder


def refuse_pandas() -> None:
    """From now on pandas is as good as not installed in this process, which pyarrow gets on without."""
    sys.meta_path.insert(0, _NoPandas())


def admit_pandas() -> None:
    """Take that back: another library insists on it."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, _NoPandas)]


class _NoPandas(MetaPathFinder):
    def find_spec(self, name: str, *_: object) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("the steps do without pandas", name=name)
