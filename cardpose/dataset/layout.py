"""Layout of a data set's folder and of the folder of its sampled frames."""

from pathlib import Path

# Columns of the two tables that `extraction.extract_frames` writes: index.csv has one row per
# sampled frame, recordings.csv one row per recording.
INDEX_COLUMNS = ["frame", "recording", "file", "width", "height"]
SUMMARY_COLUMNS = ["recording", "cards_counted", "total_cards", "kind", "frames", "step"]


def labelling_folder(dataset: str | Path) -> Path:
    """Return the folder of a data set that holds the frames and proposals for labelling."""
    return Path(dataset) / "labelling"
