"""The passes from the imported graph to one that the hardware can run, in order."""

from ..task_graph import TaskGraph
from . import (
    absorb_reshape,
    affine_to_product,
    check_hardware,
    clamp_before_reshape,
    constant_operands,
    fold_affine_back,
    fold_affine_forward,
    fuse_clamp,
    fuse_functions,
    lower_clamps,
    lower_moves,
    mask_softmax,
    pixels_in_words,
    place_channels,
    remove_no_ops,
    separate_inputs,
    separate_outputs,
    short_names,
    spread_formats,
    spread_whole,
)

PIPELINE = (
    # Models that come quantised
    spread_formats,  # before all others: they move and remove tasks between tensors that share a format
    # Models of integers
    spread_whole,  # before all others, which lose the integers between what they join
    # Clean
    remove_no_ops,
    mask_softmax,  # before fuse_functions, which would make a table of the factor
    # Fuse element-wise operators of one tensor
    fuse_functions,  # before all other fusions: they would take the factors and summands that belong to it
    # Fuse into the task before
    clamp_before_reshape,  # before fuse_clamp: brings a Relu after a Flatten next to the Conv
    fold_affine_back,  # before fuse_clamp: a task with a clamp takes no factor any more
    fuse_clamp,
    # Fuse into the task after
    absorb_reshape,  # before fold_affine_forward: a Flatten would stand between
    fold_affine_forward,
    # Lower
    affine_to_product,  # after both folds: only for what is left
    lower_clamps,  # after fuse_clamp: only for what is left
    constant_operands,
    pixels_in_words,  # before place_channels, which would move rows in words back
    place_channels,  # before lower_moves, which takes its Moves together with those before them
    lower_moves,
    separate_inputs,  # after lower_moves, which would take its Moves for superfluous
    separate_outputs,  # likewise
    check_hardware,  # its errors name the model's nodes, so before short_names
    short_names,
)


def run(graph: TaskGraph) -> TaskGraph:
    """The graph after all passes.

    Raises:
        IntarsiaError: a task is left that the hardware has no unit for.
    """
    for step in PIPELINE:
        graph = step.apply(graph)
    return graph
