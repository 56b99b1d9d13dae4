"""What a process is allowed to do and to use, and which world it lives in: steps for namespaces, limits, identity."""
