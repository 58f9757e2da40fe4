"""DataProcessing of a transform job: InputFilter, then the model, then JoinSource, then OutputFilter.

Source: API reference, DataProcessing; developer guide, "Associate Prediction Results with Input Records" (2023-03).
A CSV record is as RFC 4180 has it, without line breaks inside, which a transform job cannot carry.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from batchcast.engine.transform.data.json_path import JsonPath, PathError, parse_json_path
from batchcast.engine.transform.data.json_text import dump_json, load_members

CSV = "text/csv"
FILTERED_TYPES = (CSV, "application/json", "application/jsonlines")
_OUTPUT_KEY = "SageMakerOutput"
_INPUT_KEY = "SageMakerInput"


class ProcessingError(Exception):
    """A record or an answer that cannot be filtered or joined; `by_algorithm` when the answer is to blame."""

    def __init__(self, message: str, *, by_algorithm: bool) -> None:
        super().__init__(message)
        self.by_algorithm = by_algorithm


@dataclass(frozen=True, slots=True, kw_only=True)
class DataProcessing:
    media_type: str
    input_filter: JsonPath
    output_filter: JsonPath
    join: bool

    @property
    def _shape(self) -> str:
        return "CSV" if self.media_type == CSV else "JSON"

    @property
    def filters_input(self) -> bool:
        return not self.input_filter.selects_all

    def filter_input(self, record: bytes) -> tuple[bytes, Any]:
        """The part of one record that is sent, and what `finish` takes as the record. Raises ProcessingError."""
        once = self.join and self.input_filter.copies and self.output_filter.copies
        paths = (self.input_filter, self.output_filter) if once else (self.input_filter,)
        document = self._load_input(record, *paths)
        sent = self._dump(self._select(self.input_filter, document))
        if not once or not isinstance(document, dict):
            return sent, record
        kept = self.output_filter.members
        return sent, document if kept is None else {name: document[name] for name in kept if name in document}

    def finish(self, records: Sequence[Any], answer: bytes, *, one_document: bool) -> list[bytes]:
        """The joined and filtered records of one answer; a record a line, unless the answer is one document.

        A record is its bytes, or what `filter_input` kept of it.
        Raises ProcessingError, also when the answer has more or fewer lines than there were records.
        """
        if not one_document:
            lines = answer.removesuffix(b"\n").split(b"\n")
            if len(lines) != len(records):
                what = f"Failed to join data: {len(records)} records were sent, {len(lines)} lines came back"
                raise ProcessingError(what, by_algorithm=True)
            return [self._finish_one(record, line) for record, line in zip(records, lines, strict=True)]
        return [self._finish_one(records[0], answer)]

    def _finish_one(self, record: Any, answer: bytes) -> bytes:
        document = self._load(answer.rstrip(b"\r\n") if self._shape == "CSV" else answer, of_input=False)
        if self.join:
            read = self._load_input(record, self.output_filter) if isinstance(record, bytes) else record
            document = self._joined(read, document)
        return self._dump(self._select(self.output_filter, document))

    def _select(self, path: JsonPath, document: Any) -> Any:
        try:
            return path.apply(document)
        except PathError as error:
            which = "InputFilter" if path is self.input_filter else "OutputFilter"
            raise ProcessingError(f"{which} {path.text}: {error}", by_algorithm=False) from error

    def _joined(self, record: Any, answer: Any) -> Any:
        if self._shape == "CSV":
            return [*record, *answer]
        if isinstance(record, dict):
            return {**record, _OUTPUT_KEY: answer}
        return {_INPUT_KEY: record, _OUTPUT_KEY: answer}

    def _load_input(self, text: bytes, *paths: JsonPath) -> Any:
        """The row or the document; of an object no more than the paths look at."""
        members = [path.members for path in paths]
        names = None if None in members else {name for each in members if each for name in each}
        return self._load(text, of_input=True, names=names, copied=all(path.copies for path in paths))

    def _load(self, text: bytes, *, of_input: bool, names: set[str] | None = None, copied: bool = False) -> Any:
        try:
            return load_row(text) if self._shape == "CSV" else load_members(text, names, copied=copied)
        except ValueError as error:
            # Both wordings were seen in job logs (amazon-sagemaker-examples issues 821 and 1620).
            if not of_input:
                what = f"Failed to parse output from the algorithm as {self._shape}: {error}"
            else:
                what = f"Failed to parse line: '{text[:200].decode('utf-8', 'replace')}' as {self._shape}: {error}"
            raise ProcessingError(what, by_algorithm=not of_input) from error

    def _dump(self, document: Any) -> bytes:
        if self._shape == "CSV":
            return dump_row(document if isinstance(document, list) else [document])
        try:
            return dump_json(document)
        except ValueError as error:
            raise ProcessingError(f"Failed to write JSON: {error}", by_algorithm=False) from error


def data_processing(request: Mapping[str, Any]) -> DataProcessing | None:
    """The DataProcessing of a request that passed its check; None where it changes nothing."""
    given = request.get("DataProcessing", {})
    kind = media_type(request["TransformInput"].get("ContentType", ""))
    csv = kind == CSV
    processing = DataProcessing(
        media_type=kind,
        input_filter=parse_json_path(given.get("InputFilter", "$"), end_inclusive=csv),
        output_filter=parse_json_path(given.get("OutputFilter", "$"), end_inclusive=csv),
        join=given.get("JoinSource", "None") == "Input",
    )
    if not processing.filters_input and not processing.join and processing.output_filter.selects_all:
        return None
    return processing


def media_type(text: str) -> str:
    """A Content-Type without its parameters, in lower case."""
    return text.partition(";")[0].strip().lower()


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
