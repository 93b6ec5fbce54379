"""What each command does: functions whose arguments are its options and whose docstring is its help."""
