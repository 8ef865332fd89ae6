"""Online state and last activity, as far as privacy shows them."""
