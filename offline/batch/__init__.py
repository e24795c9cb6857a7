"""Scoring of many trips: on this machine's cores, or on the machines of a Dask cluster."""
