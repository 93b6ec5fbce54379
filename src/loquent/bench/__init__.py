"""What `loquent bench` measures: speed and memory, everything fast beside what it stands for, in one run.

* `clock`: how bodies are timed against each other
* `operations`, `person`, `speech`: what is measured, each in a small function
* `rows`: what was found, as a table and as lines of a file
* `run`: all measurements by name
"""
