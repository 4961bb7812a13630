"""The graph in Neo4j: `store` is the GraphStore, and the only module that speaks to the driver."""
