"""Simulated trips with truth: roads, vehicles, drivers, sensors and a stand-in network."""
