"""For mkdocs: a link to a file of the repository that is not on the site becomes the file's name."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

_LINK = re.compile(r"\[([^\]]*)\]\((\.\./[^)#:]+)(#[^)]*)?\)")


def on_page_markdown(markdown: str, *, page: Any, config: Any, files: Any) -> str:  # noqa: ARG001
    """The page's text, as mkdocs asks for it."""
    docs = Path(config["docs_dir"])
    folder = (docs / page.file.src_uri).parent

    def named(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(folder / link[2]))
        return link[0] if target.is_relative_to(docs) else f"{link[1]} (`{target.relative_to(docs.parent).as_posix()}`)"

    return _LINK.sub(named, markdown)
