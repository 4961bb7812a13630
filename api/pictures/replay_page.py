"""A replay as a page to print: one HTML file without scripts or anything from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import TYPE_CHECKING

from api.pictures.replay_chart import draw_chart
from api.pictures.svg import safe

if TYPE_CHECKING:
    from sim.replay.prospect import Beyond, Case, ProspectReport
    from sim.replay.report import Curve, ReplayReport
    from sim.report import Row

MOST_ROWS = 500
"""Rows of a list on the page; `--json` has all of them."""
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
STYLE = """
body { font: 14px/1.45 Inter, Helvetica, Arial, 'DejaVu Sans', sans-serif; color: #131A26; margin: 2.5rem auto;
  max-width: 62rem; padding: 0 1.5rem; }
h1 { font-size: 1.6rem; margin: 0 0 .3rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p { margin: .3rem 0 .8rem; max-width: 48rem; } .soft { color: #5A6676; }
.figures { display: flex; flex-wrap: wrap; gap: 1rem 2.5rem; margin: 1.2rem 0; }
.figures b { display: block; font-size: 1.7rem; line-height: 1.2; }
svg { width: 100%; height: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .25rem .8rem .25rem 0; border-bottom: 1px solid #E3E7EC; vertical-align: top;
  overflow-wrap: anywhere; }
th { font-weight: 600; } td.n, th.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
@page { size: A4; margin: 14mm; }
@media print { body { margin: 0; max-width: none; padding: 0; font-size: 10px; } h2 { break-after: avoid; }
  tr, svg, .figures { break-inside: avoid; } thead { display: table-header-group; } }
"""


def prospect_page(report: ProspectReport) -> bytes:
    """What would have been caught of a list of past bans, and whom else it would have hit."""
    from sim.replay.report import duration, percent, share, usd

    first = report.caught[0]
    total = max(len(report.cases), 1)
    figures = [
        (
            percent(first.before / total),
            f"of {len(report.cases):,} banned would have been stopped before their ban",
        ),
        (duration(first.lead_p50_s), "earlier than the ban, half of them at least"),
        (share(first.saved, report.spent), f"of what they consumed saved: {usd(first.saved)}"),
        (f"{len(report.beyond):,}", "organizations that are not on the list would have been stopped, too"),
    ]
    parts = [
        _head("What would it have caught?", _period(report.covered.first, report.covered.last)),
        _figures(figures),
        _notes(report.warnings),
        _chart(report.curve, "Consumption of the banned, until their bans", "consumed"),
        *_sections(report.rows),
        *_reasons(report.reasons),
        *_cases(report.cases),
        *_beyond(report.beyond),
        "<h2>How to read this</h2><p>Every step knew only the events that had arrived by then. The list of bans, all "
        "labels, and the bans themselves were withheld from detection and only compared with what it found. Stopped "
        f"means {duration(first.delay_s)} after the step at which an organization was actionable without a person; "
        "those beyond the list are either missed by the list or mistakes, which only a person can tell.</p>",
    ]
    return _document("Replay beside past bans", parts)


def truth_page(report: ReplayReport) -> bytes:
    """A replay judged against the truth."""
    from sim.replay.report import percent, share, usd

    first = report.enforced[0]
    hit = first.legitimate
    figures = [
        (share(first.prevented, report.total), f"of {usd(report.total)} abusive consumption prevented"),
        (percent(first.share_of_ceiling), "of what a perfect detector prevents at the same steps and delay"),
        (f"{hit.hits:,}", f"of {hit.total:,} legitimate organizations stopped, over all steps"),
    ]
    parts = [
        _head("What acting would have prevented", _period(report.covered.first, report.covered.last)),
        _figures(figures),
        _notes(report.warnings),
        _chart(report.curve, "Abusive consumption", "consumed"),
        *_sections(report.rows),
    ]
    return _document("Replay", parts)


def _document(title: str, parts: Sequence[str]) -> bytes:
    head = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_text(title)}</title><style>{STYLE}</style></head><body>"
    )
    return "\n".join([head, *parts, "</body></html>\n"]).encode()


def _text(text: str) -> str:
    """Text whose every character is seen and none is markup."""
    return escape(safe(text), quote=True)


def _head(title: str, period: str) -> str:
    return f'<h1>{_text(title)}</h1><p class="soft">{_text(period)}</p>'


def _period(first: str, last: str) -> str:
    return f"Ringfence, replayed from {first} until {last} (UTC)"


def _figures(figures: Sequence[tuple[str, str]]) -> str:
    shown = "".join(f"<div><b>{_text(figure)}</b>{_text(words)}</div>" for figure, words in figures)
    return f'<div class="figures">{shown}</div>'


def _notes(warnings: Sequence[str]) -> str:
    return "".join(f'<p class="soft">Note: {_text(warning)}.</p>' for warning in warnings)


def _chart(curve: Curve, title: str, whose: str) -> str:
    return draw_chart(curve, title, whose, low=True).decode().partition("\n")[2]


def _sections(rows: Sequence[Row]) -> Iterator[str]:
    sections: dict[str, list[tuple[str, ...]]] = {}
    for row in rows:
        sections.setdefault(row.section, []).append((row.name, row.value, row.note))
    for name, lines in sections.items():
        yield _table(name[:1].upper() + name[1:], ("measure", "value", "remark"), lines, {1})


def _reasons(reasons: Sequence[tuple[str, int, int]]) -> Iterator[str]:
    if len(reasons) > 1:
        lines = [
            (reason or "(none given)", f"{listed:,}", f"{before:,}") for reason, listed, before in reasons
        ]
        yield _table("By reason of the ban", ("reason", "listed", "stopped before"), lines, {1, 2})


def _cases(cases: Sequence[Case]) -> Iterator[str]:
    from sim.replay.feed import moment
    from sim.replay.report import duration, usd

    lines = []
    for case in cases[:MOST_ROWS]:
        stopped = "never" if case.stopped_at is None else f"{moment(case.stopped_at):%Y-%m-%d %H:%M}"
        lead = "" if case.lead_s is None else duration(case.lead_s)
        evidence = "" if case.decision is None else case.decision.evidence.replace(";", ", ")
        banned = f"{moment(case.ban.at):%Y-%m-%d %H:%M}"
        lines.append((case.ban.org_id, banned, stopped, lead, usd(case.saved), evidence))
    titles = ("organization", "banned", "would have been stopped", "earlier by", "saved", "evidence")
    yield _table(_of("The list, most saved first", len(lines), len(cases)), titles, lines, {3, 4})


def _beyond(beyond: Sequence[Beyond]) -> Iterator[str]:
    from sim.replay.feed import moment
    from sim.replay.report import usd

    lines = [
        (
            one.decision.org_id,
            f"{one.decision.member_risk:.1f}",
            f"{moment(one.stopped_at):%Y-%m-%d %H:%M}",
            f"{one.decision.cluster_id} ({one.decision.size:,})",
            f"{one.listed_in_cluster:,}",
            usd(one.after),
            one.decision.evidence.replace(";", ", "),
        )
        for one in beyond[:MOST_ROWS]
    ]
    titles = (
        "organization",
        "risk",
        "stopped",
        "cluster (size then)",
        "listed in it",
        "consumed after",
        "evidence",
    )
    yield _table(_of("Beyond the list, riskiest first", len(lines), len(beyond)), titles, lines, {1, 4, 5})


def _of(title: str, shown: int, total: int) -> str:
    return title if shown == total else f"{title}: {shown:,} of {total:,}"


def _table(title: str, titles: Sequence[str], rows: Sequence[Sequence[str]], numbers: set[int]) -> str:
    if not rows:
        return f"<h2>{_text(title)}</h2><p>Nobody.</p>"

    def line(tag: str, cells: Sequence[str]) -> str:
        shown = (
            f"<{tag}{' class=n' if place in numbers else ''}>{_text(cell)}</{tag}>"
            for place, cell in enumerate(cells)
        )
        return f"<tr>{''.join(shown)}</tr>"

    body = "".join(line("td", row) for row in rows)
    return f"<h2>{_text(title)}</h2><table><thead>{line('th', titles)}</thead><tbody>{body}</tbody></table>"
