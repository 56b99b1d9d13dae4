"""What is on disk stays whole: documents replaced atomically, locks that the kernel frees, content-addressed blobs."""
