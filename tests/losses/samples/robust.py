from dataclasses import replace

from sampling import REGRESSION, Sample

SAMPLES: dict[str, Sample] = {
    "rmse": replace(REGRESSION, rowwise=False),
    "smooth_l1": REGRESSION,
    "log_cosh": REGRESSION,
    "barron": REGRESSION,
    "cauchy": REGRESSION,
    "geman_mcclure": REGRESSION,
    "welsch": REGRESSION,
    "pseudo_huber": REGRESSION,
    "tukey_biweight": REGRESSION,
    "epsilon_insensitive": REGRESSION,
}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
