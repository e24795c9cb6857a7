"""Sample trips, what makes them, and the simulator behind the benchmarks."""
