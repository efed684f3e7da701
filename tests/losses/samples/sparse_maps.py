from sampling import CLASS_LOGITS, Sample

SAMPLES: dict[str, Sample] = {"sparsemax_loss": CLASS_LOGITS, "entmax15_loss": CLASS_LOGITS}

# In the golden file, not yet in the catalogue.
MISSING: tuple[str, ...] = ()
