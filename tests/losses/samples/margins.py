from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ("squared_hinge", "exponential", "multiclass_hinge", "multi_margin")
