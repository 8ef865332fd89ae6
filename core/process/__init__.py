"""A router process: what is built from what, the nursery tree, the drain."""
