"""The shared floor: ids, clock, limits, errors, config, logs, metrics, rates and records. It imports nothing of ours."""
