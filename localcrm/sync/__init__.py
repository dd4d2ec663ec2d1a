"""Exchange between head office and branches: by the network or by a file, the same messages."""
