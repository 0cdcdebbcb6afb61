"""The cluster's folder on the operator's machine: its secrets, and how they are kept."""
