"""Measure how badly each label fits a box, and what labels say of the box.

`box_fit.BoxFitter` is not used here, because strain and degrees of freedom are defined only without
robust losses and priors.
"""

import numpy as np
from jaxtyping import Float64

from cardpose.geometry.pose_fit import UNKNOWNS, Offsets

_HELD = 0.02  # added to the share of a label that others determine; keeps the strain finite


def strain_and_information(
    offsets: Offsets,
) -> tuple[Float64[np.ndarray, "n 8"], Float64[np.ndarray, "n 4 4"]]:
    """Compute `strain` (n, 8) and `information` (n, 4, 4) of a `LabelFit`.

    Args:
        offsets: from each label to its corner of the box; 0 where not visible.
    """
    offset = offsets.values
    n = len(offset)
    jacobian = offsets.by_view.reshape(n, 16, UNKNOWNS)
    inverse = np.linalg.inv(jacobian.transpose(0, 2, 1) @ jacobian + 1e-6 * np.eye(UNKNOWNS))
    # Share of each label that the fit does not follow: the identity less the hat matrix.
    rest = np.eye(16) - jacobian @ inverse @ jacobian.transpose(0, 2, 1)
    corners = np.arange(8)
    own = rest.reshape(n, 8, 2, 8, 2)[:, corners, :, corners].transpose(1, 0, 2, 3)
    held = np.linalg.inv(own + _HELD * np.eye(2))
    strain = np.einsum("nki,nkij,nkj->nk", offset, held, offset)
    box = offsets.by_box.reshape(n, 16, 4)
    return strain, box.transpose(0, 2, 1) @ rest @ box
