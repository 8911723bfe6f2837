"""
The fleet of a Pulumi stack: making it, finding it, logging in to it, ending it.

- engine: the ``pulumi`` of this computer, and the program of infra/
- trouble: what goes wrong there, in words that say what to do
- stack: what a stack has, as a `Fleet` of `Remote` machines
- update: the engine at work, its steps as lines; strays: what AWS has that bears our tag
- up, down, hosts, login, leftovers: the tasks
"""
