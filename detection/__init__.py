"""What is computed: links, ties, communities, clusters, signals and scores."""
