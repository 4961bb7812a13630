"""Where stages run: one module an engine."""
