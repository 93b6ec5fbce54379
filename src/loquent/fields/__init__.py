"""Radiance fields, one method a file, read top to bottom."""
