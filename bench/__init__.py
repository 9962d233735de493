"""What is run by hand: measurements, and the making of shipped data."""
