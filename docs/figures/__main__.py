"""Make all figures of docs/, and fill the tables of README.md and docs/.

Three figures show the network and the recordings of `make repro`.
"""

from cardpose.common.errors import run_stage
from docs.figures import architecture, corners, examples, filming, lean, page, sweep, tables


def main() -> None:
    for figure in (architecture, corners, lean, filming, tables, examples, sweep, page):
        figure.main()


if __name__ == "__main__":
    run_stage(main)
