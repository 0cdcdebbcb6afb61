"""Boot data in the forms in which cloud-init's data sources read it, for every author of a target."""
