"""Reading out: definitions, queries, print templates and the files that people take away."""
