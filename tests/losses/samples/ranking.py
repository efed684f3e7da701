from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ("margin_ranking", "ranknet", "listnet", "listmle", "lambdarank")
