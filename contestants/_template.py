"""my_client: a client, in a line. https://example.org/my-client"""  # yours

from btgames.contract import Command, Host, Torrent, pip  # also apt, cargo, git, go, npm

CLIENT = "my-client"  # yours: the name of its package, and of its program

TITLE = "My client"  # yours, for lists; also the next four
HOME = "https://example.org/my-client"
LANGUAGE = "Python"
LICENCE = "MIT"
YEAR = 2026
EXITS = True  # False: it seeds on for ever, and is ended when all is there
UTP = False  # True: it speaks uTP (BEP 29), too
SLOW = False  # True: installing takes over two minutes
DEFECT = ""  # a known fault of the client's own that makes it fail, in a line


def install(host: Host, version: str = "1.0", source: str | None = None) -> None:  # yours: the version
    # Once, untimed, with the internet. Programs of venv/bin and bin in host.installed are found later.
    pip(host, f"{CLIENT}=={version}")
    # Instead of that line:
    #   npm    -> npm(host, f"{CLIENT}@{version}")
    #   Go     -> go(host, "install", f"example.org/{CLIENT}@v{version}")
    #   Rust   -> cargo(host, CLIENT, version)
    #   Debian -> apt(host, CLIENT, program=CLIENT)
    #   git    -> git(host, HOME, version, source)
    # git puts that commit or tag of HOME, or the checkout that you race as ./mine.py:DIR, into src. Then one of:
    #   Python -> pip(host, f"{host.installed}/src")
    #   Node   -> npm(host, "--install-links", f"{host.installed}/src")
    #   Go     -> go(host, "-C", "src", "install", ".")
    #   make   -> host.run("make", "-C", "src", "install", f"PREFIX={host.installed}")


def torrentfile(host: Host, torrent: Torrent) -> str:
    # Before each heat, untimed. Files that the client reads, such as its settings, are put here, too.
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    # Only returns the command: a program and its arguments. The payload belongs into the directory `into`.
    # DHT, PEX, port mapping, update checks: switch them off, nobody answers. Have it exit when it is done, if it can.
    return Command(CLIENT, torrentfile, into)  # yours: the arguments
