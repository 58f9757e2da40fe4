"""What runs in the processing container, and locally unchanged: standard library, numpy and pyarrow."""
