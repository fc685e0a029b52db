"""The main job and what it is made of; begin reading in ``release``.

Nothing is imported here: `verify` needs one small part, and starts in a fraction of a second.
"""
