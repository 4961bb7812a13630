"""The HTTP routes, one noun a file: each asks an existing answer and gives it the form of a schema."""
