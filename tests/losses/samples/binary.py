from dataclasses import replace

import torch
from sampling import BINARY, Bad, Sample, of

SAMPLES: dict[str, Sample] = {
    "bce": Sample(
        draw=lambda s: {"pred": s.fractions(s.rows), "target": s.pick([0.0, 0.3, 1.0], s.rows)},
        bad=(
            Bad("pred", -0.1, r"pred at \(0,\) is -0.1, allowed: 0 to 1"),
            Bad("pred", 1.5, r"pred at \(0,\) is 1.5, allowed: 0 to 1"),
            Bad("target", 2.0, r"target at \(0,\) is 2, allowed: 0 to 1"),
        ),
        extremes=lambda d: [{"pred": of(d, 0, 0, 1, 1, 1e-30), "target": of(d, 0, 1, 0, 1, 1)}],
        mirror=lambda inputs, _: {"pred": 1 - inputs["pred"], "target": 1 - inputs["target"]},
    ),
    "sigmoid_focal": replace(
        BINARY,
        bad=(*BINARY.bad, Bad("target", 0.5, r"target at \(0,\) is 0.5, allowed: 0 or 1")),
        ends={"alpha": [0.0, 1.0, None]},
    ),
    # One label a row: what is claimed is claimed of each label.
    "asl": Sample(
        draw=lambda s: {"pred": s.reals(s.rows, 1), "target": s.pick([0.0, 1.0], s.rows, 1)},
        bad=(
            Bad("target", 0.5, r"target at \(0, 0\) is 0.5, allowed: 0 or 1"),
            Bad("target", -1.0, r"target at \(0, 0\) is -1, allowed: 0 or 1"),
        ),
        extremes=lambda d: [{"pred": of(d, [1000, -1000], [1000, -1000]), "target": of(d, [0, 0], [1, 1])}],
        mirror=lambda inputs, _: {"pred": -inputs["pred"], "target": 1 - inputs["target"]},
        grid=lambda: torch.linspace(-6, 6, 961, dtype=torch.float64)[:, None],
    ),
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
