from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ("fgsm_ce", "pgd_ce", "trades", "mart", "vat")
