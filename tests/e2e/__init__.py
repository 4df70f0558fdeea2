"""Real clients judge the gateway end to end. See README.md."""
