"""Drop-ins for other libraries: argument translation and nothing else."""
