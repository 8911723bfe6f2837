"""
Bittorrent Games: race BitTorrent clients, fairly and reproducibly.

The map, top to bottom; imports go down only. What stands beside this package: tasks.py, contestants/, scenarios/.

===============================================  ======================================================================
tasks.py (beside this package)                   the command line: names, help, defaults; no logic
program.py, arguments.py                         the invoke program over tasks.py: nearest names, exit statuses
race.py, header.py, dry_run.py, progress.py      the recipe: testbed -> install -> heats -> race card; what it shows
doctor.py, doctor_machine.py,                    ``check``: the machine in words, or a contestant by a tiny heat
  doctor_contestant.py, finding.py, hints.py
shell.py, shell_words.py, pseudo_terminal.py     ``shell``: the client host of a heat, with a terminal
by_hand/                                         ``tracker``, ``seed``, ``download``: as in 2013, on machines far away
listing.py, development.py                       ``contestants`` and ``scenarios``; ``test``, ``lint`` and ``bench``
rematch.py                                       ``board``: 2013's contest raced again, then beside now
leaderboard.py, row.py, history.py, report/      race cards -> ranked rows -> terminal, Markdown, CSV, JSON; no hosts
ground.py                                        testbed and swarm as heats find them: mended where they failed
heat.py, timing.py, verdict.py,                  one heat: its steps, time and outcome, what it leaves behind
  remains.py, keep.py, arena.py                  and the folder that it may fill
swarm.py, opentracker.py, sources.py             tracker and seeders of one heat, started and proven to answer
workshop.py, far_workshop.py, workshop_agent.py, where contestants are made ready: this machine, or one far away,
  spread_workshop.py                             or several
install_command.py, far_installing.py,           ``install`` and ``uninstall``
  uninstalling.py
installing.py, install_folder.py,                contestants, each into a directory of its own, with its record and log
  install_log.py
wrapper.py, worker.py, contract.py               a contestant's three functions: where they run, what they may use
recipes.py, git_home.py, runtimes.py,            what its install() is made of: package tools, sources, interpreters
  bullseye.py
containment.py                                   a contestant's commands: in a cell, unprivileged
testbeds/                                        what provides the hosts: namespaces here, or machines over SSH
cloud/                                           the fleet of a Pulumi stack: making, finding, ending it
hosts/                                           one Host protocol: run, start, put, get; NamespaceHost, SshHost
agents/                                          programs that run on hosts: stopwatch, cell, tracker, seeder, tenant
contestant.py, companions.py                     who races: entries and modules, read, not run
scenario.py, scenario_parts.py,                  a scenario and its file, all mistakes told at once
  strict_model.py, strict_yaml.py, needs.py      and what it needs of Debian
result.py, machine.py                            the race card and its facts
payload.py, torrent.py                           a payload from its seed, its marks, its torrent
places.py, caller.py, interrupts.py, errors.py   paths, owners, how a command ends, what a user is told
side_by_side.py                                  several things at once, and Ctrl-C that waits for none
===============================================  ======================================================================
"""

__version__ = "0.1.0"
