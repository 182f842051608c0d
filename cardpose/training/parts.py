"""Parts of a training, each with its data, epochs and learning rate."""

from typing import NamedTuple

from cardpose.params import Learning, Pretrain, Train


class LearningRate(NamedTuple):
    """Learning rate, and the name of its parameter in params.yaml."""

    value: float
    parameter: str


class Part(NamedTuple):
    """One part of a training.

    Attributes:
        name: file name of its checkpoint.
        data: description of its training data, for messages.
        epochs: number of passes through the data.
        learning_rate: peak of the learning rate schedule.
        options: batch size, weight decay and augmentation, which all parts of a training share.
    """

    name: str
    data: str
    epochs: int
    learning_rate: LearningRate
    options: Learning


def pretrain_parts(options: Pretrain) -> tuple[Part, Part, Part, Part]:
    """Return the parts of pretraining: half-size pictures, whole pictures, corners, edges."""
    pictures = LearningRate(options.learning_rate, "pretrain.learning_rate")
    details = LearningRate(options.closeup_learning_rate, "pretrain.closeup_learning_rate")
    return (
        Part("half", "pictures of half the size", options.half_size_epochs, pictures, options),
        Part("whole", "whole pictures", options.epochs, pictures, options),
        Part("closeups", "close-ups", options.closeup_epochs, details, options),
        Part("edges", "strips along edges", options.edge_epochs, details, options),
    )


def train_parts(options: Train) -> tuple[Part, Part, Part]:
    """Return the parts of training: whole pictures, corners, edges."""
    pictures = LearningRate(options.learning_rate, "train.learning_rate")
    details = LearningRate(options.closeup_learning_rate, "train.closeup_learning_rate")
    return (
        Part("whole", "whole pictures", options.epochs, pictures, options),
        Part("closeups", "close-ups", options.closeup_epochs, details, options),
        Part("edges", "strips along edges", options.edge_epochs, details, options),
    )
