"""A real browser on a search engine's pages, for the sources that have no API."""
