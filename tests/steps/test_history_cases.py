"""Files that once made a wrong forecast or ended a step without a word, and their brothers."""

from __future__ import annotations

import datetime as dt
import shutil
from base64 import b64decode, b64encode
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from shard_build import DAILY_CONTRACT, Build, build, daily_rows

FIXTURES = Path(__file__).parents[1] / "fixtures"


def history(root: Path) -> Path:
    folder = root / "processing/input/history"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def refused(made: Build) -> str:
    assert made.exit_code == 3
    return made.message


@pytest.mark.parametrize("part", ["footer", "date", "sales"])
def test_an_encrypted_part_that_is_needed_is_refused_by_its_file(tmp_path: Path, part: str) -> None:
    shutil.copy(FIXTURES / f"encrypted-{part}.parquet", history(tmp_path) / "f.parquet")
    message = refused(build(tmp_path, DAILY_CONTRACT, None))
    assert "f.parquet: " in message
    assert "crypt" in message


def test_an_encrypted_column_that_nobody_needs_is_not_read(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "encrypted-price.parquet", history(tmp_path) / "f.parquet")
    assert build(tmp_path, DAILY_CONTRACT, None).exit_code == 0


@pytest.mark.parametrize(("column", "code"), [("item", 3), ("date", 3), ("sales", 3), ("price", 0)])
def test_encryption_of_any_role_is_refused_and_of_no_role_runs(tmp_path: Path, column: str, code: int) -> None:
    encryption = pytest.importorskip("pyarrow.parquet.encryption")

    class Keys(encryption.KmsClient):  # type: ignore[misc,name-defined,unused-ignore]
        def wrap_key(self, key: bytes, _: str) -> bytes:
            return b64encode(key)

        def unwrap_key(self, key: bytes, _: str) -> bytes:
            return b64decode(key)

    settings = encryption.EncryptionConfiguration(
        footer_key="footer", column_keys={"column": [column]}, plaintext_footer=True
    )
    factory = encryption.CryptoFactory(lambda _: Keys())
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), settings)
    table = daily_rows(["a"], 40).append_column("price", pa.array([1.0] * 40))
    with pq.ParquetWriter(history(tmp_path) / "f.parquet", table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    made = build(tmp_path, DAILY_CONTRACT, None)
    assert made.exit_code == code
    assert code == 0 or "f.parquet: " in made.message


@pytest.mark.parametrize("codec", ["none", "zstd"])
def test_a_flipped_bit_in_a_dictionary_with_a_checksum_is_refused(tmp_path: Path, codec: str) -> None:
    path = history(tmp_path) / "f.parquet"
    table = daily_rows([f"item-{number}" for number in range(200)], 3)
    pq.write_table(table, path, write_page_checksum=True, compression=codec, use_dictionary=["item"])
    chunk = pq.ParquetFile(path).metadata.row_group(0).column(0)
    data = bytearray(path.read_bytes())
    data[(chunk.dictionary_page_offset + chunk.data_page_offset) // 2] ^= 1
    path.write_bytes(data)
    assert "f.parquet: cannot be read: " in refused(build(tmp_path, DAILY_CONTRACT, None))


def test_a_needed_column_whose_name_is_latin_1_is_refused_by_its_name(tmp_path: Path) -> None:
    shutil.copy(FIXTURES / "latin1-column.parquet", history(tmp_path) / "f.parquet")
    contract = DAILY_CONTRACT.replace('targets = ["sales"]', 'targets = ["Größe"]').replace("$sales", '$"Größe"')
    made = build(tmp_path, contract.replace('$"Größe"', "$Größe").replace("\nsales = ", '\n"Größe" = '), None)
    assert "f.parquet: has a column whose name is not UTF-8: b'Gr\\xf6\\xdfe'" in refused(made)


@pytest.mark.parametrize("hours", [12, 8, 6])
def test_several_rows_a_day_are_no_daily_series(tmp_path: Path, hours: int) -> None:
    moments = [dt.datetime(2026, 1, 1) + dt.timedelta(hours=hours * step) for step in range(40)]
    table = daily_rows(["a"], 40).set_column(1, "date", pa.array(moments, pa.timestamp("us")))
    made = build(tmp_path, DAILY_CONTRACT, [table])
    assert (made.exit_code, made.manifest.frequency) == (0, f"{hours}h")
    daily = DAILY_CONTRACT.replace("[series]", '[series]\nfrequency = "D"')
    assert "are not on the grid of the frequency D" in refused(build(tmp_path, daily, [table]))
