"""What a folder's config.json means for the computation, or why it is refused."""
