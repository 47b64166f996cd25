"""Independent jobs in processes of this machine or on a Dask cluster: the same functions, the same results."""
