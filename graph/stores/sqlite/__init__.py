"""The graph in SQLite: `store` is the GraphStore, and the only module that speaks to the driver."""
