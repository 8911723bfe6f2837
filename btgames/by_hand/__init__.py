"""
By hand, as in 2013: a tracker that runs on, a file of one's own that is seeded, a contestant that downloads it.

- crew: which machines these are, reached and let go of
- unit: a program of ours that outlives the command
- tracker, seed, download: the tasks
- upload: sending a file, hashed on the way
- torrent_file: reading a .torrent, and saying where it is announced
- log: what a client prints, as it comes
"""
