from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ("dice", "jaccard", "tversky", "focal_tversky", "lovasz_hinge", "lovasz_softmax")
