"""The record of what clients saw, and the checker that decides from it whether the promises I1-I8 held.

Read in this order: `records` (the format: one JSON object a line, in any language), `recorder` (writes it), `verdict`
(what a check says), `membership` and `logs` (the truth: the conversations as the final reads found them), then what
is held against the truth: `sight` (what a reader was shown), `sends`, `devices`, `marks`; `checker` leads the two
passes over a history; `report` is the command `trimaran check`.

Nothing here opens a socket, knows the server, or takes a time; only `report` opens files.
"""
