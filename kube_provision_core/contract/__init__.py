"""What core and plugins agree on: the hooks, what a driver is, the values that travel, the errors."""
