from dataclasses import replace

import torch
from sampling import PAIRS, Inputs, Sample, of


def _extremes(dtype: torch.dtype) -> list[Inputs]:
    return [
        {"x1": of(dtype, [0, 0], [1e6, 0], [1, 0]), "x2": of(dtype, [1, 2], [-1e6, 0], [1e-6, 0])},
        # Shorter than the largest eps without being zero.
        {"x1": of(dtype, [3e-3, 4e-3], [1, 1]), "x2": of(dtype, [1, 1], [-3e-3, 4e-3])},
    ]


SAMPLES: dict[str, Sample] = {
    # Vectors much shorter than eps are where the cosine's slope is steepest.
    "cosine_similarity": replace(PAIRS, extremes=_extremes, spread=12.0),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
