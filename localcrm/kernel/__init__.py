"""Ideas every other room uses and that use none of ours: declarations, errors, ids, clock, money, texts, ports."""
