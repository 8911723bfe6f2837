"""
The Pulumi program: a tracker, seeders and clients in a network of their own.

It is run as a folder, by Pulumi's language host and by ``./inv up`` alike: the modules beside it are found by their
bare names, and nothing of btgames is imported.
"""

from fleet import assemble

assemble()
