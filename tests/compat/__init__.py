"""The same command lines, with the real docker client, at Docker's server and at ours (lines.txt): `make compat`."""
