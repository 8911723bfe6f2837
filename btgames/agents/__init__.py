"""
Programs that run on hosts, started as ``python -m btgames.agents.NAME``.

One file each, standard library only (the libtorrent seeder excepted) and Python 3.9 syntax, so that a fresh
Debian machine runs them as they are. They may import each other's small parts and `btgames.payload`, nothing else.
"""
