"""What the business is: entities, rules and verbs, without screens or SQL."""
