"""Who may do what: pure functions of (actor, action, object). The router and the services ask the same ones.

names.py lists the rules (every frame, route and rpc names one), conversations.py decides about entries, groups.py about members.
A decision is `None` (allowed) or the `Rejected` to answer; a stranger gets `not_found`, one who knows of the thing `forbidden`.
"""
