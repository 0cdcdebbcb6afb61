"""What makes a site of the project's pages."""
