"""Find pictures of deities at open sources, and keep with each what credits and withdraws it."""
