"""The proof. Its folders mirror the source; contracts, flow, properties, faults and the like cut across it."""
