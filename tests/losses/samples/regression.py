from sampling import NONNEGATIVE, REGRESSION, Sample

SAMPLES: dict[str, Sample] = {
    "mse": REGRESSION,
    "mae": REGRESSION,
    "huber": REGRESSION,
    "msle": NONNEGATIVE,
    "quantile": REGRESSION,
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
