"""What may be shown to anybody: secrets looked for and hidden, and one file that a person may post."""
