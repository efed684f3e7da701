from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ("info_nce", "nt_xent", "supcon", "barlow_twins", "vicreg", "negative_cosine")
