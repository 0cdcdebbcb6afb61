"""What makes a release: one version for all distributions, each built, with a bill of materials."""
