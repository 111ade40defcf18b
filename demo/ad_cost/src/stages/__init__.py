"""The stages of the pipelines ad-cost and ad-feed, each a command of its own."""
