"""Make all figures of docs/. Two of them show the network and the recordings of `make repro`."""

from cardpose.common.errors import run_stage
from docs.figures import architecture, corners, examples, lean, sweep


def main() -> None:
    for figure in (architecture, corners, lean, examples, sweep):
        figure.main()


if __name__ == "__main__":
    run_stage(main)
