"""Arrays of many objects alike, copied without building the objects: what most of a large record is made of."""

import re
from functools import lru_cache

_SPACE = r"[ \t\n\r]*+"
# A text that is written as it was read: what other escapes stand for is not looked at here.
_PLAIN = r"[#-\[\]-\U0010ffff !]*+"
_TEXT = rf'"{_PLAIN}(?:"|(?:\\["\\bfnrt]{_PLAIN})++")'
_NUMBER = r"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][-+]?[0-9]++)?+"
# The order is for speed: a short whole number is found by the fewest steps.
_VALUE = rf"(?:{_TEXT}|null|true|false|[1-9][0-9]*+(?![.eE])|0(?![.eE])|{_NUMBER})"
_NAME = rf'"{_PLAIN}"{_SPACE}:{_SPACE}'
_MEMBER = re.compile(f"({_NAME}){_VALUE}")
_COMMA = f"{_SPACE},{_SPACE}"
_ROW = rf"\{{{_SPACE}{_NAME}{_VALUE}(?:{_COMMA}{_NAME}{_VALUE})*+{_SPACE}\}}"
_FIRST_ROW = re.compile(rf"\[(?P<row>{_ROW})(?P<comma>{_COMMA})(?=\{{)")
_LARGE = 4096
"""So many characters are worth a pattern of their own."""
_BLOCK = 16384
"""So many are taken at once: their values stay in the processor's cache, and their memory is used again."""


def copied_rows(text: str, first: int) -> tuple[str, int] | None:
    """The array that begins there, compact and its objects' members in order, and its end.

    None where it is anything but a long array of objects of the same members in the same order with the same spaces,
    all values without members: whether that is JSON at all is for others to say.
    """
    last = text.find("]", first)
    begun = _FIRST_ROW.match(text, first) if last - first > _LARGE else None
    if begun is None:
        return None
    like, order, pieces, passed = _shape(tuple(_MEMBER.split(begun["row"])), begun["comma"])
    between = f"}}{begun['comma']}{{"
    blocks, start = list[str](), first + 1
    while order and start < last:
        stop = text.find(between, start + _BLOCK, last) + 1 or last
        values = like.split(text[start:stop])
        rows = len(values) // (len(order) + 1)
        written = pieces * rows
        for position, place in enumerate(order):
            written[2 * position + 1 :: len(pieces)] = values[place + 1 :: len(order) + 1]
        blocks.append("".join(written))
        # What is not alike stands between the rows, and then the lengths do not agree.
        if stop - start != len(blocks[-1]) + passed * rows - len(begun["comma"]):
            return None
        start = stop + len(begun["comma"])
    return (f"[{''.join(blocks)[2:]}}}]", last + 1) if order and start == last + len(begun["comma"]) else None


@lru_cache(64)
def _shape(row: tuple[str, ...], comma: str) -> tuple[re.Pattern[str], list[int], list[str], int]:
    """What finds the values of each row, their order as written, what is written around them, and the difference.

    `row` is all but the values. The difference is in the characters a row, with its comma. No order: a name twice.
    """
    names = [name[: name.index('"', 1) + 1] for name in row[1::2]]
    order = sorted(range(len(names)), key=lambda place: names[place][1:-1])
    between = f"({_VALUE})".join(map(re.escape, map("".join, zip(row[::2], [*row[1::2], ""], strict=True))))
    like = re.compile(rf"{between}(?:{re.escape(comma)}(?=\{{)|\Z)")
    pieces = [piece for place in order for piece in (f",{names[place]}:", "")]
    pieces[0] = "},{" + pieces[0][1:]
    passed = len("".join(row)) + len(comma) - len("".join(pieces))
    return like, order if len(set(names)) == len(names) else [], pieces, passed
