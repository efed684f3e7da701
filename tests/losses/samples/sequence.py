from sampling import Sample

SAMPLES: dict[str, Sample] = {}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ("seq_cross_entropy", "seq_label_smoothed_ce", "ctc", "rnnt")
