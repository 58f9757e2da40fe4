"""The command line of batchcast: `python run_pipeline.py --help`."""

from pipelines.cli import main

if __name__ == "__main__":
    main()
