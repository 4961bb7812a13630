"""Who may ask, and how: the command line, and the settings and answers behind it."""
