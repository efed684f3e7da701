from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = (
    "rmse",
    "smooth_l1",
    "log_cosh",
    "barron",
    "cauchy",
    "geman_mcclure",
    "welsch",
    "pseudo_huber",
    "tukey_biweight",
    "epsilon_insensitive",
)
