from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = (
    "cosine_embedding",
    "contrastive",
    "triplet_margin",
    "circle",
    "multi_similarity",
    "center",
    "proxy_nca",
)
