"""What imgcli knows without touching the world: values, rules, words."""
