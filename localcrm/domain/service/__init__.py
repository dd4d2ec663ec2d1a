"""Service: tickets of customers, the hours promised for them, parts used, and what keeps coming back."""
