"""The main job: two agents' clients and a person work through all that gitcoord does, in a copy of a real project.

`python tests/mainjob/run.py` runs it. Each act is about one theme and leaves nothing locked behind; it states what it
expects and what came, and goes on where they differ, so that one run tells all that is wrong.
"""
