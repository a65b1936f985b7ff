"""NumPy alone: the reference that everything else is held to."""
