"""Making templates: from a cloud image, or, for Debian, from packages alone; baked by a machine that boots once."""
