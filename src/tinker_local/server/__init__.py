"""HTTP: routes over the service, and the process that serves them."""
