from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = (
    "rmsle",
    "mape",
    "smape",
    "poisson_nll",
    "gaussian_nll",
    "gamma_deviance",
    "tweedie_deviance",
)
