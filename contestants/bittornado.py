"""
bittornado: John Hoffman's fork of the first client of all, Bram Cohen's. https://github.com/effigies/BitTornado

It comes as the library chuk of PyPI, for Python 2; the script is its btdownloadheadless.py, less the display and what
it keeps to resume (selector_enabled), which looks for icons that the package lacks.
"""

from btgames.contract import Command, Host, Torrent, pip, python27

TITLE = "BitTornado"
HOME = "https://github.com/effigies/BitTornado"
LANGUAGE = "Python 2"
LICENCE = "MIT"
YEAR = 2003
UTP = False

START = """
import hashlib, os.path, sys, threading
from chuk.Application.PeerID import createPeerID
from chuk.Client.download_bt1 import BT1Download, get_response, parse_params
from chuk.Meta.bencode import bencode
from chuk.Network.RawServer import RawServer

def say(text=None, **facts):
    if text:
        print(text)

torrent, into = sys.argv[1:]
config = parse_params([torrent, '--saveas', into, '--upnp_nat_access', '0', '--selector_enabled', '0'])
response = get_response(config['responsefile'], config['url'], say)
done = threading.Event()
server = RawServer(done, config['timeout_check_interval'], config['timeout'], ipv6_enable=False, errorfunc=say)
port = server.find_and_bind(config['minport'], config['maxport'], config['bind'], randomizer=config['random_port'])
download = BT1Download(say, done.set, say, say, done, config, response,
                       hashlib.sha1(bencode(response['info'])).digest(), createPeerID(), server, port)
download.saveAs(lambda name, size, into, folder: os.path.join(into, name))
download.initFiles(old_style=True)
download.startEngine()
download.startRerequester()
server.listen_forever(download.getPortHandler())
download.shutdown()
server.shutdown()
"""


def install(host: Host, version: str = "0.4.0") -> None:
    pip(host, f"chuk=={version}", python=python27(host))


def torrentfile(host: Host, torrent: Torrent) -> str:
    return host.put(torrent.data, "test.torrent")


def download(torrentfile: str, into: str) -> Command:
    return Command("python", "-c", START, torrentfile, into)
