"""`report.html`: the report as one page that needs nothing else, light or dark, from 360 px up."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from batchcast.steps.checks.flags import Flag
from batchcast.steps.contract.answer import Expected
from batchcast.steps.contract.checks import CHECKS, flag_words
from batchcast.steps.outcome.ledger import REASONS, LedgerRow
from batchcast.steps.plain_text import html_text as escape
from batchcast.steps.publish.forecast_table import merged_words
from batchcast.steps.report.all_items import all_items
from batchcast.steps.report.charts import coverage_bar, forecast_chart, score_bars, three_decimals
from batchcast.steps.report.html import html_page, html_table, read_part
from batchcast.steps.report.item_charts import item_charts
from batchcast.steps.report.page_items import PageItems


def report_page(report: Mapping[str, Any], items: str) -> str:
    """The page for a report of `batchcast.steps.report.document`, with what `draw_items` has drawn. Every text that
    comes from data is escaped. Its script only finds items: without it all else is there."""
    title = f"Forecasts from {report['run_date']}: {_title(report)}"
    body = "".join([_banner(report), items, _after_items(report)])
    return html_page(title, body, script=read_part("find_items.js"))


def draw_items(
    report: Mapping[str, Any],
    rows: Mapping[int, LedgerRow],
    flags: Iterable[Flag],
    expected: Expected,
    items: PageItems,
) -> str:
    """What takes time to draw: the items, whether the report is of a run that is published by now or not. `rows` are
    those whose first answer was not good, by their place."""
    first = "".join([_flags(report), _lost(report), item_charts(report, expected, items)])
    taken = len("".join([_banner(report), first, _after_items(report)]).encode())
    return first + all_items(report, rows, flags, expected, items, taken)


def _after_items(report: Mapping[str, Any]) -> str:
    return "".join([_scorecard(report), _score(report), _coverage(report), _internals(report)])


def page_of_rejected(page: str, rejected: Mapping[str, str]) -> str:
    """The page of a held run that somebody has rejected since."""
    said = f"<p>Rejected by {escape(rejected['by'])} at {escape(rejected['at'])}: {escape(rejected['reason'])}</p>"
    return page.replace("</h1>", f"</h1>{said}", 1)


def _title(report: Mapping[str, Any]) -> str:
    counts = report["counts"]
    match report["outcome"]:
        case _ if report["published"] and not report["pointer_moved"]:
            return f"Published, and not what readers see: {counts['ok']:,} of {counts['expected']:,} items"
        case "COMPLETE" | "COMPLETE_WITH_QUARANTINE" if report["merged"]:
            words = merged_words(report["merged"])
            return f"{words[0].upper()}{words[1:]}{_doubt(report)}"
        case "COMPLETE":
            return f"All {counts['expected']:,} items have a forecast{_doubt(report)}"
        case "COMPLETE_WITH_QUARANTINE":
            return f"{counts['ok']:,} of {counts['expected']:,} items have a forecast{_doubt(report)}"
        case "HELD" if report["cause_kind"] == "forecasts":
            return f"Nothing was published: {_flag_words(report)}"
        case "RETRY":
            alone = report["retry_records"] <= report["parameters"]["max_retry_records"]
            how = "each alone" if alone else "fewer in a file"
            return f"{report['retry_records']:,} records are sent to the model once more, {how}"
    return "Nothing was published"


def _doubt(report: Mapping[str, Any]) -> str:
    words = _flag_words(report)
    approved = " (approved)" if report["approved"] else ""
    return f", and {words}{approved}" if words else ""


def _flag_words(report: Mapping[str, Any]) -> str:
    return flag_words(report["flagged_run"], report["flagged_items"])


def _first_step(report: Mapping[str, Any]) -> str:
    """What to do first; empty where nothing is to be done."""
    run = report["run_id"]
    if report["published"] and not report["pointer_moved"]:
        return f"Readers do not see this run. `rollback --to {run}` lets them see it."
    if report["outcome"] == "HELD" and report["cause_kind"] == "forecasts":
        return f"Look at the charts below; then `approve {run} --reason …` publishes it, `reject {run}` closes it."
    if report["outcome"] == "HELD" or report["failed"]:
        return f"`rerun {run}` sends again what has no forecast, and keeps the rest."
    return "Look at the items below before you use the forecasts." if report["flags"] else ""


def _banner(report: Mapping[str, Any]) -> str:
    facts = [
        f"Run date {report['run_date']}",
        f"{report['forecast_horizon']} steps of {report['frequency']}",
        f"run {report['run_id']}",
        f"label {report['run_label']}",
        f"round {report['round']}",
    ]
    lines = [*([report["cause"]] if report["cause"] else []), *report["notes"]]
    if approved := report["approved"]:
        lines.append(f"Held by the checks, and approved by {approved['by']} at {approved['at']}: {approved['reason']}")
    if report["published"]:
        lines += [f"Published at {report['published']}", f"{report['pointer_note']}."]
    first = _first_step(report)
    text = f"<p><b>{escape(first)}</b></p>" * bool(first) + "".join(f"<p>{escape(line)}</p>" for line in lines)
    outcome = report["outcome"]
    # Amber is the colour of a run that is published and has to be looked at.
    tone = "complete_with_quarantine" if outcome == "COMPLETE" and _flag_words(report) else outcome.lower()
    return (
        f'<header class="{tone}"><p class="outcome">{outcome}</p>'
        f"<h1>{escape(_title(report))}</h1>{text}"
        f'<p class="facts">{escape(" · ".join(facts))}</p></header>'
    )


def _coverage(report: Mapping[str, Any]) -> str:
    counts = report["counts"]
    parts = {name: counts[name] for name in ("ok", "quarantined", "failed", "missing")}
    tiles = [_tile("expected", counts["expected"], "items expected")]
    tiles += [_tile(name, count, "have a forecast" if name == "ok" else name) for name, count in parts.items()]
    requests = report["requests"]
    notes = [f"{requests['first']:,} requests were sent to the model"]
    notes[0] += f", and {requests['retry']:,} more in the retry round." if requests["retry"] else "."
    if counts["carried"]:
        notes.append(f"{counts['carried']:,} of the forecasts are carried over from an earlier run.")
    if report["carried_forward"]:
        notes.append(f"{report['carried_forward']:,} items are filled up from the last published run.")
    text = "".join(f"<p>{note}</p>" for note in notes)
    tile_list = f'<ul class="tiles">{"".join(tiles)}</ul>'
    return f"<section><h2>Every item accounted for</h2>{coverage_bar(parts)}{tile_list}{text}</section>"


def _tile(name: str, count: int, words: str) -> str:
    return f'<li class="{name if count else "none"}"><b>{count:,}</b> {words}</li>'


def _score(report: Mapping[str, Any]) -> str:
    score = report["score"]
    if score is None:
        return ""
    model, naive = score["wape_model"], score["wape_naive"]
    bars = score_bars({"model": ("Model", model), "naive": ("Seasonal naive", naive)})
    text = f"{_change(model, naive)}, over {score['items']:,} items and {score['days']} steps known by now. "
    text += f"MASE {three_decimals(score['mase_model'])}, of the naive {three_decimals(score['mase_naive'])}."
    targets = "".join(
        f"<li>{escape(name)}: {each['wape_model']:.3f} against {each['wape_naive']:.3f}</li>"
        for name, each in score["by_target"].items()
    )
    more = f"<ul>{targets}</ul>" if len(score["by_target"]) > 1 else ""
    more += "".join(_quantile_scores(name, each) for name, each in (score["quantiles"] or {}).items())
    return f"<section><h2>Error against the actuals (WAPE)</h2>{bars}<p>{text}</p>{more}</section>"


_ERRORS = ("wape", "wape_naive", "mase", "mase_naive")
_LINES = {"naive": "wape_naive", "model": "wape"}


def _scorecard(report: Mapping[str, Any]) -> str:
    card = report["scorecard"]
    weeks = [week for week in card["weeks"] if week["wape"] is not None]
    if not weeks:
        return ""
    lines = {name: np.array([week[key] for week in weeks]) for name, key in _LINES.items()}
    chart = forecast_chart("WAPE by week, of the model and of the seasonal naive", [w["week"] for w in weeks], lines)
    legend = '<p class="legend"><span class="model">model</span><span class="naive">seasonal naive</span></p>'
    rows = [
        (str(row["lead"]), *(three_decimals(row[name]) for name in _ERRORS), f"{row['bias_share']:+.1%}")
        for row in card["leads"]
        if row["wape"] is not None
    ]
    table = html_table(("Steps ahead", "WAPE", "of the naive", "MASE", "of the naive", "Bias"), rows)
    text = f"Week by week, by what has become known since: {_change(weeks[-1]['wape'], weeks[-1]['wape_naive'])} last."
    details = f"<details><summary>By steps ahead</summary>{table}</details>"
    return f"<section><h2>How the last runs did (WAPE)</h2>{legend}{chart}<p>{text}</p>{details}</section>"


def _quantile_scores(target: str, scored: Mapping[str, Any]) -> str:
    losses = ", ".join(f"{loss:.4g} at {level}" for level, loss in scored["pinball"].items())
    text = f"Pinball loss of {escape(target)}: {losses}."
    covered = scored["coverage"]
    if covered is not None:
        between = f"between the levels {covered['low']:g} and {covered['high']:g}"
        text += f" {covered['found']:.0%} of the actual values lie {between}; {covered['expected']:.0%} should."
    return f"<p>{text}</p>"


def _change(model: float, naive: float) -> str:
    if naive == 0:
        return "The seasonal naive makes no error"
    if model <= naive:
        return f"{1 - model / naive:.0%} less error than the seasonal naive"
    return f"{model / naive:.2f} times the error of the seasonal naive"


def _lost(report: Mapping[str, Any]) -> str:
    rows = [(each["item_id"], each["explanation"], each["detail"]) for each in report["failed"] + report["quarantined"]]
    total = sum(report["counts"][status] for status in ("quarantined", "failed", "missing"))
    reasons = {REASONS[reason]: count for reason, count in report["reasons"].items()}
    elsewhere = "ledger.parquet has all of them, failed_records.jsonl the records themselves"
    return _listing("Items without a forecast", reasons, "Why", rows, total, elsewhere)


def _flags(report: Mapping[str, Any]) -> str:
    rows = [
        (flag["item_id"] or "the whole run", CHECKS[flag["kind"]].words, flag["detail"]) for flag in report["flags"]
    ]
    kinds = {CHECKS[kind].words: count for kind, count in report["flag_counts"].items()}
    return _listing("Worth a look", kinds, "What is odd", rows, sum(kinds.values()), "report.json counts all of them")


def _listing(
    title: str, counts: Mapping[str, int], why: str, rows: Sequence[Sequence[str]], total: int, elsewhere: str
) -> str:
    """How many items there are of each kind, and some of them; nothing where there are none."""
    kinds = "".join(f"<li><b>{count:,}</b> {escape(words)}</li>" for words, count in counts.items())
    listed = f"<p>The first {len(rows):,} of {total:,}; {elsewhere}.</p>" if len(rows) < total else ""
    table = html_table(("Item", why, "Detail"), rows)
    return f"<section><h2>{title}</h2><ul>{kinds}</ul>{listed}{table}</section>" if rows else ""


def _internals(report: Mapping[str, Any]) -> str:
    shards = report["shards"]
    bad = [f"{shards[name]:,} {name}" for name in ("missing", "short", "long", "garbled") if shards[name]]
    text = ", ".join([f"{shards['ok']:,} of {shards['expected']:,} shards have a whole output", *bad])
    rows = [(name, str(value)) for name, value in sorted(report["parameters"].items())]
    table = html_table(("Parameter", "Value"), rows)
    return f"<section><details><summary>Parameters and shards</summary><p>{text}.</p>{table}</details></section>"
