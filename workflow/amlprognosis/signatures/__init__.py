"""Gene sets and published signatures."""
