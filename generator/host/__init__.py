"""What of a model runs on the host, before and after the accelerator."""
