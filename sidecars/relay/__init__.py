"""Per user the list of conversations, per device the cursor, and the replay of what was missed."""
