"""Logs: what a line says once its variable parts are taken out, and how new that is."""
