"""Groups, roles and invites: a projection of the groups' logs."""
