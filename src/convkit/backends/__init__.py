"""One folder per backend keyword, one module per algorithm keyword."""
