"""Rows and their queries, a file per aggregate; rows never leave, values do."""
