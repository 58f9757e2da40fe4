"""What all pages share: the head with the style sheet, tables and figures. Every text that comes in is escaped."""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from importlib import resources

from batchcast.steps.plain_text import html_text as escape


def read_part(name: str) -> str:
    """A file beside this module, which may lie in a zip."""
    return resources.files("batchcast.steps.report").joinpath(name).read_text("utf-8")


def html_page(title: str, body: str, more_style: str = "", script: str = "") -> str:
    """A whole page that needs nothing else; `body` is HTML. It loads nothing, and runs no script but the given one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src '{f'sha256-{digest}' if script else 'none'}'"
    end = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>\n{read_part('page.css')}{more_style}</style></head>"
        f"<body><main>{body}</main>{end}</body></html>\n"
    )


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that a narrow screen shows as a list: each cell knows its column's name."""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    cells = (
        "".join(f'<td data-label="{escape(n)}">{escape(v)}</td>' for n, v in zip(head, row, strict=True))
        for row in rows
    )
    lines = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table>"


def html_figure(name: str, caption: str, chart: str) -> str:
    """A chart below its name and its caption; `chart` is SVG."""
    return f"<figure><figcaption><b>{escape(name)}</b><br>{escape(caption)}</figcaption>{chart}</figure>"
