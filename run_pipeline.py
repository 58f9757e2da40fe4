"""The command line of batchcast: `python run_pipeline.py --help`."""

from batchcast.cli.main import main

if __name__ == "__main__":
    main()
