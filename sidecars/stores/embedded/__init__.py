"""The stores of the embedded system: SQLite files and memory."""
