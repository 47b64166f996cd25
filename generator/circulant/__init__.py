"""Block-circulant weights: their blocks, their cheap products, and where they are worth it."""
