"""One CSV record as RFC 4180 has it, without line breaks inside, which a transform job cannot carry."""

from __future__ import annotations

import re

_FIELD = re.compile(r'"((?:[^"]|"")*)"(?=,|$)|([^,"]*)(?=,|$)')
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s')


def load_row(text: bytes) -> list[str]:
    """The fields. Raises ValueError, e.g. for a quote inside an unquoted field."""
    line = text.decode("utf-8").removesuffix("\r")
    fields = []
    position = 0
    while True:
        match = _FIELD.match(line, position)
        if match is None:
            raise ValueError('bare " in non quoted field, or a quoted field that does not end')
        quoted, plain = match.groups()
        fields.append(plain if quoted is None else quoted.replace('""', '"'))
        if match.end() == len(line):
            return fields
        position = match.end() + 1


def dump_row(fields: list[str]) -> bytes:
    """The record; a field is quoted only where it must be."""
    quoted = ('"{}"'.format(field.replace('"', '""')) if _NEEDS_QUOTES.search(field) else field for field in fields)
    return ",".join(quoted).encode("utf-8")
