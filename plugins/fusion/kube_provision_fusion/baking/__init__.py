"""Templates baked from others: a clone of the source bakes itself, and becomes the template when it is good."""
