"""
Bittorrent Games: race BitTorrent clients, fairly and reproducibly.

The map, top to bottom; imports go down only.

==============================  =======================================================================
tasks.py (beside this package)  the command line: names, help, defaults; no logic
program.py, arguments.py        the invoke program over tasks.py: nearest names, exit statuses
race.py, heat.py                the recipe: testbed -> install -> heats -> race card
doctor.py, shell.py             ``check`` and ``shell``: the same testbed and swarm, other questions
leaderboard.py, report/         race cards -> ranked rows -> terminal, Markdown, CSV, JSON; no hosts
swarm.py                        tracker and seeders of one heat, started and proven to answer
crew.py, worker.py, contract.py a contestant's three functions: where they run, what they may use
testbeds/                       what provides the hosts: ``local`` (namespaces of this machine)
hosts/                          one Host protocol: run, start, put, get; NamespaceHost
agents/                         programs that run on hosts: stopwatch, cell, tracker, probe, seeder
scenario.py, contestant.py, payload.py, torrent.py, result.py, places.py, errors.py
                                plain data and its files
==============================  =======================================================================
"""

__version__ = "0.1.0"
