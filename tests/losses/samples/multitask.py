from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ("weighted_sum", "uncertainty_weighting", "gradnorm", "pcgrad", "dwa")
