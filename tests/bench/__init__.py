"""Engines side by side: the same work for docker, podman and pydocker, in turns, in one run (`make bench`).

Read `__main__` (the run), then `scenarios` (what is timed), `engines` (how each engine is started, apart from whatever
else is on the machine), `image` (the image that is pulled, and its registry), `report` (medians and ratios).

Nothing is asserted here. Times depend on the machine and on what else it does; a ratio of two engines that took turns
depends on that much less.
"""
