"""Sample trips, the simulator behind their logs, and the code that makes them."""
