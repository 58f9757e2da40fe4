"""What all pages share: the head with the style sheet, tables and figures. Every text that comes in is escaped."""

import base64
import hashlib
from collections.abc import Iterable, Sequence

from batchcast.steps.plain_text import html_text as escape

_STYLE = """
:root { color-scheme: light dark; --text: #1c2430; --soft: #566072; --line: #dfe3ea; --back: #f5f6f8; --card: #fff;
  --ok: #1a7f4b; --warn: #a15c00; --bad: #b3261e; --retry: #2457b5; --model: #2457b5; --naive: #8a93a3;
  --actual: #1c2430; }
@media (prefers-color-scheme: dark) { :root { --text: #e6e9ef; --soft: #a3adbd; --line: #333b48; --back: #14181f;
  --card: #1c222b; --ok: #4cc38a; --warn: #f0b35a; --bad: #ff8a80; --retry: #8ab4ff; --model: #8ab4ff; --naive: #8a93a3;
  --actual: #e6e9ef; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 1rem; }
header, section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 1rem 1.25rem;
  margin-bottom: 1rem; overflow-wrap: anywhere; }
header { border-left: 8px solid var(--tone); }
header.complete { --tone: var(--ok); } header.complete_with_quarantine { --tone: var(--warn); }
header.retry { --tone: var(--retry); } header.held { --tone: var(--bad); }
.outcome { margin: 0; color: var(--tone); font-weight: 700; font-size: .85rem; letter-spacing: .05em; }
h1 { margin: 0 0 .5rem; font-size: 1.6rem; line-height: 1.2; } h2 { margin: 0 0 .75rem; font-size: 1.05rem; }
summary { font-weight: 700; font-size: 1.05rem; cursor: pointer; }
p { margin: .35rem 0; } .facts { color: var(--soft); font-size: .9rem; }
ul { padding-left: 1.2rem; margin: .5rem 0; }
.tiles { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: .5rem 2rem; color: var(--soft); }
.tiles b { display: block; font-size: 1.5rem; line-height: 1.2; color: var(--text);
  font-variant-numeric: tabular-nums; }
.tiles .ok b { color: var(--ok); } .tiles .quarantined b { color: var(--warn); }
.tiles .failed b, .tiles .missing b { color: var(--bad); } .tiles .none b { color: var(--soft); font-weight: 400; }
figcaption { min-height: 2.6rem; } svg { display: block; width: 100%; } svg text { font-size: 10px; fill: var(--soft); }
.bar { height: 14px; border-radius: 7px; } rect.ok { fill: var(--ok); } rect.quarantined { fill: var(--warn); }
rect.failed, rect.missing { fill: var(--bad); } rect.missing { opacity: .6; }
section > svg:not(.bar) { max-width: 30rem; } rect.model { fill: var(--model); } rect.naive { fill: var(--naive); }
svg .value { fill: var(--text); font-weight: 600; }
.plots { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); gap: 1rem; }
figure { margin: 0; } figcaption { font-size: .85rem; color: var(--soft); } figcaption b { color: var(--text); }
path { fill: none; stroke-width: 1.5; stroke-linejoin: round; stroke-linecap: round; }
line.grid { stroke: var(--line); }
path.band { fill: var(--model); opacity: .16; stroke: none; }
path.model { stroke: var(--model); stroke-width: 2.5; } path.naive { stroke: var(--naive); stroke-dasharray: 3 3; }
path.last { stroke: var(--retry); stroke-width: 1.2; stroke-dasharray: 6 2; opacity: .8; }
path.actual { stroke: var(--actual); stroke-width: 1.2; }
.legend { display: flex; flex-wrap: wrap; gap: .25rem 1.25rem; font-size: .85rem; color: var(--soft); }
.legend span::before { content: ""; display: inline-block; width: 1.4rem; margin-right: .4rem; vertical-align: middle;
  border-top: 2px solid var(--model); }
.legend .band::before { border-top: 10px solid var(--model); opacity: .16; }
.legend .last::before { border-top: 2px dashed var(--retry); }
.legend .naive::before { border-top: 2px dashed var(--naive); } .legend .actual::before { border-color: var(--actual); }
table { width: 100%; border-collapse: collapse; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .4rem .75rem .4rem 0; border-top: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; border-top: 0; }
input { font: inherit; color: inherit; background: var(--back); border: 1px solid var(--soft); border-radius: 6px;
  padding: .3rem .6rem; width: 100%; max-width: 24rem; display: block; }
@media (max-width: 600px) { thead { display: none; } tr { display: block; border-top: 1px solid var(--line);
  padding: .5rem 0; } td { display: block; border: 0; padding: .1rem 0; }
  td::before { content: attr(data-label) " "; color: var(--soft); font-size: .8rem; display: block; } }
@media print { body { background: none; } header, section { break-inside: avoid; } }
"""


def html_page(title: str, body: str, more_style: str = "", script: str = "") -> str:
    """A whole page that needs nothing else; `body` is HTML. It loads nothing, and runs no script but the given one."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src '{f'sha256-{digest}' if script else 'none'}'"
    end = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}{more_style}</style></head>"
        f"<body><main>{body}</main>{end}</body></html>\n"
    )


def html_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table that a narrow screen shows as a list: each cell knows its column's name."""
    columns = "".join(f'<th scope="col">{escape(name)}</th>' for name in head)
    lines = "".join(
        "<tr>"
        + "".join(f'<td data-label="{escape(n)}">{escape(v)}</td>' for n, v in zip(head, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{columns}</tr></thead><tbody>{lines}</tbody></table>"


def html_figure(name: str, caption: str, chart: str) -> str:
    """A chart below its name and its caption; `chart` is SVG."""
    return f"<figure><figcaption><b>{escape(name)}</b><br>{escape(caption)}</figcaption>{chart}</figure>"
