from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ("generalized_ce", "symmetric_ce", "bi_tempered")
