"""What is known: identifiers, facts, the graph's schema and its stores."""
