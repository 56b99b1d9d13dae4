"""Formats of the Engine API: HTTP framing, stdcopy frames, JSON shapes. What bytes mean, not what they cause."""
