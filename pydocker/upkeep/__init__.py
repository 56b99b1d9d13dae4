"""Keeping the house: what needs images, layers and containers together.

    disk       how much of the disk is whose, and what may go: system df, container prune
    check      system check: goes through everything, in this order, and mends what can be mended
      content    blobs      every byte against the digest that is its name
      catalog    images     the list of names, and the documents behind each
      unpacked   layers     every file against the blob that it came from
      remains    the rest   what nobody refers to, what nobody works on, what a container has lost
    volumes    each, and those that containers miss
    findings   what a check finds, and what can be done about it
"""
