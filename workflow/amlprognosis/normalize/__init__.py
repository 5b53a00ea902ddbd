"""From raw matrices to log2 expression per approved gene, and from cohorts to features."""
