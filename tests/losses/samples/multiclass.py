from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = (
    "nll",
    "label_smoothing_ce",
    "class_balanced_ce",
    "poly1_ce",
    "squentropy",
    "taylor_ce",
    "brier",
)
