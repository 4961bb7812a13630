"""Sources: each turns a file of one format into batches of raw rows."""
