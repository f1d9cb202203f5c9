"""HTTP and DNS to the services that the program uses; no Pulumi."""
