"""Text of strangers made harmless: ids, values and a model's messages, before a terminal or a page shows them.

A terminal obeys escape sequences in what it prints: it would move its cursor, hide lines or rename its window. Letters
that change the direction of writing make one name look like another.
"""

import re
from html import escape

_UNSAFE = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f"  # control characters, but for tab and newline
    "\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff"  # direction of writing, line separators, byte order mark
    "\ud800-\udfff]"  # halves of a character, which no encoding can write
)


def plain_text(text: str) -> str:
    """The text with every character that could act on a terminal written as its escape, such as `\\x1b`."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def html_text(text: str) -> str:
    """The text for an HTML page, as an element's content or an attribute's value."""
    return escape(plain_text(text))
