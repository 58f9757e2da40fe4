"""The Parquet history: files, types, dates, items."""
