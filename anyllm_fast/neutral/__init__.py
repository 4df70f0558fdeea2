"""The middle between dialects: what two of them share is a field, what one alone knows rides along raw. Knows no dialect."""
