"""What services ask of stores: records and small Protocols. A store is chosen in sidecars/process; services never name one."""
