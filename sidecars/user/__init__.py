"""Accounts, devices, tokens, profiles, privacy and blocks."""
